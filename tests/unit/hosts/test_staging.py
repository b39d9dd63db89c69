"""Hosts are staged: an SSH server in this process, with the machine's files below a folder."""

import asyncio
import fcntl
import hashlib
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from k3sgpu import settings, timeouts
from k3sgpu.handoff.inventory import build_inventory
from k3sgpu.handoff.staging import StagePlan, build_stage_plan
from k3sgpu.hosts import root_shell, scripts, staging
from k3sgpu.hosts.ssh import Login
from k3sgpu.hosts.staging import Outcome, clean_hosts, stage_hosts
from tests.data.stack_files import REMOVE, with_
from tests.unit.hosts import sudo
from tests.unit.hosts.machines import VERSION, Machine
from tests.unit.hosts.mirror import Mirror, mirror
from tests.unit.hosts.shells import SHELLS
from tests.unit.hosts.sshd import HOST_KEY, LOGIN_KEY, public_line, sshd

OLD = "v1.35.1+k3s1"
PROXY = "HTTPS_PROXY=http://u:hidden@p:1\nNO_PROXY=127.0.0.1"
BIG = 6 * 1024 * 1024
"""More than the buffers of both ends of a connection hold (some 4 MiB)."""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The files in ./releases, of both architectures."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "releases" / VERSION
    folder.mkdir(parents=True)
    files = {"k3s": bytes(BIG), "k3s-arm64": b"arm64", "install.sh": b"#!/bin/sh\n"}
    for name in ("amd64", "arm64"):
        binary = "k3s" if name == "amd64" else "k3s-arm64"
        files[f"sha256sum-{name}.txt"] = f"{sha256(files[binary])}  {binary}\n".encode()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return files


@pytest.fixture
def amd64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines are x86_64, whatever this computer is."""
    monkeypatch.setitem(staging.ARCHITECTURES, "aarch64", "amd64")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


UPLOAD = {"k3s/mirror": REMOVE, "k3s/airGap": "releases"}


def plan_of(folder: Path, **changes: Any) -> StagePlan:
    """The plan for gpu-1 of a stack file, at this computer's address. `changes`: of the stack file."""
    key = public_line(HOST_KEY)
    stack_file = {
        "k3s/mirror": f"file://{folder}/releases",
        "pools/control/hosts/server-1": {"address": "10.0.0.11", "hostKey": key},
        "pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "hostKey": key},
        **changes,
    }
    parsed = settings.parse(with_(stack_file))
    (folder / "key").write_bytes(LOGIN_KEY.export_private_key())
    inventory = build_inventory(parsed, settings.resolve_ssh(parsed, folder), "k3s-gpu-sharing", "lab")
    files = settings.resolve_release_files(parsed, folder)
    plan = build_stage_plan(parsed, files, inventory, scripts.staged_hashes())
    hosts = [{**host, "address": "127.0.0.1"} for host in plan["hosts"] if host["name"] == "gpu-1"]
    return {**plan, "hosts": hosts}  # type: ignore[typeddict-item]


def stage(machine: Machine, plan: StagePlan, password: str = "", said: list[str] | None = None) -> Outcome:
    """Carries the plan out on this machine."""

    async def run() -> Outcome:
        async with sshd(shell=machine.run, encoding=None) as port:
            hosts = [{**host, "port": port} for host in plan["hosts"]]
            logins = {"gpu-1": Login(LOGIN_KEY, password)}
            say = (said if said is not None else []).append
            return await stage_hosts(plan, hosts, logins, PROXY, say)  # type: ignore[arg-type]

    return asyncio.run(run())


def clean(machine: Machine, plan: StagePlan) -> Outcome:
    async def run() -> Outcome:
        async with sshd(shell=machine.run, encoding=None) as port:
            hosts = [{**host, "port": port} for host in plan["hosts"]]
            return await clean_hosts(plan["owner"], hosts, {"gpu-1": Login(LOGIN_KEY)}, None)  # type: ignore[arg-type]

    return asyncio.run(run())


