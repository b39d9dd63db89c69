"""The machines without a cluster. Needs root; creates and removes a stack of its own."""

from __future__ import annotations

import dataclasses
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rehearsal.faults import inject
from rehearsal.lab import identity, machine_records, machines, network, nspawn, ssh
from rehearsal.lab.gpus import Gpus
from rehearsal.lab.machine_records import Machine, RunningMachine
from rehearsal.process import RehearsalError
from rehearsal.progress import Progress
from rehearsal.toolchain import cache, debian, rootfs

STACK = f"t{os.getpid()}"
GPUS = Gpus("NVIDIA-GeForce-RTX-2080-Ti", count=2, memory_mib=11264)
WAIT_SECONDS = 30


@dataclasses.dataclass(frozen=True)
class Parts:
    """The folders that these machines are made of, without stand-ins."""

    rootfs: Path
    standin: Path


@dataclasses.dataclass(frozen=True)
class MachinesUnderTest:
    """A server without GPUs and an agent with GPUs."""

    state: Path
    parts: Parts
    declared: tuple[Machine, Machine]

    def up(self, *declared: Machine) -> dict[str, RunningMachine]:
        """Brings up `declared`, or the two machines of this tested."""
        return machines.up(STACK, declared or self.declared, self.state, self.parts)


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MachinesUnderTest]:
    """Two machines. Their state folder has characters in its name that separate mount options."""
    folder = tmp_path_factory.mktemp("a: b, c")
    debian.install_missing(Progress())
    parts = Parts(rootfs.prepare(Progress()), folder / "stand in: s")
    parts.standin.mkdir()
    (parts.standin / "marker").write_text("here\n")
    declared = (Machine("server-1", "10.77.0.254"), Machine("gpu-1", "10.77.0.253", GPUS))
    tested = MachinesUnderTest(folder / "state", parts, declared)
    yield tested
    machines.down(STACK, tested.state)
    assert machines.leftovers(STACK) == []


@pytest.fixture
def booted(tested: MachinesUnderTest) -> dict[str, RunningMachine]:
    """The two machines, running."""
    return tested.up()


def until(what: str, done: Callable[[], bool]) -> None:
    """Waits until `done` returns true; a refused connection counts as false."""
    deadline = time.monotonic() + WAIT_SECONDS
    last = "no answer"
    while time.monotonic() < deadline:
        try:
            if done():
                return
            last = "not yet"
        except RehearsalError as error:
            last = str(error)
        time.sleep(0.2)
    pytest.fail(f"{what}: not within {WAIT_SECONDS} s; last seen: {last}")


def test_a_machine_is_a_complete_system(booted: dict[str, RunningMachine]) -> None:
    ids = set()
    for name, machine in booted.items():
        assert ssh.run(machine, "hostname").strip() == name
        assert ssh.run(machine, "systemctl is-system-running --wait").strip() == "running"
        assert ssh.run(machine, "stat -f -c %T /sys/fs/cgroup").strip() == "cgroup2fs"
        assert ssh.run(machine, "cat /opt/standin/marker").strip() == "here"
        ids.add(ssh.run(machine, "cat /etc/machine-id").strip())
    assert len(ids) == len(booted)
    assert all(re.fullmatch(r"[0-9a-f]{32}", machine_id) for machine_id in ids)


def test_machines_know_and_reach_each_other(booted: dict[str, RunningMachine]) -> None:
    server, agent = booted["server-1"], booted["gpu-1"]
    assert ssh.run(server, "getent hosts gpu-1").split() == [agent.address, "gpu-1"]
    greeting = ssh.run(server, "bash -c 'head -c 4 </dev/tcp/gpu-1/22'", timeout=10)
    assert greeting == "SSH-"


def test_a_machine_cannot_change_this_computer(booted: dict[str, RunningMachine]) -> None:
    for command in (
        "sysctl -w vm.swappiness=61",
        "date -s @0",
        "touch /opt/standin/x",
        "echo 1 >/sys/kernel/mm/ksm/run",
    ):
        with pytest.raises(RehearsalError, match="exit code"):
            ssh.run(booted["server-1"], command)


def test_a_machine_has_no_python(booted: dict[str, RunningMachine]) -> None:
    with pytest.raises(RehearsalError):
        ssh.run(booted["server-1"], "command -v python3 || command -v python")


