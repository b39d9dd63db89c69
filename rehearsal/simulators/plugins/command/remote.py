"""Runs a script on another machine over SSH, as command:remote:Command does. Host keys are checked."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any, Final

import asyncssh

from rehearsal.simulators.plugins.command.output import Output
from rehearsal.simulators.plugins.server import Failure

# The official plugin's back-off between dials (sdk/go/common/util/retry), in seconds.
FIRST_DELAY: Final = 0.1
DELAY_FACTOR: Final = 1.5
LONGEST_DELAY: Final = 5.0


def run(
    script: str,
    connection: dict[str, Any],
    stdin: str,
    output: Output,
    status: Callable[[str], None],
    cancelled: threading.Event,
) -> None:
    """Connects and runs `script` to its end. `status` is told about failed dials.

    Raises Failure: after the allowed number of failed dials, or with the exit status and what was printed.
    A dial is bounded by perDialTimeout; the script itself has no deadline, as in the official plugin.
    """
    asyncio.run(_run(script, connection, stdin, output, status, cancelled))


async def _run(
    script: str,
    connection: dict[str, Any],
    stdin: str,
    output: Output,
    status: Callable[[str], None],
    cancelled: threading.Event,
) -> None:
    async with AsyncExitStack() as stack:
        client = await _reach(connection, stack, status, cancelled)
        try:
            process = await client.create_process(script, encoding=None)
            # The session goes with the whole exchange: a lost connection ends all three.
            await asyncio.gather(
                _feed(process, stdin),
                _copy(process.stdout, "stdout", output),
                _copy(process.stderr, "stderr", output),
            )
            await process.wait_closed()
        except (asyncssh.Error, OSError) as error:
            raise output.failure(f"connection lost: {type(error).__name__}", script) from None
        finally:
            output.finish()
        if process.exit_signal:
            name = process.exit_signal[0]
            raise output.failure(f"Process exited with status {_status_of(name)} from signal {name}", script)
        if process.exit_status is None:
            raise output.failure("wait: remote command exited without exit status or exit signal", script)
        if process.exit_status != 0:
            raise output.failure(f"Process exited with status {process.exit_status}", script)


async def _reach(
    connection: dict[str, Any],
    stack: AsyncExitStack,
    status: Callable[[str], None],
    cancelled: threading.Event,
) -> asyncssh.SSHClientConnection:
    """The machine's connection, through its proxy where it has one; `stack` closes both."""
    options, proxy = _options(connection), connection.get("proxy")
    tries = _Tries(connection["dialErrorLimit"], status, cancelled)
    where = connection["host"], int(connection["port"])
    if proxy is None:
        client = await tries.until("Dial", connection, lambda: asyncssh.connect(*where, options=options))
        return await stack.enter_async_context(client)
    try:
        proxy_options = _options(proxy)
        first = _Tries(proxy["dialErrorLimit"], status, cancelled)
        at = proxy["host"], int(proxy["port"])
        through = await first.until("Dial proxy", proxy, lambda: asyncssh.connect(*at, options=proxy_options))
        await stack.enter_async_context(through)
        # The official plugin opens the way once and repeats the handshake on it, which cannot succeed
        # where the first one failed: here each try opens a way of its own.
        client = await tries.until(
            "Dial from proxy", connection, lambda: asyncssh.connect(*where, tunnel=through, options=options)
        )
    except Failure as failure:
        raise Failure(f"proxy: {failure}") from None
    return await stack.enter_async_context(client)


def _options(connection: dict[str, Any]) -> asyncssh.SSHClientConnectionOptions:
    """Raises Failure, without the text, when a key cannot be read."""
    try:
        host_key = asyncssh.import_public_key(connection["hostKey"])
    except (asyncssh.KeyImportError, ValueError):
        raise Failure("failed to parse host key: expected the form of authorized_keys") from None
    agent = os.environ.get("SSH_AUTH_SOCK") or None
    if agent:
        _agent_answers(agent)
    keys = [_private_key(connection)] if connection.get("privateKey") else []
    limit = connection["perDialTimeout"] or None
    return asyncssh.SSHClientConnectionOptions(
        config=[],
        username=connection["user"],
        # With a key of its own the official plugin never comes to the agent's: both are "publickey".
        client_keys=keys or None,
        agent_path=None if keys else agent,
        preferred_auth=["publickey"],
        known_hosts=([host_key], [], []),
        connect_timeout=limit,
        login_timeout=limit or 0,
    )


