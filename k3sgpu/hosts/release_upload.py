"""Uploads a release to one machine: asks it which files it has, sends the others, and has each one checked
there."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import asyncssh

from k3sgpu.foreign_text import escape
from k3sgpu.handoff.inventory import SshTarget
from k3sgpu.handoff.release_upload import UploadPlan
from k3sgpu.hosts import scripts
from k3sgpu.hosts.ssh import Failure, Login, connect
from k3sgpu.hosts.ssh_errors import connection_problem
from k3sgpu.report import Report, as_text
from k3sgpu.timeouts import UPLOAD_ANSWER_SECONDS, UPLOAD_STALL_SECONDS

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""uname -m → the name of the architecture in k3s's releases."""
CHUNK_BYTES = 256 * 1024
MIB = 1024 * 1024

_TRY_AGAIN = "look at the network and at its disk, then run up again; files that arrived are kept"


class UploadError(Exception):
    """A machine did not get its files. The text is for the user."""


async def upload_release(plan: UploadPlan, logins: Mapping[str, Login], folder: Path) -> str:
    """Uploads the files of `folder` that the machine of `plan` lacks, and returns one line that names them.

    Raises UploadError when the machine cannot be reached, belongs to another stack, has an architecture that
    the folder has no files for, or does not accept a file in time.
    """
    host, release, bastion = plan["host"], plan["release"], plan["bastion"]
    jump = await _connected(bastion, logins) if bastion and host.get("jump") else None
    try:
        connection = await _connected(host, logins, jump)
        try:
            machine = _Machine(connection, plan, logins[host["name"]].sudo_password)
            architecture, *hashes = (await machine.receive()).splitlines()
            missing = _missing(plan, folder, architecture, hashes)
            for name, sha256 in missing.items():
                await machine.receive(folder / name, sha256)
        finally:
            connection.abort()
    finally:
        if jump:
            jump.abort()
    size = sum((folder / name).stat().st_size for name in missing)
    done = f"uploaded {', '.join(missing)} ({size / MIB:.0f} MiB)" if missing else "has all files"
    return f"{host['name']}: {release['version']}: {done}"


def _missing(plan: UploadPlan, folder: Path, architecture: str, hashes: list[str]) -> dict[str, str]:
    """The files that the machine lacks (name → SHA-256); `hashes` are sha256sum's lines about those it
    has."""
    files = plan["release"]["files"]
    wanted = files.get(ARCHITECTURES.get(architecture, ""))
    if wanted is None:
        raise UploadError(
            f"{plan['host']['name']}: a machine of {architecture}, "
            f"and {folder} has the release for {' and '.join(sorted(files))}\n"
            "  remedy: put the binary for it there as well (k3s for x86_64, k3s-arm64 for aarch64)"
        )
    present = {Path(path).name: sha256 for sha256, path in (line.split(None, 1) for line in hashes)}
    return {name: sha256 for name, sha256 in sorted(wanted.items()) if present.get(name) != sha256}


async def _connected(
    target: SshTarget, logins: Mapping[str, Login], tunnel: asyncssh.SSHClientConnection | None = None
) -> asyncssh.SSHClientConnection:
    login = logins[target["name"]]
    connection = await connect(target, login, tunnel)
    if isinstance(connection, Failure):
        problem = connection_problem(target, connection, login.public_key)
        raise UploadError(as_text(Report("stage", {target["name"]: target["address"]}, [problem])))
    return connection


class _Machine:
    """One connection, on which receive-release.sh is run as root."""

    def __init__(self, connection: asyncssh.SSHClientConnection, plan: UploadPlan, password: str) -> None:
        self._connection, self._plan, self._password = connection, plan, password
        self._name = plan["host"]["name"]

    async def receive(self, file: Path | None = None, sha256: str = "") -> str:
        """Runs receive-release.sh and returns its output: about `file`, which it gets on stdin, or without
        one the architecture and the hashes of the files that the machine has.

        Raises UploadError with the script's own message.
        """
        stdin = ""
        script = self._script(file, sha256)
        if self._plan["host"]["user"] == "root":
            script = scripts.under_sh(script)
        else:
            script = scripts.as_root(script, password=bool(self._password))
            stdin = scripts.password_stdin(self._password, "") if self._password else ""
        what = file.name if file else "the question which files it has"
        try:
            process = await self._connection.create_process(script, encoding=None)
            # A script that refuses reads no further; its output says why.
            with suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write(stdin.encode())
                if file:
                    await self._send(process, file)
                process.stdin.write_eof()
            async with asyncio.timeout(UPLOAD_ANSWER_SECONDS):
                out, err = await asyncio.gather(process.stdout.read(), process.stderr.read())
                await process.wait_closed()
        except TimeoutError:
            raise UploadError(
                f"{self._name}: no answer to {what} within {UPLOAD_ANSWER_SECONDS} s: {_TRY_AGAIN}"
            ) from None
        except (asyncssh.Error, OSError) as error:
            raise UploadError(
                f"{self._name}: {what}: the connection broke ({escape(error)}): {_TRY_AGAIN}"
            ) from None
        if process.exit_status != 0:
            message = err.decode(errors="replace").strip()
            raise UploadError(message or f"{self._name}: {what}: exit status {process.exit_status}")
        return out.decode(errors="replace")

    def _script(self, file: Path | None, sha256: str) -> str:
        host, owner = self._plan["host"], self._plan["owner"]
        return scripts.render(
            "receive-release",
            PROJECT=owner["project"],
            STACK=owner["stack"],
            HOST=host["name"],
            ROLE=host["role"],
            VERSION=self._plan["release"]["version"],
            UNINSTALL_SCRIPT=scripts.source("uninstall"),
            NAME=file.name if file else "",
            SHA256=sha256,
        )

    async def _send(self, process: asyncssh.SSHClientProcess[bytes], file: Path) -> None:
        sent, size = 0, file.stat().st_size
        with file.open("rb") as content:
            while chunk := content.read(CHUNK_BYTES):
                process.stdin.write(chunk)
                try:
                    async with asyncio.timeout(UPLOAD_STALL_SECONDS):
                        await process.stdin.drain()
                except TimeoutError:
                    raise UploadError(
                        f"{self._name}: accepted nothing more of {file.name} for {UPLOAD_STALL_SECONDS} s, "
                        f"after {sent / MIB:.0f} of {size / MIB:.0f} MiB: {_TRY_AGAIN}"
                    ) from None
                sent += len(chunk)