def test_a_wrong_host_key_is_refused(booted: dict[str, RunningMachine], tested: MachinesUnderTest) -> None:
    known = identity.known_hosts(tested.state)
    right = known.read_text()
    server, agent = booted["server-1"].address, booted["gpu-1"].address
    keys = dict(line.split(" ", 1) for line in right.splitlines())
    known.write_text(f"{server} {keys[agent]}\n")
    try:
        with pytest.raises(RehearsalError, match="Host key verification failed"):
            ssh.run(booted["server-1"], "true")
    finally:
        known.write_text(right)


def test_only_declared_gpus_are_visible(booted: dict[str, RunningMachine]) -> None:
    query = "nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader"
    card = "NVIDIA GeForce RTX 2080 Ti, 11264 MiB, 580.126.20"
    agent = booted["gpu-1"]
    assert ssh.run(agent, query).splitlines() == [card, card]
    assert ssh.run(agent, f"{query},nounits").splitlines()[0] == card.replace(" MiB", "")
    listed = ssh.run(agent, "nvidia-smi -L").splitlines()
    assert [line.split(" (UUID: GPU-")[0] for line in listed] == [
        f"GPU {n}: NVIDIA GeForce RTX 2080 Ti" for n in (0, 1)
    ]
    assert "580.126.20" in ssh.run(agent, "nvidia-smi")
    assert ssh.run(agent, "cat /sys/bus/pci/devices/*/vendor").split() == ["0x10de", "0x10de"]
    driver = ssh.run(agent, "readlink /sys/bus/pci/devices/0000:01:00.0/driver").strip()
    assert Path(driver).name == "nvidia"
    assert ssh.run(agent, "cat /sys/module/*/version").split() == ["580.126.20"]
    assert ssh.run(booted["server-1"], "ls /sys/bus/pci/devices /sys/module").split() == [
        "/sys/bus/pci/devices:",
        "/sys/module:",
    ]
    with pytest.raises(RehearsalError, match="not a valid field"):
        ssh.run(agent, "nvidia-smi --query-gpu=colour --format=csv")


def test_up_again_leaves_running_machines_alone(
    booted: dict[str, RunningMachine], tested: MachinesUnderTest
) -> None:
    before = {name: ssh.boot_id(machine) for name, machine in booted.items()}
    assert tested.up() == booted
    assert {name: ssh.boot_id(machine) for name, machine in booted.items()} == before


def test_changed_gpus_reach_a_running_machine(
    booted: dict[str, RunningMachine], tested: MachinesUnderTest
) -> None:
    before = ssh.boot_id(booted["gpu-1"])
    server, agent = tested.declared
    tested.up(server, dataclasses.replace(agent, gpus=dataclasses.replace(GPUS, count=1, driver=None)))
    assert ssh.run(booted["gpu-1"], "grep -c GPU- /etc/standin/gpus.json").strip() == "1"
    assert ssh.run(booted["gpu-1"], "ls /sys/bus/pci/devices").split() == ["0000:01:00.0"]
    assert ssh.run(booted["gpu-1"], "ls /sys/module") == ""
    with pytest.raises(RehearsalError):
        ssh.run(booted["gpu-1"], "nvidia-smi")
    tested.up()
    assert len(ssh.run(booted["gpu-1"], "nvidia-smi -L").splitlines()) == 2
    assert ssh.boot_id(booted["gpu-1"]) == before


def test_a_machine_boots_again_after_a_reboot(booted: dict[str, RunningMachine]) -> None:
    machine = booted["gpu-1"]
    ssh.run(machine, "echo kept >/var/lib/kept")
    for _ in range(2):  # what the first boot left must not be in the way of the second
        before = ssh.boot_id(machine)
        # The connection ends with the machine: what ssh says of that is of no interest.
        ssh.run(machine, "systemd-run --on-active=0.2 --quiet systemctl reboot")
        until("another boot id", lambda before=before: ssh.boot_id(machine) != before)
        assert ssh.run(machine, "cat /var/lib/kept").strip() == "kept"
        until("all units started", lambda: "running" in ssh.run(machine, "systemctl is-system-running"))


def test_a_power_cut_and_a_power_off_keep_the_disk(
    booted: dict[str, RunningMachine], tested: MachinesUnderTest
) -> None:
    machine = booted["server-1"]
    machine_id = ssh.run(machine, "cat /etc/machine-id; echo kept >/var/lib/kept; sync")
    nspawn.power_cut(machine)
    assert not machine.running
    assert machine in machine_records.recorded(STACK)
    tested.up()
    assert ssh.run(machine, "cat /etc/machine-id") == machine_id
    ssh.run(machine, "systemd-run --on-active=0.2 --quiet systemctl poweroff")
    until("the machine is off", lambda: not machine.running)
    tested.up()
    assert ssh.run(machine, "cat /var/lib/kept").strip() == "kept"


