"""The rehearsal's machines: real systemd and sshd in systemd-nspawn, each with an address, on this computer.

A machine is a network namespace (network), a control group (cgroups), an overlay of its own files over the
shared root file system, and a keeper process that boots it. Beyond systemd-nspawn's default it gets only the
capability to configure its own network, so nothing inside changes this computer's clock, sysctls or devices.
Its disk is in STATE_DIR/STACK/machines/HOST and survives a power-off, also of this computer; `down` removes
it.

    booted = up("dev", [Machine("server-1", "10.77.0.10")], Path(".rehearsal"), tools)
    ssh.run(booted["server-1"], "systemctl is-system-running")
    down("dev", Path(".rehearsal"))
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rehearsal.lab import (
    cards,
    cgroups,
    computer,
    driver_files,
    gpus,
    identity,
    network,
    nspawn,
    processes,
    ssh,
    toolkit,
)
from rehearsal.lab.machine_records import (
    PREFIX,
    RECORDS,
    Machine,
    MachineParts,
    RunningMachine,
    known,
    machines_folder,
    recorded,
    write_record,
)
from rehearsal.process import RehearsalError
from rehearsal.progress import Progress
from rehearsal.toolchain import cache, host

NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
LONGEST_NAME = 64  # of a Linux host name, which is what systemd-nspawn sets
SSH_SECONDS = 60  # for each ten machines that boot: all boot at once, and share this computer
RUNNING_SSH_SECONDS = 20  # for a machine that runs already; it may be rebooting
LOCK_SECONDS = 300
BOOTS_AT_ONCE = 8
LOGINS_AT_ONCE = 32


def up(
    stack: str,
    machines: Sequence[Machine],
    state_dir: Path,
    parts: MachineParts,
    progress: Progress | None = None,
    owner: str | None = None,
) -> dict[str, RunningMachine]:
    """Creates or boots all `machines`, waits until SSH answers, and returns them by declared name.

    A running machine stays as it is, except for its declared GPUs; if SSH does not answer there, that is the
    program's to report. One that is off is booted with its data. Machines that are no longer declared stay
    until `down`, or until the next `up` of any stack after the process `owner` (processes.identify) has ended
    without removing them. A machine is identified by its address: one that
    is declared under a new name keeps its old host name. Raises RehearsalError when this computer cannot run
    machines, a name or an address is not available, or SSH does not answer in time.
    """
    progress = progress or Progress()
    state_dir = state_dir.resolve()
    host.check_host()
    check_declaration(stack, machines)
    with cache.lock(RECORDS / "lock", progress, "machines of this computer", LOCK_SECONDS):
        remove_abandoned(progress)
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        identity.make_key(identity.private_key(state_dir), "k3s-gpu-sharing rehearsal")
        found = {
            machine.name: find_or_record(stack, machine, state_dir, owner, progress) for machine in machines
        }
        were_running = [item for item in found.values() if item.running]
        everyone = {item.host: item.address for item in known(stack, state_dir)}
        present = recorded()
        computer.prepare(len(present), kubelets=any(item.kubelet == "real" for item in present))
        network.make_bridge()

        def start(machine: Machine) -> None:
            start_machine(found[machine.name], machine, everyone, parts, progress)

        with ThreadPoolExecutor(max_workers=BOOTS_AT_ONCE) as pool:
            list(pool.map(start, machines))
        identity.update_known_hosts(
            state_dir, {item.address: identity.host_key(item.root) for item in found.values()}
        )

    def wait(item: RunningMachine) -> None:
        if item in were_running:
            note_without_ssh(item, progress)
        else:
            ssh.wait_for_ssh(item, SSH_SECONDS * max(1, (len(found) - len(were_running)) / 10))

    with ThreadPoolExecutor(max_workers=LOGINS_AT_ONCE) as pool:
        list(pool.map(wait, found.values()))
    return found


def down(stack: str, state_dir: Path, progress: Progress | None = None) -> None:
    """Powers all machines of `stack` off and removes them with their disks; the last one removes the bridge.

    Works on incompletely created machines, and does nothing when there are none.
    """
    progress = progress or Progress()
    state_dir = state_dir.resolve()
    host.check_root()
    with cache.lock(RECORDS / "lock", progress, "machines of this computer", LOCK_SECONDS):
        removed = known(stack, state_dir)
        remove(removed)
        if removed:
            identity.update_known_hosts(state_dir, {item.address: None for item in removed})
        folder = machines_folder(stack, state_dir)
        if folder.is_dir():
            cache.remove_tree(folder)
        release_computer()


def remove(items: Sequence[RunningMachine]) -> None:
    """Powers machines off and removes them with their disks. The caller holds the lock."""
    nspawn.power_off(items)
    for item in items:
        nspawn.remove(item)


def release_computer() -> None:
    """Undoes, after the last machine, what machines needed of this computer. The caller holds the lock."""
    network.remove_unused_bridge()
    if not recorded():
        computer.undo()


def remove_abandoned(progress: Progress) -> None:
    """Removes the machines of processes that have ended without removing them, such as a killed test run."""
    abandoned = [item for item in recorded() if item.abandoned]
    for folder in {item.state_dir / item.stack / "engine" for item in abandoned}:
        processes.end_leftovers(folder)
    if abandoned:
        names = ", ".join(item.name for item in abandoned)
        progress.note(f"removing what a killed run has left: {names}")
        remove(abandoned)


def remove_unrecorded(progress: Progress) -> None:
    """Removes machines without a record, and links without a machine: what is left when records are lost."""
    with cache.lock(RECORDS / "lock", progress, "machines of this computer", LOCK_SECONDS):
        known_names = {item.name for item in recorded()}
        names = {
            *network.namespaces(PREFIX),
            *cgroups.names(PREFIX),
            *(name for name, _ in nspawn.mounts(PREFIX)),
        }
        for name in sorted(names - known_names):
            progress.note(f"removing {name}, of which there is no record")
            nspawn.free_resources(name)
        network.remove_links_except({network.interface(name) for name in known_names})
        release_computer()


def leftovers(stack: str | None = None) -> list[str]:
    """What remains of machines of `stack`, or of any: one line each. Empty after `down`."""
    prefix = f"{PREFIX}{stack}-" if stack else PREFIX
    # One stack's name may be a prefix of another's.
    others = {item.name for item in recorded() if stack not in (None, item.stack)}
    found = [f"network namespace {name}" for name in network.namespaces(prefix) if name not in others]
    found += [f"mount {place}" for name, place in nspawn.mounts(prefix) if name not in others]
    for name in cgroups.names(prefix):
        if name in others:
            continue
        found.append(f"control group {name}")
        found += [f"process {pid} in control group {name}" for pid in cgroups.processes(name)]
    found += [f"record {path}" for path in sorted(RECORDS.glob(f"{prefix}*.json")) if path.stem not in others]
    if stack is None:
        found += [f"interface {name}" for name in network.links()]
        if computer.RECORD.exists():
            found.append(f"settings of this computer as recorded in {computer.RECORD}")
        if network.rule_needed() and network.rule_present():
            found.append("iptables rule " + " ".join(network.FORWARD_RULE))
    return found


def find_or_record(
    stack: str, machine: Machine, state_dir: Path, owner: str | None, progress: Progress
) -> RunningMachine:
    """The machine with the declared address; a new one is recorded. Raises RehearsalError on a conflict."""
    mine = known(stack, state_dir)
    for item in mine:
        if item.address == machine.address:
            if item.host != machine.name:
                progress.note(
                    f"{machine.name}: {item.address} was created as {item.host}, and stays that machine"
                )
            if item.kubelet != machine.kubelet:
                progress.note(f"{item.host}: was created with kubelet {item.kubelet}, and keeps it")
            write_record(item)
            return item
    taken = {item.address: item for item in recorded()}
    if machine.address in taken:
        other = taken[machine.address]
        raise RehearsalError(
            f"machine {machine.name} of stack {stack!r}: found {machine.address} taken by "
            f"{other.host} of stack {other.stack!r}, expected a free address; "
            f"write another one, or make down STACK={other.stack}"
        )
    made = RunningMachine(stack, machine.name, machine.address, state_dir, owner, machine.kubelet)
    for other in [*mine, *taken.values()]:
        if other.name == made.name:
            raise RehearsalError(
                f"machine {machine.name} of stack {stack!r}: found a machine {other.host} of "
                f"stack {other.stack!r} at {other.address} under the same name {made.name}, "
                f"expected one at {machine.address}; "
                f"remove that one first (make down STACK={other.stack}) or choose another name"
            )
    write_record(made)
    return made


def start_machine(
    machine: RunningMachine,
    declared: Machine,
    everyone: dict[str, str],
    parts: MachineParts,
    progress: Progress,
) -> None:
    """Boots `machine` if it is off, with the declared cards and the host names of `everyone` in its stack."""
    was_running = machine.running
    if not was_running:
        if machine.kubelet == "real":
            host.check_kubelets()
        nspawn.prepare(machine, parts)
    identity.write_hosts(machine.root, machine.host, everyone)
    sysfs = machine.folder / "sysfs"
    if gpus.install(declared.gpus, machine.name, machine.root, sysfs):
        driver_files.install(declared.gpus, machine.name, machine.root, sysfs, parts.standin)
        if was_running:
            progress.note(f"{machine.host}: now has {describe(declared)}")
    identity.write(machine.root / "etc/standin/kubelet", f"{machine.kubelet}\n")
    owner = declared.cards or declared.gpus
    if machine.kubelet == "real" and owner and owner.toolkit:
        toolkit.install(parts.standin / "toolkit", machine.root)
    if was_running:
        note_outdated_stand_ins(machine, parts, progress)
        return
    progress.note(f"{machine.host}: booting at {machine.address}, with {describe(declared)}")
    if declared.cards:
        cards.install(declared.cards.cards, machine.root, sysfs)
    nspawn.boot(machine, parts, cards.binds(declared.cards.cards) if declared.cards else ())


def note_without_ssh(machine: RunningMachine, progress: Progress) -> None:
    """Notes a running machine that does not answer over SSH: the program's preflight says why."""
    try:
        ssh.wait_for_ssh(machine, RUNNING_SSH_SECONDS)
    except RehearsalError:
        progress.note(f"{machine.host}: runs, and does not answer over SSH within {RUNNING_SSH_SECONDS} s")


