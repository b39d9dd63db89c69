"""Work on many hosts at once, each over its own SSH connection."""

import asyncio
import resource
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import asyncssh

from k3sgpu.handoff.inventory import SshTarget
from k3sgpu.hosts.ssh import Failure, Login, connect

MAX_LOGINS = 100
"""Hosts that are logged in to at the same time; more would need longer than a login may take."""

OPEN_FILES = 4096
"""Enough for a connection to each host; macOS allows 256 at first."""

Target = TypeVar("Target", bound=SshTarget)
Result = TypeVar("Result")


async def on_every_host(
    hosts: Sequence[Target],
    logins: Mapping[str, Login],
    bastion: SshTarget | None,
    work: Callable[[asyncssh.SSHClientConnection, Target], Awaitable[Result]],
    max_connections: int,
) -> dict[str, Result | Failure]:
    """Connects to every host, at most `max_connections` at once, and returns by name what `work` returned.

    Hosts with `jump` are reached through `bastion`, with one login there for all. When that login fails, its
    failure stands under the bastion's name, and these hosts have the failure `bastion`. Raises InputError for
    a host key that cannot be read.
    """
    _allow_open_files()
    opened, logging_in = asyncio.Semaphore(max_connections), asyncio.Semaphore(MAX_LOGINS)
    through_bastion = bastion and any(host.get("jump") for host in hosts)
    tunnel = await connect(bastion, logins[bastion["name"]]) if bastion and through_bastion else None

    async def one(host: Target) -> Result | Failure:
        through = tunnel if host.get("jump") else None
        if isinstance(through, Failure):
            return Failure("bastion", "not checked: no connection to the bastion")
        async with opened:
            async with logging_in:
                connection = await connect(host, logins[host["name"]], through)
            if isinstance(connection, Failure):
                return connection
            try:
                return await work(connection, host)
            finally:
                connection.abort()

    try:
        results = await asyncio.gather(*(one(host) for host in hosts))
    finally:
        if isinstance(tunnel, asyncssh.SSHClientConnection):
            tunnel.abort()
    by_name = {host["name"]: result for host, result in zip(hosts, results, strict=True)}
    return {bastion["name"]: tunnel, **by_name} if bastion and isinstance(tunnel, Failure) else by_name


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