def done(machine: Machine, plan: StagePlan, password: str = "") -> str:
    """What was done; nothing failed."""
    outcome = stage(machine, plan, password)
    assert outcome.failures == []
    return outcome.done["gpu-1"]


def failure(machine: Machine, plan: StagePlan) -> str:
    """The one message."""
    outcome = stage(machine, plan)
    assert (outcome.done, len(outcome.failures)) == ({}, 1)
    return outcome.failures[0]


@pytest.mark.parametrize("shell", SHELLS)
def test_host_gets_its_scripts_and_downloads_the_release(
    tmp_path: Path, machine: Machine, release: dict[str, bytes], shell: str
):
    machine.shell = shell
    plan = plan_of(tmp_path)
    assert done(machine, plan) == f"2 new scripts; k3s {VERSION} is being downloaded"
    converge = machine.lib / f"scripts/converge-{scripts.staged_sha256('converge')}.sh"
    assert converge.read_text() == scripts.staged_text("converge")
    assert (machine.lib / "clean").read_text() == scripts.source("uninstall")
    assert (machine.lib / "clean").stat().st_mode & 0o777 == 0o755
    assert "host=gpu-1" in (machine.folder / "etc/k3s-gpu-sharing/owner").read_text()
    assert not list(machine.lib.glob("new.*"))

    machine.wait_for_download()
    assert machine.releases()[f"{VERSION}/k3s"] == release["k3s"]
    assert done(machine, plan) == f"no new script; k3s {VERSION} has arrived"
    converge.write_text("changed")
    assert done(machine, plan) == f"1 new script; k3s {VERSION} has arrived"
    assert converge.read_text() == scripts.staged_text("converge")
    machine.install(VERSION)
    assert done(machine, plan) == f"no new script; k3s {VERSION} is installed"
    assert machine.releases() == {} and (machine.release / "source").exists()
    assert "hidden" not in "".join(machine.ran) + (machine.release / "source").read_text()


@pytest.mark.parametrize("shell", SHELLS)
def test_host_gets_the_files_that_it_lacks(
    tmp_path: Path, machine: Machine, release: dict[str, bytes], amd64: None, shell: str
):
    machine.shell = shell
    plan = plan_of(tmp_path, **UPLOAD)
    assert done(machine, plan) == (
        f"2 new scripts; k3s {VERSION} uploaded: install.sh, k3s, sha256sum-amd64.txt (6 MiB)"
    )
    expected = {f"{VERSION}/{name}": release[name] for name in ("install.sh", "sha256sum-amd64.txt", "k3s")}
    assert machine.releases() == expected
    assert {file.stat().st_mode & 0o77 for file in (machine.lib / "release").rglob("*")} == {0}
    assert done(machine, plan) == f"no new script; k3s {VERSION} has arrived"

    (machine.release / "complete").unlink()
    (machine.release / "k3s").write_text("half of it")
    (machine.release / "k3s.part").write_text("cut off")
    (machine.lib / "release/v1.35.1+k3s1").mkdir()
    (machine.lib / "release/v1.35.1+k3s1/k3s").write_text("the release before")
    assert done(machine, plan) == f"no new script; k3s {VERSION} uploaded: k3s (6 MiB)"
    assert machine.releases() == expected


@pytest.mark.parametrize("password", ["", "sesame"])
def test_login_that_is_not_root_stages_with_sudo(
    tmp_path: Path,
    machine: Machine,
    release: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    password: str,
):
    (tmp_path / "bin").mkdir()
    sudo.install(tmp_path / "bin", monkeypatch, free=not password)
    done(machine, plan_of(tmp_path, **{"ssh/user": "me"}), password)
    machine.wait_for_download()
    assert machine.releases()[f"{VERSION}/k3s"] == release["k3s"]
    assert not password or password not in "".join(machine.ran) + sudo.arguments(tmp_path / "bin")


