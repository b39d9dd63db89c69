"""A machine for remote commands: an SSH server on loopback, in this process, with its shell."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import asyncssh


@dataclass
class Machine:
    """Where it listens, its keys, and how often somebody connected."""

    port: int
    host_key: str
    private_key: str
    other_key: asyncssh.SSHKey  # of somebody else: neither the machine's nor allowed in
    connections: list[str] = field(default_factory=list)


@contextmanager
def machine() -> Iterator[Machine]:
    """Runs the server in a thread of its own until the block ends."""
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    user_key = asyncssh.generate_private_key("ssh-ed25519")
    running = Machine(
        port=0,
        host_key=host_key.export_public_key().decode().strip(),
        private_key=user_key.export_private_key().decode(),
        other_key=asyncssh.generate_private_key("ssh-ed25519"),
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="machine", daemon=True)
    thread.start()

    class Server(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            running.connections.append("connection")

        def connection_requested(self, *wanted: object) -> bool:
            return True  # it is a bastion as well

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Server,
            server_host_keys=[host_key],
            authorized_client_keys=asyncssh.import_authorized_keys(user_key.export_public_key().decode()),
            process_factory=_shell,
            encoding=None,
        )

    acceptor = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    running.port = acceptor.get_port()
    try:
        yield running
    finally:
        loop.call_soon_threadsafe(acceptor.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


async def _shell(session: asyncssh.SSHServerProcess[bytes]) -> None:
    """Runs what was asked for, as sshd does."""
    child = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", session.command or "true"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdin and child.stdout and child.stderr
    feeding = asyncio.ensure_future(_feed(session, child.stdin))
    await asyncio.gather(_copy(child.stdout, session.stdout), _copy(child.stderr, session.stderr))
    status = await child.wait()
    feeding.cancel()
    if status < 0:
        session.exit_with_signal("KILL" if status == -signal.SIGKILL else "TERM")
    else:
        session.exit(status)


async def _feed(session: asyncssh.SSHServerProcess[bytes], target: asyncio.StreamWriter) -> None:
    while data := await session.stdin.read(65536):
        target.write(data)
        await target.drain()
    target.close()


async def _copy(source: asyncio.StreamReader, target: asyncssh.SSHWriter[bytes]) -> None:
    while data := await source.read(65536):
        target.write(data)
    await target.drain()
