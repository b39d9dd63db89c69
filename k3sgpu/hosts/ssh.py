"""SSH connections, each within a deadline and with a pinned host key: no other key is accepted."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import asyncssh
from asyncssh.constants import OPEN_ADMINISTRATIVELY_PROHIBITED

from k3sgpu.handoff.inventory import SshTarget
from k3sgpu.problem import InputError
from k3sgpu.timeouts import SSH_CONNECT_SECONDS, SSH_KEEPALIVE_SECONDS, SSH_KEEPALIVES

Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Failure:
    """Why a machine could not be reached or asked; `ssh_errors` makes a problem of it.

    Its texts quote the other side unescaped; `ssh_errors` escapes them.
    """

    kind: str
    """name | refused | unreachable | timeout | not-ssh | host-key | login | facts | forwarding | bastion"""
    detail: str
    found_key: str = ""
    """With host-key: the key that the machine showed, as a public key line."""


@dataclass(frozen=True)
class Login:
    """How to log in to one machine, and its sudo's password ("": none is needed)."""

    key: asyncssh.SSHKey | None = field(repr=False)
    sudo_password: str = field(default="", repr=False)
    agent: str = ""
    """Without a key: the socket of the SSH agent that has keys."""

    @property
    def public_key(self) -> str:
        """The public key that the machine must accept; "" for the keys of an agent."""
        return self.key.export_public_key().decode().strip() if self.key else ""


async def connect(
    target: SshTarget, login: Login, tunnel: asyncssh.SSHClientConnection | None = None
) -> asyncssh.SSHClientConnection | Failure:
    """Logs in to `target`, through the bastion's connection `tunnel` where it is given.

    Whatever the other side sends, the outcome is a connection or a Failure, within SSH_CONNECT_SECONDS.
    Raises InputError for a host key of the inventory that cannot be read.
    """
    try:
        expected = asyncssh.import_public_key(target["hostKey"])
    except asyncssh.KeyImportError as error:
        raise InputError(
            f"host {target['name']}: host key {target['hostKey']!r} cannot be read: {error}"
        ) from None
    progress = _Progress()
    return await _bounded(_log_in(target, login, expected, tunnel, progress), progress)


async def shown_host_key(address: str, port: int, types: Sequence[str]) -> asyncssh.SSHKey | Failure:
    """The host key that a machine shows to somebody who does not know it.

    `types`: the key types to ask for, the preferred one first; the machine shows the first that it has.
    Whatever the other side sends, the outcome is a key or a Failure, within SSH_CONNECT_SECONDS.
    """
    progress = _Progress()
    return await _bounded(_ask_host_key(address, port, types, progress), progress)


async def _bounded(work: Awaitable[Outcome | Failure], progress: "_Progress") -> Outcome | Failure:
    """The outcome of work with another side, or the Failure that its exception means."""
    try:
        async with asyncio.timeout(SSH_CONNECT_SECONDS):
            return await work
    except TimeoutError:
        return Failure("timeout", f"{progress.step} (waited {SSH_CONNECT_SECONDS} s)")
    except socket.gaierror as error:
        return Failure("name", error.strerror or str(error))
    except asyncssh.PermissionDenied as error:
        return Failure("login", error.reason)
    except asyncssh.ChannelOpenError as error:
        return _not_forwarded(error)
    except asyncssh.Error as error:
        return Failure("not-ssh", error.reason)
    except ConnectionRefusedError:
        return Failure("refused", "the machine is there, but nothing listens on that port")
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else describe(error)
        return Failure("not-ssh" if progress.accepted else "unreachable", reason)
    except Exception as error:  # asyncssh passes on what its parsers raise, for instance UnicodeDecodeError
        return Failure("not-ssh", f"what it sends is no SSH: {describe(error)}")


