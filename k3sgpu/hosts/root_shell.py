"""Runs scripts of this program as root, over one SSH connection, with bounds for what the machine does."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import asyncssh

from k3sgpu.foreign_text import escape, escape_lines
from k3sgpu.handoff.inventory import SshTarget
from k3sgpu.hosts import scripts
from k3sgpu.timeouts import UPLOAD_STALL_SECONDS

CHUNK_BYTES = 256 * 1024
MAX_OUTPUT = 256 * 1024
"""Bytes of one stream. Our scripts print a few lines; a machine that prints more runs something else."""
MAX_MESSAGE = 10_000
"""Characters of a script's own message."""
MIB = 1024 * 1024

_TRY_AGAIN = "look at the network and at its disk, then run up again; files that arrived are kept"

Process = asyncssh.SSHClientProcess[bytes]


class ScriptError(Exception):
    """A script did not succeed on a machine. The text is for the user."""


class RootShell:
    """Runs scripts on `target`, of which `connection` is a login, with the password of its sudo."""

    def __init__(
        self, connection: asyncssh.SSHClientConnection, target: SshTarget, sudo_password: str
    ) -> None:
        self._connection, self._password = connection, sudo_password
        self._name, self._is_root = target["name"], target["user"] == "root"

    async def run(
        self,
        script: str,
        what: str,
        silence_seconds: int,
        stdin: str = "",
        file: Path | None = None,
        on_line: Callable[[str], None] = lambda line: None,
    ) -> list[str]:
        """Runs `script` and returns the lines of its output; each is passed to `on_line` when it arrives.

        Its stdin is `stdin` or else the content of `file`. `what` names the step in messages. Raises
        ScriptError with the script's own message; when it prints nothing for `silence_seconds`; or when it
        accepts no more of the file for UPLOAD_STALL_SECONDS.
        """
        command, first = self._as_root(script)
        try:
            async with asyncio.timeout(silence_seconds):
                process = await self._connection.create_process(command, encoding=None)
            # A script that refuses reads no further; its output says why.
            with suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write((first + stdin).encode())
                if file:
                    await self._send(process, file)
                process.stdin.write_eof()
            lines, message = await asyncio.gather(
                self._read_lines(process, what, silence_seconds, on_line), self._read_message(process)
            )
            async with asyncio.timeout(silence_seconds):
                await process.wait_closed()
        except TimeoutError:
            raise ScriptError(
                f"{self._name}: {what}: no answer within {silence_seconds} s: {_TRY_AGAIN}"
            ) from None
        except (asyncssh.Error, OSError) as error:
            raise ScriptError(
                f"{self._name}: {what}: the connection broke ({escape(error)}): {_TRY_AGAIN}"
            ) from None
        if process.exit_status != 0:
            raise ScriptError(message or f"{self._name}: {what}: exit status {process.exit_status}")
        return lines

    def _as_root(self, script: str) -> tuple[str, str]:
        """The command line, and what comes before the script's own stdin."""
        if self._is_root:
            return scripts.under_sh(script), ""
        stdin = scripts.password_stdin(self._password, "") if self._password else ""
        return scripts.as_root(script, password=bool(self._password)), stdin

    async def _read_lines(
        self, process: Process, what: str, silence_seconds: int, on_line: Callable[[str], None]
    ) -> list[str]:
        lines, size, rest = list[str](), 0, b""
        while True:
            async with asyncio.timeout(silence_seconds):
                chunk = await process.stdout.read(CHUNK_BYTES)
            size += len(chunk)
            if size > MAX_OUTPUT:
                raise ScriptError(f"{self._name}: {what}: more than {MAX_OUTPUT} bytes of output")
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole if chunk else [rest] if rest else []:
                lines.append(escape(line.decode(errors="replace"), MAX_MESSAGE))
                on_line(lines[-1])
            if not chunk:
                return lines

    async def _read_message(self, process: Process) -> str:
        message = b""
        while chunk := await process.stderr.read(CHUNK_BYTES):
            message = (message + chunk)[-MAX_OUTPUT:]
        return escape_lines(message.decode(errors="replace").strip(), MAX_MESSAGE)

    async def _send(self, process: Process, file: Path) -> None:
        try:
            size, content = file.stat().st_size, file.open("rb")
        except OSError as error:
            raise ScriptError(f"{self._name}: {file} on this computer: {error.strerror}") from None
        sent = 0
        with content:
            while chunk := content.read(CHUNK_BYTES):
                process.stdin.write(chunk)
                try:
                    async with asyncio.timeout(UPLOAD_STALL_SECONDS):
                        await process.stdin.drain()
                except TimeoutError:
                    raise ScriptError(
                        f"{self._name}: accepted nothing more of {file.name} for {UPLOAD_STALL_SECONDS} s, "
                        f"after {sent / MIB:.0f} of {size / MIB:.0f} MiB: {_TRY_AGAIN}"
                    ) from None
                sent += len(chunk)