def test_a_renamed_host_keeps_its_machine(
    booted: dict[str, RunningMachine], tested: MachinesUnderTest
) -> None:
    server, agent = tested.declared
    before = ssh.boot_id(booted["gpu-1"])
    renamed = tested.up(server, dataclasses.replace(agent, name="gpu-9"))
    assert renamed["gpu-9"] == booted["gpu-1"]
    assert ssh.boot_id(renamed["gpu-9"]) == before


def test_impossible_machines_are_refused_before_any_change(
    booted: dict[str, RunningMachine], tested: MachinesUnderTest
) -> None:
    refused = {
        "10.77.0.2 to 10.77.3.254": Machine("x", "10.77.0.1"),
        "expected one from": Machine("x", "192.0.2.7"),
        "small letters": Machine("Bad_Name", "10.77.0.9"),
    }
    before = machine_records.recorded(STACK)
    for reason, machine in refused.items():
        with pytest.raises(RehearsalError, match=reason):
            tested.up(machine)
    with pytest.raises(RehearsalError, match="address of its own"):
        tested.up(Machine("x", "10.77.0.9"), Machine("y", "10.77.0.9"))
    with pytest.raises(RehearsalError, match=f"taken by server-1 of stack '{STACK}'"):
        machines.up(f"{STACK}-other", [Machine("x", booted["server-1"].address)], tested.state, tested.parts)
    elsewhere = tested.state.parent / "elsewhere"
    with pytest.raises(RehearsalError, match="another name for the stack"):
        machines.up(STACK, tested.declared, elsewhere, tested.parts)
    assert machine_records.recorded(STACK) == before


def test_incomplete_machines_are_removed(tested: MachinesUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = f"{STACK}-half"

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(nspawn, "boot", interrupted)
    with pytest.raises(KeyboardInterrupt):
        machines.up(stack, [Machine("half", "10.77.0.252")], tested.state, tested.parts)
    assert machines.leftovers(stack)
    machines.down(stack, tested.state)
    machines.down(stack, tested.state)
    assert machines.leftovers(stack) == []


def test_machines_of_a_killed_run_are_removed_by_the_next(tested: MachinesUnderTest) -> None:
    stack, state = f"{STACK}-killed", tested.state.parent / "killed"
    ended = "1 0"  # init, which has not started at that time
    (left,) = machines.up(stack, [Machine("left", "10.77.0.252")], state, tested.parts, owner=ended).values()
    assert left.running
    tested.up()
    assert machines.leftovers(stack) == [] and machine_records.recorded(stack) == []
    assert not left.folder.exists()


def test_machine_without_a_record_is_removed(tested: MachinesUnderTest) -> None:
    stack = f"{STACK}-lost"
    (lost,) = machines.up(stack, [Machine("lost", "10.77.0.252")], tested.state, tested.parts).values()
    machine_records.record_path(lost).unlink()
    running = tested.up()
    machines.remove_unrecorded(Progress())
    assert machines.leftovers(stack) == []
    assert all(machine.running for machine in running.values())
    machines.down(stack, tested.state)


def test_machine_without_sshd_is_left_to_the_programs_own_check(
    booted: dict[str, RunningMachine], tested: MachinesUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machines, "RUNNING_SSH_SECONDS", 1)
    inject.inside(booted["gpu-1"], "systemctl stop ssh ssh.socket || systemctl stop ssh")
    try:
        assert tested.up() == booted
    finally:
        inject.inside(booted["gpu-1"], "systemctl start ssh")


def test_down_leaves_nothing(booted: dict[str, RunningMachine], tested: MachinesUnderTest) -> None:
    assert any("process" in line for line in machines.leftovers(STACK))
    machines.down(STACK, tested.state)
    assert machines.leftovers(STACK) == []
    assert machine_records.recorded(STACK) == []
    assert identity.known_hosts(tested.state).read_text() == ""
    assert not any((tested.state / STACK).rglob("*"))
    machines.down(STACK, tested.state)
    with cache.lock(machines.RECORDS / "lock", Progress(), "machines of this computer", 300):
        if not machine_records.recorded():  # no other stack is up, nor coming up
            assert not network.link_exists(network.BRIDGE)
            assert machines.leftovers() == []