def describe(machine: Machine) -> str:
    """A machine's GPUs in words."""
    if machine.cards:
        return "a real " + ", a real ".join(card.name for card in machine.cards.cards)
    return f"{machine.gpus.count} simulated {machine.gpus.product}" if machine.gpus else "no GPU"


def note_outdated_stand_ins(machine: RunningMachine, parts: MachineParts, progress: Progress) -> None:
    """Notes when `machine` was booted with other stand-ins than the present ones."""
    present = (machine.folder / "standin").resolve()
    if present != parts.standin.resolve():
        progress.note(
            f"{machine.host}: was booted with older stand-ins ({present}); "
            f"make down STACK={machine.stack}, then up, for the present ones ({parts.standin})"
        )


def check_declaration(stack: str, machines: Sequence[Machine]) -> None:
    """Raises RehearsalError for a stack or machines that no computer can create."""
    if not NAME.fullmatch(stack):
        raise RehearsalError(
            f"stack {stack!r}: expected small letters, digits and hyphens in the name of a rehearsed stack; "
            "rename its file Pulumi.<stack>.yaml"
        )
    addresses: dict[str, str] = {}
    for machine in machines:
        where = f"machine {machine.name} of stack {stack!r}"
        name = f"{PREFIX}{stack}-{machine.name}"
        if not NAME.fullmatch(machine.name) or len(name) > LONGEST_NAME:
            raise RehearsalError(
                f"{where}: expected a name of small letters, digits and hyphens, and {name} no longer than "
                f"{LONGEST_NAME} characters; found {len(name)}"
            )
        network.check_address(where, machine.address)
        if machine.address in addresses:
            raise RehearsalError(
                f"{where}: found {machine.address}, which {addresses[machine.address]} has too; "
                "expected an address of its own"
            )
        addresses[machine.address] = machine.name