def _private_key(connection: dict[str, Any]) -> asyncssh.SSHKey:
    """A passphrase for a key without one is refused, as is PKCS #8 with one (golang.org/x/crypto/ssh)."""
    text, passphrase = connection["privateKey"], connection.get("privateKeyPassword")
    if passphrase is None:
        with suppress(asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError):
            return asyncssh.import_private_key(text)
        raise Failure("the private key cannot be read: expected an OpenSSH or PEM key without passphrase")
    if "BEGIN ENCRYPTED PRIVATE KEY" not in text:
        with suppress(asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError):
            asyncssh.import_private_key(text)
            raise Failure("ssh: not an encrypted key")
        with suppress(asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError):
            return asyncssh.import_private_key(text, passphrase)
    raise Failure("the private key cannot be read with this passphrase: expected an OpenSSH or PEM key")


def _agent_answers(path: str) -> None:
    """The official plugin dials the agent of its environment before anything else, needed or not."""
    with socket.socket(socket.AF_UNIX) as agent:
        agent.settimeout(5)
        try:
            agent.connect(path)
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise Failure(f"dial unix {path}: connect: {reason}") from None


@dataclass(frozen=True)
class _Tries:
    """The official plugin's retries (sdk/go/common/util/retry): `limit` failures, -1 for no limit."""

    limit: int
    status: Callable[[str], None]
    cancelled: threading.Event

    async def until(
        self, what: str, connection: dict[str, Any], dial: Callable[[], Any]
    ) -> asyncssh.SSHClientConnection:
        """Retries `dial` and returns its result. Raises Failure with the last reason."""
        failed, delay = 0, FIRST_DELAY
        while True:
            try:
                return await dial()
            except (asyncssh.Error, OSError, TimeoutError) as error:
                reason = _reason(error, connection)
            if -1 < self.limit < failed + 1:
                raise Failure(f"after {failed} failed attempts: {reason}")
            failed += 1
            self.status(f"{what} {failed}/{'inf' if self.limit == -1 else self.limit} failed: retrying")
            await asyncio.sleep(delay)
            if self.cancelled.is_set():
                raise Failure("context canceled")
            delay = min(delay * DELAY_FACTOR, LONGEST_DELAY)


def _reason(error: Exception, connection: dict[str, Any]) -> str:
    address = f"{connection['host']}:{int(connection['port'])}"
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return "ssh: handshake failed: ssh: host key mismatch"
    if isinstance(error, asyncssh.ChannelOpenError):
        return f"ssh: rejected: connect failed ({error.reason})"
    if isinstance(error, asyncssh.PermissionDenied):
        return "ssh: handshake failed: ssh: unable to authenticate, no method was accepted"
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {address}: connect: connection refused"
    if isinstance(error, TimeoutError):
        return f"dial tcp {address}: i/o timeout"
    if isinstance(error, OSError):
        return f"dial tcp {address}: {(error.strerror or type(error).__name__).lower()}"
    return f"ssh: handshake failed: {type(error).__name__}"


async def _feed(process: asyncssh.SSHClientProcess[bytes], stdin: str) -> None:
    try:
        if stdin:
            process.stdin.write(stdin.encode())
            await process.stdin.drain()
        process.stdin.write_eof()
    except (BrokenPipeError, ConnectionResetError):
        pass  # A script need not read what it is given.


async def _copy(source: asyncssh.SSHReader[bytes], stream: str, output: Output) -> None:
    while data := await source.read(65536):
        output.add(stream, data)


def _status_of(name: str) -> int:
    """The shell's number for an end by signal `name`, as Go's ssh package reports it."""
    return 128 + {
        "HUP": 1,
        "INT": 2,
        "QUIT": 3,
        "ABRT": 6,
        "KILL": 9,
        "SEGV": 11,
        "PIPE": 13,
        "TERM": 15,
    }.get(name, 0)
