"""A release is brought to a machine that an SSH server in this process plays, its files below a folder."""

import asyncio
import contextlib
import hashlib
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from k3sgpu import settings as s
from k3sgpu.cli.main import main
from k3sgpu.handoff import inventory
from k3sgpu.handoff.release_upload import build_upload_plans
from k3sgpu.hosts import release_upload
from k3sgpu.hosts.release_upload import UploadError, upload_release
from k3sgpu.hosts.ssh import Login
from k3sgpu.settings.models.k3s import UPLOADED_RELEASES
from tests.data.stack_files import REMOVE, with_
from tests.unit.hosts import sudo
from tests.unit.hosts.shells import SHELLS

OURS = asyncssh.generate_private_key("ssh-ed25519")
HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
VERSION = "v1.36.2+k3s1"
BIG = 6 * 1024 * 1024
"""More than both ends of a connection keep for each other (some 4 MiB)."""


def line(key: asyncssh.SSHKey) -> str:
    return " ".join(key.export_public_key().decode().split()[:2])


@dataclass
class Machine:
    """`folder` is its root; its sh is `shell`. `ran` are the scripts that were sent."""

    folder: Path
    shell: str = "sh"
    deaf: bool = False
    """It takes no more than the first piece of what it is sent."""
    ran: list[str] = field(default_factory=list)

    @property
    def lib(self) -> Path:
        return self.folder / "usr/local/lib/k3s-gpu-sharing"

    def has(self) -> dict[str, bytes]:
        """By path below its folder of releases."""
        top = self.lib / "release"
        return {str(file.relative_to(top)): file.read_bytes() for file in top.rglob("*") if file.is_file()}

    async def answer(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        script = (process.command or "").replace("/usr/local/", f"{self.folder}/usr/local/")
        for path in ("/etc/k3s-gpu-sharing", "/etc/systemd"):
            script = script.replace(path, f"{self.folder}{path}")
        self.ran.append(script)
        if self.deaf and len(self.ran) > 1:
            await asyncio.sleep(60)
        local = await asyncio.create_subprocess_exec(
            *self.shell.split(), "-c", script,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, err = await local.communicate(await process.stdin.read())
        process.stdout.write(out)
        process.stderr.write(err)
        process.exit(local.returncode or 0)

    @contextlib.asynccontextmanager
    async def sshd(self):
        server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[HOST_KEY],
            authorized_client_keys=asyncssh.import_authorized_keys(line(OURS)),
            process_factory=self.answer,
            encoding=None,
        )
        try:
            yield server.get_port()
        finally:
            server.close()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What lies in ./releases: the same for both architectures, under their own names."""
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


def plans(folder: Path, **changes: Any) -> dict[str, Any]:
    """By host, what `python -m k3sgpu stage` is told."""
    key = line(HOST_KEY)
    raw = with_(
        {
            "k3s/mirror": REMOVE,
            "k3s/airGap": "releases",
            "pools/control/hosts/server-1": {"address": "10.0.0.11", "hostKey": key},
            "pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "hostKey": key},
            **changes,
        }
    )
    settings = s.parse(raw)
    (folder / "key").write_bytes(OURS.export_private_key())
    access = s.resolve_ssh(settings, folder)
    hosts = inventory.build_inventory(settings, access, "k3s-gpu-sharing", "lab")
    told = build_upload_plans(settings, s.resolve_release_files(settings, folder), hosts)
    told = {name: json.loads(text) for name, text in told.items()}
    for plan in told.values():
        plan["host"]["address"] = "127.0.0.1"
    return told


def sent(machine: Machine, plan: dict[str, Any], password: str = "") -> str:
    async def run() -> str:
        async with machine.sshd() as port:
            told = {**plan, "host": {**plan["host"], "port": port}}
            folder = Path(plan["release"]["folder"])
            return await upload_release(told, {plan["host"]["name"]: Login(OURS, password)}, folder)

    return asyncio.run(run())


@pytest.fixture
def amd64(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever this computer is, machines are x86_64."""
    monkeypatch.setitem(release_upload.ARCHITECTURES, "aarch64", "amd64")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_machine_is_brought_what_it_lacks_and_no_more(
    tmp_path: Path, machine: Machine, release: dict[str, bytes], amd64: None, shell: str
):
    machine.shell = shell
    plan = plans(tmp_path)["gpu-1"]
    assert sent(machine, plan) == (f"gpu-1: {VERSION}: brought install.sh, k3s, sha256sum-amd64.txt (6 MiB)")
    expected = {f"{VERSION}/{name}": release[name] for name in ("install.sh", "sha256sum-amd64.txt", "k3s")}
    assert machine.has() == expected
    assert {file.stat().st_mode & 0o77 for file in (machine.lib / "release").rglob("*")} == {0}
    assert "host=gpu-1" in (machine.folder / "etc/k3s-gpu-sharing/owner").read_text()
    assert (machine.lib / "clean").exists(), "the way out is laid before anything else"

    assert UPLOADED_RELEASES == "file:///usr/local/lib/k3s-gpu-sharing/release", "where converge looks for it"

    assert sent(machine, plan) == f"gpu-1: {VERSION}: has it all"
    (machine.lib / "release" / VERSION / "k3s").write_text("half of it")
    (machine.lib / "release" / VERSION / "k3s.came").write_text("cut off")
    (machine.lib / "release/v1.35.1+k3s1").mkdir()
    (machine.lib / "release/v1.35.1+k3s1/k3s").write_text("the release before")
    assert sent(machine, plan) == f"gpu-1: {VERSION}: brought k3s (6 MiB)"
    assert machine.has() == expected


@pytest.mark.parametrize("password", ["", "sesame"])
def test_a_login_that_is_not_root_brings_it_through_sudo(
    tmp_path: Path,
    machine: Machine,
    release: dict[str, bytes],
    amd64: None,
    monkeypatch: pytest.MonkeyPatch,
    password: str,
):
    (tmp_path / "bin").mkdir()
    sudo.install(tmp_path / "bin", monkeypatch, free=not password)
    plan = plans(tmp_path, **{"ssh/user": "me"})["gpu-1"]
    sent(machine, plan, password)
    assert machine.has()[f"{VERSION}/k3s"] == release["k3s"]
    assert not password or password not in "".join(machine.ran) + sudo.arguments(tmp_path / "bin")


def test_somebody_elses_machine_is_left_as_it_is(
    tmp_path: Path, machine: Machine, release: dict[str, bytes], amd64: None
):
    owner = machine.folder / "etc/k3s-gpu-sharing/owner"
    owner.parent.mkdir(parents=True)
    owner.write_text("project=k3s-gpu-sharing\nstack=other\nhost=gpu-9\n")
    with pytest.raises(UploadError, match=r"belongs to .*stack=other") as refused:
        sent(machine, plans(tmp_path)["gpu-1"])
    assert "remedy: keep its old key" in str(refused.value)
    assert not machine.lib.exists() and len(machine.ran) == 1


def test_a_machine_that_the_folder_has_nothing_for(
    tmp_path: Path, machine: Machine, release: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(release_upload, "ARCHITECTURES", {})
    with pytest.raises(UploadError, match=r"releases/v1.36.2\+k3s1 has the release for amd64 and arm64"):
        sent(machine, plans(tmp_path)["gpu-1"])


def test_what_changed_on_the_way_is_not_kept(
    tmp_path: Path, machine: Machine, release: dict[str, bytes], amd64: None
):
    plan = plans(tmp_path)["gpu-1"]
    (tmp_path / "releases" / VERSION / "k3s").write_text("another")
    with pytest.raises(UploadError, match=f"k3s, as received, has sha256 {sha256(b'another')}"):
        sent(machine, plan)
    assert f"{VERSION}/k3s" not in machine.has()


def test_a_machine_that_takes_nothing_more_is_given_up(
    tmp_path: Path, machine: Machine, release: dict[str, bytes], amd64: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(release_upload, "STALL_S", 1)
    plan = plans(tmp_path)["gpu-1"]
    (machine.lib / "release" / VERSION).mkdir(parents=True)
    for name in ("install.sh", "sha256sum-amd64.txt"):
        (machine.lib / "release" / VERSION / name).write_bytes(release[name])
    machine.deaf = True
    with pytest.raises(UploadError, match=r"took nothing more of k3s for 1 s, after \d of 6 MiB"):
        sent(machine, plan)


def test_a_machine_that_is_not_reached_is_reported_as_doctor_does(tmp_path: Path, release: dict[str, bytes]):
    plan = plans(tmp_path)["gpu-1"]
    plan["host"]["port"] = 1
    with pytest.raises(UploadError, match=r"error: connection\n +found: +127\.0\.0\.1 port 1"):
        asyncio.run(upload_release(plan, {"gpu-1": Login(OURS)}, tmp_path))


def test_what_it_is_told_has_no_secret_and_no_path_of_this_computer(
    tmp_path: Path, release: dict[str, bytes]
):
    told = plans(tmp_path)
    assert told.keys() == {"server-1", "gpu-1"}
    text = json.dumps(told)
    assert "PRIVATE KEY" not in text and str(tmp_path) not in text
    assert told["gpu-1"]["release"]["folder"] == f"releases/{VERSION}"


def test_without_an_order_it_says_what_it_is_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.delenv("K3SGPU_UPLOAD_PLAN", raising=False)
    assert main(["stage"]) == 2 and "K3SGPU_UPLOAD_PLAN" in capsys.readouterr().err