def describe(error: Exception) -> str:
    """An error in words, also one without a text. What it quotes is foreign text."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class _Progress:
    """How far a connection has come, for the message about its failure."""

    accepted = False
    step = "no answer on the network: a firewall that drops, a wrong address, or a machine that is off"


class _PinnedHostKey(asyncssh.SSHClient):
    """Accepts the one host key that the inventory names, and keeps another one for the report."""

    def __init__(self, expected: asyncssh.SSHKey) -> None:
        self.expected = expected
        self.shown: asyncssh.SSHKey | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.shown = key
        return key == self.expected


async def _log_in(
    target: SshTarget,
    login: Login,
    expected: asyncssh.SSHKey,
    tunnel: asyncssh.SSHClientConnection | None,
    progress: _Progress,
) -> asyncssh.SSHClientConnection | Failure:
    pinned = _PinnedHostKey(expected)
    transport = await _transport(target, tunnel)
    if not tunnel:
        progress.accepted = True
        progress.step = "the connection was accepted, but nothing there spoke SSH"
    try:
        return await _handshake(target, login, pinned, transport)
    except asyncssh.HostKeyNotVerifiable:
        return _other_key(pinned.shown)
    except asyncssh.KeyExchangeFailed as error:
        # The machine may have no key of the pinned type; then the report shows the key that it has.
        transport = await _transport(target, tunnel)
        address, port = target["address"], target["port"]
        shown = await asyncssh.get_server_host_key(address, port, config=None, **transport)
        if shown is None or shown == expected:
            return Failure("not-ssh", str(error))
        return _other_key(shown)


async def _ask_host_key(
    address: str, port: int, types: Sequence[str], progress: "_Progress"
) -> asyncssh.SSHKey | Failure:
    sock = await _dial(address, port)
    progress.accepted = True
    progress.step = "the connection was accepted, but nothing there spoke SSH"
    shown = await asyncssh.get_server_host_key(
        address, port, sock=sock, config=None, server_host_key_algs=list(types)
    )
    return shown or Failure("not-ssh", "it showed no host key")


async def _transport(target: SshTarget, tunnel: asyncssh.SSHClientConnection | None) -> dict[str, Any]:
    """asyncssh's arguments for the connection below SSH: a socket, or the bastion's connection."""
    return {"tunnel": tunnel} if tunnel else {"sock": await _dial(target["address"], target["port"])}


async def _dial(address: str, port: int) -> socket.socket:
    """A TCP connection made apart from SSH, so that a silent network and a silent sshd can be told apart."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(address, port, type=socket.SOCK_STREAM)
    last: OSError = OSError(f"no address for {address}")
    for family, kind, protocol, _, endpoint in found:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, endpoint)
            return sock
        except OSError as error:
            sock.close()
            last = error
        except BaseException:
            sock.close()
            raise
    raise last


async def _handshake(
    target: SshTarget, login: Login, pinned: _PinnedHostKey, transport: Mapping[str, Any]
) -> asyncssh.SSHClientConnection:
    """Key exchange and login, without this computer's own SSH configuration and known_hosts."""
    return await asyncssh.connect(
        target["address"],
        target["port"],
        **transport,
        username=target["user"],
        client_keys=[login.key] if login.key else None,
        agent_path=login.agent or None,
        config=None,
        preferred_auth="publickey",
        # Empty, not None: None would mean that host keys are not checked. The client decides.
        known_hosts=([], [], []),
        client_factory=lambda: pinned,
        # Only the pinned type: a machine has keys of several types, and all of them are right.
        server_host_key_algs=[pinned.expected.get_algorithm()],
        # Networks forget a connection that is silent while its host downloads.
        keepalive_interval=SSH_KEEPALIVE_SECONDS,
        keepalive_count_max=SSH_KEEPALIVES,
    )


def _not_forwarded(error: asyncssh.ChannelOpenError) -> Failure:
    """The bastion did not open the connection to the host."""
    if error.code == OPEN_ADMINISTRATIVELY_PROHIBITED:
        return Failure("forwarding", f"the bastion does not forward: {error.reason}")
    kind = "refused" if "refused" in error.reason else "unreachable"
    return Failure(kind, f"{error.reason}, says the bastion")


def _other_key(shown: asyncssh.SSHKey | None) -> Failure:
    if shown is None:
        return Failure("not-ssh", "it showed no host key")
    return Failure("host-key", shown.get_fingerprint(), shown.export_public_key().decode().strip())
