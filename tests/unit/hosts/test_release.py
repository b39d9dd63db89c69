"""A host leaves the program: its k3s stays as it is, and what the program has noted becomes notes."""

import asyncio
from pathlib import Path

import pytest

from k3sgpu.handoff.inventory import Owner
from k3sgpu.handoff.staging import StagePlan
from k3sgpu.hosts.ssh import Login
from k3sgpu.hosts.staging import Outcome, release_hosts
from tests.unit.hosts.machines import VERSION, Machine
from tests.unit.hosts.shells import SHELLS
from tests.unit.hosts.sshd import LOGIN_KEY, sshd
from tests.unit.hosts.test_staging import done, plan_of


@pytest.fixture(params=SHELLS)
def machine(tmp_path: Path, request: pytest.FixtureRequest) -> Machine:
    """A machine of the stack."""
    machine = Machine(tmp_path / "machine", shell=request.param)
    done(machine, plan_of(tmp_path))
    machine.wait_for_download()
    return machine


def release(machine: Machine, plan: StagePlan, owner: Owner | None = None) -> Outcome:
    async def run() -> Outcome:
        async with sshd(shell=machine.run, encoding=None) as port:
            hosts = [{**host, "port": port} for host in plan["hosts"]]
            logins = {"gpu-1": Login(LOGIN_KEY)}
            return await release_hosts(owner or plan["owner"], VERSION, hosts, logins, None)  # type: ignore[arg-type]

    return asyncio.run(run())


def marker(machine: Machine) -> Path:
    return machine.folder / "etc/k3s-gpu-sharing"


def contents(machine: Machine) -> dict[str, bytes]:
    """All files of k3s, by path."""
    folders = ("usr/local/bin", "etc/systemd", "etc/rancher", "var/lib/rancher")
    files = [file for folder in folders for file in (machine.folder / folder).rglob("*") if file.is_file()]
    return {str(file): file.read_bytes() for file in files}


def test_released_k3s_is_unchanged_and_explained(tmp_path: Path, machine: Machine):
    machine.install(VERSION)
    (marker(machine) / "adopted/files").mkdir(parents=True)
    (marker(machine) / "adopted/begun").touch()
    (marker(machine) / "adopted/done").touch()
    before = contents(machine)
    plan = plan_of(tmp_path)
    assert release(machine, plan).done["gpu-1"].startswith("released; ")
    assert contents(machine) == before
    assert not machine.lib.exists() and [file.name for file in marker(machine).iterdir()] == ["released"]
    released = marker(machine) / "released"
    assert {"README", "owner", "absent-before", "adopted"} <= {file.name for file in released.iterdir()}
    readme = (released / "README").read_text()
    assert f"INSTALL_K3S_VERSION={VERSION}" in readme and "k3s-agent-uninstall.sh" in readme
    assert release(machine, plan).done == {"gpu-1": "was released before"}


def test_host_without_k3s_keeps_nothing(tmp_path: Path, machine: Machine):
    assert "never touched a k3s" in release(machine, plan_of(tmp_path)).done["gpu-1"]
    assert not machine.lib.exists() and not marker(machine).exists()


def test_host_of_another_stack_is_not_released(tmp_path: Path, machine: Machine):
    machine.install(VERSION)
    before = sorted(marker(machine).rglob("*"))
    outcome = release(machine, plan_of(tmp_path), {"project": "k3s-gpu-sharing", "stack": "other"})
    assert "this machine belongs to project=k3s-gpu-sharing stack=lab host=gpu-1" in outcome.failures[0]
    assert sorted(marker(machine).rglob("*")) == before and machine.lib.exists()


def test_takeover_that_was_cut_off_is_ended_first(tmp_path: Path, machine: Machine):
    machine.install(VERSION)
    (marker(machine) / "adopted").mkdir()
    (marker(machine) / "adopted/begun").touch()
    assert "run up again, then release" in release(machine, plan_of(tmp_path)).failures[0]
    assert machine.lib.exists()
