"""Runs a script on another machine over SSH, as command:remote:Command does. Host keys are checked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Final

import asyncssh

from rehearsal.plugins.command.output import Output
from rehearsal.plugins.server import Failure

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
    options = _options(connection)
    async with await _dial(connection, options, status, cancelled) as client:
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


def _options(connection: dict[str, Any]) -> asyncssh.SSHClientConnectionOptions:
    """Raises Failure, without the text, when a key cannot be read."""
    try:
        host_key = asyncssh.import_public_key(connection["hostKey"])
    except (asyncssh.KeyImportError, ValueError):
        raise Failure("failed to parse host key: expected the form of authorized_keys") from None
    keys = []
    if connection.get("privateKey"):
        try:
            keys = [asyncssh.import_private_key(connection["privateKey"])]
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError):
            raise Failure(
                "the private key cannot be read: expected an OpenSSH or PEM key without passphrase"
            ) from None
    limit = connection["perDialTimeout"] or None
    return asyncssh.SSHClientConnectionOptions(
        config=[],
        username=connection["user"],
        client_keys=keys,
        agent_path=None,
        preferred_auth=["publickey"],
        known_hosts=([host_key], [], []),
        connect_timeout=limit,
        login_timeout=limit or 0,
    )


async def _dial(
    connection: dict[str, Any],
    options: asyncssh.SSHClientConnectionOptions,
    status: Callable[[str], None],
    cancelled: threading.Event,
) -> asyncssh.SSHClientConnection:
    limit, failed, delay = connection["dialErrorLimit"], 0, FIRST_DELAY
    while True:
        try:
            return await asyncssh.connect(connection["host"], int(connection["port"]), options=options)
        except (asyncssh.Error, OSError, TimeoutError) as error:
            reason = _reason(error, connection)
        if -1 < limit < failed + 1:
            raise Failure(f"after {failed} failed attempts: {reason}")
        failed += 1
        status(f"Dial {failed}/{'inf' if limit == -1 else limit} failed: retrying")
        await asyncio.sleep(delay)
        if cancelled.is_set():
            raise Failure("context canceled")
        delay = min(delay * DELAY_FACTOR, LONGEST_DELAY)


def _reason(error: Exception, connection: dict[str, Any]) -> str:
    address = f"{connection['host']}:{int(connection['port'])}"
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return "ssh: handshake failed: ssh: host key mismatch"
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
