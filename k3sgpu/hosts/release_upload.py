"""Asks one machine which files of the release it has, and sends the others, each checked where it arrives."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncssh

from k3sgpu.hosts import scripts
from k3sgpu.hosts.ssh import Failure, Login, connect
from k3sgpu.hosts.ssh_errors import connection_problem
from k3sgpu.report import Report, as_text

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PIECE = 256 * 1024
STALL_S = 60
"""How long a machine may take none of what is sent."""
ANSWER_S = 120
"""How long it may take to hash what it has, or what came."""
MIB = 1024 * 1024


class UploadError(Exception):
    """A machine did not get its files. The text is for the user."""


async def upload_release(plan: Mapping[str, Any], logins: Mapping[str, Login], folder: Path) -> str:
    """Uploads the files of `folder` that the machine of `plan` lacks, and returns one line that names them.

    Raises UploadError when the machine cannot be reached, belongs to another stack, has an architecture that
    the folder has no files for, or does not accept a file in time.
    """
    host, release = plan["host"], plan["release"]
    jump = await _reached(plan["bastion"], logins) if host.get("jump") else None
    try:
        machine = await _reached(host, logins, jump)
        try:
            to = _Machine(machine, plan, logins[host["name"]].sudo_password)
            architecture, *sums = (await to.run()).splitlines()
            wanted = release["files"].get(ARCHITECTURES.get(architecture, ""))
            if wanted is None:
                there = " and ".join(sorted(release["files"]))
                raise UploadError(
                    f"{host['name']}: a machine of {architecture}, and {folder} has the release for {there}\n"
                    "  remedy: put the binary for it there as well (k3s for x86_64, k3s-arm64 for aarch64)"
                )
            has = {Path(path).name: sha256 for sha256, path in (line.split(None, 1) for line in sums)}
            missing = {name: sha256 for name, sha256 in wanted.items() if has.get(name) != sha256}
            for name, sha256 in missing.items():
                await to.run(folder / name, sha256)
        finally:
            machine.abort()
    finally:
        if jump:
            jump.abort()
    size = sum((folder / name).stat().st_size for name in missing)
    sent = f"brought {', '.join(missing)} ({size / MIB:.0f} MiB)" if missing else "has it all"
    return f"{host['name']}: {release['version']}: {sent}"


async def _reached(
    end: Mapping[str, Any], logins: Mapping[str, Login], tunnel: asyncssh.SSHClientConnection | None = None
) -> asyncssh.SSHClientConnection:
    login = logins[end["name"]]
    connection = await connect(end, login, tunnel)
    if isinstance(connection, Failure):
        finding = connection_problem(end, connection, login.public_key)
        raise UploadError(as_text(Report("bring", {end["name"]: end["address"]}, [finding])))
    return connection


class _Machine:
    """One connection, on which receive.sh is run as root."""

    def __init__(self, machine: asyncssh.SSHClientConnection, plan: Mapping[str, Any], password: str) -> None:
        self._machine, self._plan, self._password = machine, plan, password

    async def run(self, file: Path | None = None, sha256: str = "") -> str:
        """What receive.sh says; with a `file` it is given that. Raises UploadError with its own words."""
        host, owner = self._plan["host"], self._plan["owner"]
        script = scripts.render(
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
        begins = ""
        if host["user"] != "root":
            script = scripts.as_root(script, password=bool(self._password))
            begins = scripts.password_stdin(self._password, "") if self._password else ""
        what = file.name if file else "the question what it has"
        try:
            process = await self._machine.create_process(script, encoding=None)
            # A machine that refuses reads no further; its reason is in what it said.
            with suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write(begins.encode())
                if file:
                    await self._give(process, file)
                process.stdin.write_eof()
            async with asyncio.timeout(ANSWER_S):
                out, err = await asyncio.gather(process.stdout.read(), process.stderr.read())
                await process.wait_closed()
        except TimeoutError:
            raise UploadError(f"{host['name']}: no answer to {what} within {ANSWER_S} s: {_LOOK}") from None
        except (asyncssh.Error, OSError) as error:
            raise UploadError(f"{host['name']}: {what}: the connection broke ({error}): {_LOOK}") from None
        if process.exit_status != 0:
            words = err.decode(errors="replace").strip()
            raise UploadError(words or f"{host['name']}: {what}: ended with status {process.exit_status}")
        return out.decode(errors="replace")

    async def _give(self, process: asyncssh.SSHClientProcess[bytes], file: Path) -> None:
        sent, size = 0, file.stat().st_size
        with file.open("rb") as content:
            while piece := content.read(PIECE):
                process.stdin.write(piece)
                try:
                    async with asyncio.timeout(STALL_S):
                        await process.stdin.drain()
                except TimeoutError:
                    raise UploadError(
                        f"{self._plan['host']['name']}: took nothing more of {file.name} for {STALL_S} s, "
                        f"after {sent / MIB:.0f} of {size / MIB:.0f} MiB: {_LOOK}"
                    ) from None
                sent += len(piece)


_LOOK = "look at the network and at its disk, then run up again; what has arrived is kept"
