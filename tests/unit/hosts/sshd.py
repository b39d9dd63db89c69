"""An SSH server in this process that stands for a machine; its shell is this computer's."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import asyncssh

from k3sgpu.handoff.inventory import HostEntry
from tests.data.inventories import host_entry

LOGIN_KEY = asyncssh.generate_private_key("ssh-ed25519")
"""The only key that a server accepts."""
HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
"""The host key of a server, and the one that `host_at` pins."""
OTHER_HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
ECDSA_HOST_KEY = asyncssh.generate_private_key("ecdsa-sha2-nistp256")

Shell = Callable[[asyncssh.SSHServerProcess[Any]], Awaitable[None]]


def public_line(key: asyncssh.SSHKey) -> str:
    """A key's public half as in authorized_keys and known_hosts, without a comment."""
    return " ".join(key.export_public_key().decode().split()[:2])


def host_at(port: int, name: str = "gpu-1", **changes: Any) -> HostEntry:
    """The entry of a host whose SSH server listens on `port` of this computer."""
    return host_entry(
        name,
        **{
            "role": "agent",
            "address": "127.0.0.1",
            "port": port,
            "hostKey": public_line(HOST_KEY),
            "knownHostsFile": "~/.ssh/known_hosts",
            "privateKeyFile": "~/.ssh/id_ed25519",
            **changes,
        },
    )


async def real_shell(process: asyncssh.SSHServerProcess[str]) -> None:
    """Runs the command as a login shell would, on this computer."""
    stdin = (await process.stdin.read()).encode()
    local = await asyncio.create_subprocess_shell(
        process.command or "", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await local.communicate(stdin)
    process.stdout.write(output.decode(errors="replace"))
    process.exit(local.returncode or 0)


@contextlib.asynccontextmanager
async def sshd(
    shell: Shell = real_shell, host_keys: Sequence[asyncssh.SSHKey] = (HOST_KEY,), **options: Any
) -> AsyncIterator[int]:
    """A running server; yields its port. `options` are asyncssh.listen's."""
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=list(host_keys),
        authorized_client_keys=asyncssh.import_authorized_keys(public_line(LOGIN_KEY)),
        process_factory=shell,
        **options,
    )
    try:
        yield server.get_port()
    finally:
        server.close()
