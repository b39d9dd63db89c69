"""The IPv4 addresses of host names."""

import asyncio
import socket
from collections.abc import Iterable

from k3sgpu.hosts.ssh import Failure
from k3sgpu.timeouts import SSH_CONNECT_SECONDS


async def ipv4_addresses(names: Iterable[str]) -> dict[str, str | Failure]:
    """By name, its first IPv4 address, or why it has none. An address is its own."""
    loop = asyncio.get_running_loop()

    async def one(name: str) -> str | Failure:
        try:
            async with asyncio.timeout(SSH_CONNECT_SECONDS):
                found = await loop.getaddrinfo(name, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
        except TimeoutError:
            return Failure("name", f"no answer from the name server within {SSH_CONNECT_SECONDS} s")
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            return Failure("name", reason or "no IPv4 address")
        return str(found[0][4][0])

    unique = list(dict.fromkeys(names))
    return dict(zip(unique, await asyncio.gather(*map(one, unique)), strict=True))