def test_machine_of_another_stack_is_left_unchanged(
    tmp_path: Path, machine: Machine, release: dict[str, bytes]
):
    owner = machine.folder / "etc/k3s-gpu-sharing/owner"
    owner.parent.mkdir(parents=True)
    owner.write_text("project=k3s-gpu-sharing\nstack=other\nhost=gpu-9\n")
    message = failure(machine, plan_of(tmp_path))
    assert "belongs to" in message and "stack=other" in message and "remedy: keep its old key" in message
    assert not machine.lib.exists()


def test_machine_without_k3s_takes_another_name(tmp_path: Path, machine: Machine, release: dict[str, bytes]):
    plan = plan_of(tmp_path)
    done(machine, plan)
    machine.wait_for_download()
    marker = machine.folder / "etc/k3s-gpu-sharing"
    old = (marker / "owner").read_text().replace("host=gpu-1\n", "host=old-name\n")
    (marker / "owner").write_text(old)
    (marker / "absent-before").write_text("of the first run\n")
    assert done(machine, plan) == f"no new script; k3s {VERSION} has arrived"
    assert "host=gpu-1\n" in (marker / "owner").read_text()
    assert (marker / "absent-before").read_text() == "of the first run\n"

    (marker / "owner").write_text(old)
    machine.install(VERSION)
    assert "belongs to" in failure(machine, plan) and (marker / "owner").read_text() == old


def test_architecture_without_a_release_is_refused(
    tmp_path: Path, machine: Machine, release: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
):
    plan = plan_of(tmp_path, **UPLOAD)
    monkeypatch.setattr(staging, "ARCHITECTURES", {})
    assert f"releases/{VERSION} has the release for amd64 and arm64" in failure(machine, plan)


def test_file_that_changed_on_the_way_is_not_kept(
    tmp_path: Path, machine: Machine, release: dict[str, bytes], amd64: None
):
    plan = plan_of(tmp_path, **UPLOAD)
    (tmp_path / "releases" / VERSION / "k3s").write_text("another")
    assert f"k3s, as received, has sha256 {sha256(b'another')}" in failure(machine, plan)
    assert f"{VERSION}/k3s" not in machine.releases()


def test_file_that_is_gone_on_this_computer_is_named(
    tmp_path: Path, machine: Machine, release: dict[str, bytes], amd64: None
):
    plan = plan_of(tmp_path, **UPLOAD)
    file = f"releases/{VERSION}/k3s"
    (tmp_path / file).unlink()
    assert f"gpu-1: {file} on this computer: No such file or directory" in failure(machine, plan)


def test_machine_that_accepts_nothing_more_fails_the_upload(
    tmp_path: Path, machine: Machine, release: dict[str, bytes], amd64: None, monkeypatch: pytest.MonkeyPatch
):
    plan = plan_of(tmp_path, **UPLOAD)
    monkeypatch.setattr(root_shell, "UPLOAD_STALL_SECONDS", 1)
    for files in plan["release"]["files"].values():
        for name in ("install.sh", "sha256sum-amd64.txt"):
            files.pop(name, None)
    machine.stalls = True
    assert "accepted nothing more of k3s for 1 s, after " in failure(machine, plan)


def test_machine_that_hangs_up_or_never_answers_is_named(
    tmp_path: Path, machine: Machine, release: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
):
    plan = plan_of(tmp_path)
    machine.hangs_up = True
    assert "gpu-1: staging: the connection broke (" in failure(machine, plan)
    machine.hangs_up, machine.stalls = False, True
    monkeypatch.setattr(staging, "STAGE_SILENCE_SECONDS", 1)
    assert "gpu-1: staging: no answer within 1 s: look at the network" in failure(machine, plan)


def test_login_that_prints_changes_nothing_and_much_is_refused(
    tmp_path: Path, machine: Machine, release: dict[str, bytes]
):
    plan = plan_of(tmp_path)
    machine.says = "Welcome!\n\x1b[2J release complete\n"
    assert done(machine, plan) == f"2 new scripts; k3s {VERSION} is being downloaded"
    machine.says, machine.shell = "", "true"
    assert "ended without a word about the release; its last line was nothing" in failure(machine, plan)
    machine.says, machine.stalls = "release complete\n" * 20_000, True
    assert f"more than {root_shell.MAX_OUTPUT} bytes of output" in failure(machine, plan)


