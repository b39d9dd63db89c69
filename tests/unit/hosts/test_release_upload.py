"""A release is uploaded to a machine: an SSH server in this process, with its files below a folder."""

import asyncio
import hashlib
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from k3sgpu import settings
from k3sgpu.handoff.inventory import build_inventory
from k3sgpu.handoff.release_upload import UploadPlan, build_upload_plans
from k3sgpu.hosts import release_upload
from k3sgpu.hosts.release_upload import UploadError, upload_release
from k3sgpu.hosts.ssh import Login
from k3sgpu.settings.models.k3s import UPLOADED_RELEASES
from tests.data.stack_files import REMOVE, with_
from tests.unit.hosts import sudo
from tests.unit.hosts.shells import SHELLS
from tests.unit.hosts.sshd import HOST_KEY, LOGIN_KEY, public_line, sshd

VERSION = "v1.36.2+k3s1"
BIG = 6 * 1024 * 1024
"""More than the buffers of both ends of a connection hold (some 4 MiB)."""


@dataclass
class Machine:
    """`folder` is its root, `shell` its sh, `ran` the scripts that it was sent."""

    folder: Path
    shell: str = "sh"
    stalls: bool = False
    """Whether it accepts nothing more after the first script."""
    ran: list[str] = field(default_factory=list)

    @property
    def lib(self) -> Path:
        return self.folder / "usr/local/lib/k3s-gpu-sharing"

    def releases(self) -> dict[str, bytes]:
        """Its releases' files, by path below their folder."""
        top = self.lib / "release"
        return {str(file.relative_to(top)): file.read_bytes() for file in top.rglob("*") if file.is_file()}

    async def run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        script = (process.command or "").replace("/usr/local/", f"{self.folder}/usr/local/")
        for path in ("/etc/k3s-gpu-sharing", "/etc/systemd"):
            script = script.replace(path, f"{self.folder}{path}")
        self.ran.append(script)
        if self.stalls and len(self.ran) > 1:
            await asyncio.sleep(60)
        local = await asyncio.create_subprocess_exec(
            *self.shell.split(), "-c", script,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, err = await local.communicate(await process.stdin.read())
        process.stdout.write(out)
        process.stderr.write(err)
        process.exit(local.returncode or 0)


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


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def plan_of(folder: Path, **changes: Any) -> UploadPlan:
    """The upload plan for gpu-1 of a stack file, at this computer's address. `changes`: of the stack file."""
    key = public_line(HOST_KEY)
    stack_file = {
        "k3s/mirror": REMOVE,
        "k3s/airGap": "releases",
        "pools/control/hosts/server-1": {"address": "10.0.0.11", "hostKey": key},
        "pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "hostKey": key},
        **changes,
    }
    parsed = settings.parse(with_(stack_file))
    (folder / "key").write_bytes(LOGIN_KEY.export_private_key())
    inventory = build_inventory(parsed, settings.resolve_ssh(parsed, folder), "k3s-gpu-sharing", "lab")
    files = settings.resolve_release_files(parsed, folder)
    plan = build_upload_plans(parsed, files, inventory)["gpu-1"]
    return {**plan, "host": {**plan["host"], "address": "127.0.0.1"}}


def upload(machine: Machine, plan: UploadPlan, password: str = "") -> str:
    """Carries the plan out on this machine."""

    async def run() -> str:
        async with sshd(shell=machine.run, encoding=None) as port:
            here: UploadPlan = {**plan, "host": {**plan["host"], "port": port}}
            folder = Path(plan["release"]["folder"])
            return await upload_release(here, {"gpu-1": Login(LOGIN_KEY, password)}, folder)

    return asyncio.run(run())


@pytest.fixture
def amd64(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Machines are x86_64, whatever this computer is."""
    monkeypatch.setitem(release_upload.ARCHITECTURES, "aarch64", "amd64")


@pytest.mark.parametrize("shell", SHELLS)
def test_machine_gets_the_files_that_it_lacks(
    tmp_path: Path, machine: Machine, release: dict[str, bytes], amd64: None, shell: str
):
    machine.shell = shell
    plan = plan_of(tmp_path)
    uploaded = f"gpu-1: {VERSION}: uploaded"
    assert upload(machine, plan) == f"{uploaded} install.sh, k3s, sha256sum-amd64.txt (6 MiB)"
    expected = {f"{VERSION}/{name}": release[name] for name in ("install.sh", "sha256sum-amd64.txt", "k3s")}
    assert machine.releases() == expected
    assert {file.stat().st_mode & 0o77 for file in (machine.lib / "release").rglob("*")} == {0}
    assert "host=gpu-1" in (machine.folder / "etc/k3s-gpu-sharing/owner").read_text()
    assert (machine.lib / "clean").exists(), "the uninstall script comes first"

    assert UPLOADED_RELEASES == "file:///usr/local/lib/k3s-gpu-sharing/release", "as in converge"

    assert upload(machine, plan) == f"gpu-1: {VERSION}: has all files"
    (machine.lib / "release" / VERSION / "k3s").write_text("half of it")
    (machine.lib / "release" / VERSION / "k3s.came").write_text("cut off")
    (machine.lib / "release/v1.35.1+k3s1").mkdir()
    (machine.lib / "release/v1.35.1+k3s1/k3s").write_text("the release before")
    assert upload(machine, plan) == f"{uploaded} k3s (6 MiB)"
    assert machine.releases() == expected


@pytest.mark.parametrize("password", ["", "sesame"])
def test_login_that_is_not_root_uploads_with_sudo(
    tmp_path: Path,
    machine: Machine,
    release: dict[str, bytes],
    amd64: None,
    monkeypatch: pytest.MonkeyPatch,
    password: str,
):
    (tmp_path / "bin").mkdir()
    sudo.install(tmp_path / "bin", monkeypatch, free=not password)
    upload(machine, plan_of(tmp_path, **{"ssh/user": "me"}), password)
    assert machine.releases()[f"{VERSION}/k3s"] == release["k3s"]
    assert not password or password not in "".join(machine.ran) + sudo.arguments(tmp_path / "bin")


def test_machine_of_another_stack_is_left_unchanged(
    tmp_path: Path, machine: Machine, release: dict[str, bytes], amd64: None
):
    owner = machine.folder / "etc/k3s-gpu-sharing/owner"
    owner.parent.mkdir(parents=True)
    owner.write_text("project=k3s-gpu-sharing\nstack=other\nhost=gpu-9\n")
    plan = plan_of(tmp_path)
    with pytest.raises(UploadError, match=r"belongs to .*stack=other") as refused:
        upload(machine, plan)
    assert "remedy: keep its old key" in str(refused.value)
    assert not machine.lib.exists() and len(machine.ran) == 1


def test_architecture_without_a_release_is_refused(
    tmp_path: Path, machine: Machine, release: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
):
    plan = plan_of(tmp_path)
    monkeypatch.setattr(release_upload, "ARCHITECTURES", {})
    with pytest.raises(UploadError, match=r"releases/v1.36.2\+k3s1 has the release for amd64 and arm64"):
        upload(machine, plan)


def test_file_that_changed_on_the_way_is_not_kept(
    tmp_path: Path, machine: Machine, release: dict[str, bytes], amd64: None
):
    plan = plan_of(tmp_path)
    (tmp_path / "releases" / VERSION / "k3s").write_text("another")
    with pytest.raises(UploadError, match=f"k3s, as received, has sha256 {sha256(b'another')}"):
        upload(machine, plan)
    assert f"{VERSION}/k3s" not in machine.releases()


def test_machine_that_accepts_nothing_more_fails_the_upload(
    tmp_path: Path, machine: Machine, release: dict[str, bytes], amd64: None, monkeypatch: pytest.MonkeyPatch
):
    plan = plan_of(tmp_path)
    monkeypatch.setattr(release_upload, "UPLOAD_STALL_SECONDS", 1)
    (machine.lib / "release" / VERSION).mkdir(parents=True)
    for name in ("install.sh", "sha256sum-amd64.txt"):
        (machine.lib / "release" / VERSION / name).write_bytes(release[name])
    machine.stalls = True
    with pytest.raises(UploadError, match=r"accepted nothing more of k3s for 1 s, after \d of 6 MiB"):
        upload(machine, plan)


def test_machine_that_cannot_be_reached_is_reported_as_doctor_does(tmp_path: Path, release: dict[str, bytes]):
    plan = plan_of(tmp_path)
    plan["host"]["port"] = 1
    with pytest.raises(UploadError, match=r"error: connection\n +found: +127\.0\.0\.1 port 1"):
        asyncio.run(upload_release(plan, {"gpu-1": Login(LOGIN_KEY)}, tmp_path))