def test_machine_that_cannot_be_written_to_is_named(
    tmp_path: Path, machine: Machine, release: dict[str, bytes]
):
    machine.lib.mkdir(parents=True)
    (machine.lib / "scripts").write_text("a file")
    assert f"gpu-1: could not write {machine.lib}" in failure(machine, plan_of(tmp_path))


def test_machine_that_cannot_be_reached_is_reported_as_doctor_does(tmp_path: Path, release: dict[str, bytes]):
    plan = plan_of(tmp_path)
    plan["hosts"][0]["port"] = 1
    outcome = asyncio.run(stage_hosts(plan, plan["hosts"], {"gpu-1": Login(LOGIN_KEY)}, "", print))
    assert "error: connection\n" in outcome.failures[0] and "127.0.0.1 port 1" in outcome.failures[0]


def test_upgrade_waits_until_the_release_has_arrived(
    tmp_path: Path, machine: Machine, release: dict[str, bytes]
):
    upgradable(machine)
    plan = plan_of(tmp_path)
    assert done(machine, plan) == f"2 new scripts; k3s {VERSION} has arrived"
    plan["release"]["binarySha256"] = {"amd64": "0" * 64, "arm64": "0" * 64}
    message = failure(machine, plan)
    assert "gpu-1: the k3s binary of" in message and "expected 000" in message


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """A mirror from which the release takes half a minute."""
    with mirror(tmp_path, monkeypatch) as server:
        for name in ("k3s", "k3s-arm64"):
            server.files |= {
                f"/{version.replace('+', '%2B')}/{name}": bytes(BIG) for version in (VERSION, OLD)
            }
        server.bytes_per_second = BIG // 30
        yield server


def downloading(plan: StagePlan, server: Mirror, version: str = VERSION) -> StagePlan:
    release = plan["release"]
    pins = {"amd64": sha256(bytes(BIG)), "arm64": sha256(bytes(BIG))}
    return {**plan, "release": {**release, "mirror": server.url, "version": version, "binarySha256": pins}}


def test_running_download_goes_on_and_another_release_ends_it(
    tmp_path: Path, machine: Machine, release: dict[str, bytes], slow: Mirror
):
    plan = downloading(plan_of(tmp_path), slow, OLD)
    for _ in range(2):
        assert done(machine, plan).endswith(f"k3s {OLD} is being downloaded")
    slow.wait_for_requests(1)
    plan = downloading(plan, slow)
    assert done(machine, plan).endswith(f"k3s {VERSION} is being downloaded")
    assert [path.name for path in (machine.lib / "release").iterdir()] == [VERSION]
    slow.wait_for_requests(2)
    stop(machine)
    machine.wait_for_download()
    assert len(slow.requests) == 2 and not (machine.release / "complete").exists()


def test_upload_whose_connection_is_gone_is_ended(
    tmp_path: Path, machine: Machine, release: dict[str, bytes], amd64: None
):
    plan = plan_of(tmp_path, **UPLOAD)
    done(machine, plan)
    (machine.release / "complete").unlink()
    (machine.release / "k3s").unlink()
    variables = {"HOST": "gpu-1", "ROLE": "agent", "VERSION": VERSION, "NAME": "k3s", "SHA256": "0" * 64}
    script = machine.with_own_paths(scripts.render("receive-release", **variables))
    with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE) as hanging:
        wait_until((machine.release / "k3s.part.new").exists)
        assert done(machine, plan) == f"no new script; k3s {VERSION} uploaded: k3s (6 MiB)"
        assert hanging.wait(5) != 0


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_upgrade_by_a_run_that_went_on_is_accepted(
    tmp_path: Path, machine: Machine, release: dict[str, bytes]
):
    upgradable(machine)
    plan = plan_of(tmp_path)
    done(machine, plan)
    with (machine.folder / "run/lock/k3s-gpu-sharing-release.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def install() -> None:
            machine.install(VERSION)
            (machine.release / "complete").unlink()
            fcntl.flock(lock, fcntl.LOCK_UN)

        timer = threading.Timer(3, install)
        timer.start()
        assert done(machine, plan) == f"no new script; k3s {VERSION} is installed"
        timer.join()


def stop(machine: Machine) -> None:
    """Ends the download on a machine, as uninstall.sh does."""
    script = scripts.render("parts/release_lock", HOST="gpu-1") + "stop_download\n"
    subprocess.run(["sh", "-c", machine.with_own_paths(script)], check=True)


def test_upgrade_says_what_it_waits_for(
    tmp_path: Path,
    machine: Machine,
    release: dict[str, bytes],
    slow: Mirror,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setitem(timeouts.SCRIPT_TIMEOUTS, "DOWNLOAD_PROGRESS_SECONDS", 1)
    monkeypatch.setattr(staging, "STAGE_PROGRESS_SECONDS", 2)
    scripts.source.cache_clear()
    slow.bytes_per_second = BIG // 4
    upgradable(machine)
    said: list[str] = []
    outcome = stage(machine, downloading(plan_of(tmp_path), slow), said=said)
    scripts.source.cache_clear()
    assert outcome.failures == [] and len(said) >= 1
    said_of = re.fullmatch(rf"waiting for k3s {re.escape(VERSION)} on 1 host: gpu-1 \((\S+) MiB\)", said[0])
    assert said_of and 0 < float(said_of[1]) <= 6


def upgradable(machine: Machine) -> None:
    """Makes it a machine of the stack with an older k3s."""
    machine.install(OLD)
    (machine.folder / "etc/k3s-gpu-sharing").mkdir(parents=True)
    owner = f"project=k3s-gpu-sharing\nstack=lab\nhost=gpu-1\nmachine-id={machine_id()}\n"
    (machine.folder / "etc/k3s-gpu-sharing/owner").write_text(owner)


def machine_id() -> str:
    return Path("/etc/machine-id").read_text().strip()


def test_upgrade_that_k3s_cannot_do_downloads_nothing(
    tmp_path: Path, machine: Machine, release: dict[str, bytes]
):
    upgradable(machine)
    machine.install("v1.37.1+k3s1")
    assert "k3s cannot be downgraded" in failure(machine, plan_of(tmp_path))
    assert not machine.release.exists()


def test_host_where_k3s_was_never_installed_is_cleaned(
    tmp_path: Path, machine: Machine, release: dict[str, bytes]
):
    plan = plan_of(tmp_path)
    assert clean(machine, plan).summary() == ["gpu-1: nothing of this program is here"]
    done(machine, plan)
    machine.install(VERSION)
    assert clean(machine, plan).summary() == ["gpu-1: k3s is installed"]
    (machine.folder / "usr/local/bin/k3s").unlink()
    (machine.folder / "etc/systemd/system/k3s-agent.service").unlink()
    clean_script = machine.lib / "clean"
    clean_script.write_text('#!/bin/sh\necho "$3: clean"\n')
    assert clean(machine, plan).summary() == ["gpu-1: clean"]


def test_hosts_of_which_the_same_is_true_share_a_line():
    outcome = Outcome({"a": "x", "b": "y", **{f"gpu-{i}": "x" for i in range(30)}}, [])
    assert outcome.summary() == ["31 (a … gpu-29): x", "b: y"]


def test_many_failures_are_shown_in_part_and_every_host_is_named():
    texts = staging._messages({f"gpu-{i}": f"gpu-{i}: no" for i in range(1, 24)})
    assert texts[:20] == [f"gpu-{i}: no" for i in range(1, 21)]
    assert texts[20:] == ["and 3 more hosts failed: gpu-21, gpu-22, gpu-23"]
