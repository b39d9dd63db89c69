"""Asks machines over SSH: all at one moment, each within a deadline, each with its host key checked."""

import asyncio
import os
import shlex
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import asyncssh
from asyncssh.constants import OPEN_ADMINISTRATIVELY_PROHIBITED

from k3sgpu.hosts import facts
from k3sgpu.problem import InputError

CONNECT_S = 15  # TCP, key exchange and login together
FACTS_S = 30  # from the question to its last answer
AT_ONCE = 100
MOST_OUTPUT = 256 * 1024  # characters; a machine that says more is not answering this question

# The login's own shell may be any; what follows is for sh, and becomes root where it can. First on stdin is
# a line with sudo's password, or an empty one. A wrong one is tried once: some systems lock a login out.
_ASK = """\
IFS= read -r password
if [ "$(id -u)" = 0 ]; then exec sh -s root ""; fi
if said=$(sudo -k -n sh -c : 2>&1 </dev/null); then exec sudo -n sh -s sudo ""; fi
[ -n "$password" ] || exec sh -s none "" "$said"
said=$(printf '%s\\n' "$password" | sudo -k -S -p '' sh -c : 2>&1) || exec sh -s wrong-password "" "$said"
{ printf '%s\\n' "$password"; exec cat; } | sudo -k -S -p '' sh -s sudo ""
"""


@dataclass(frozen=True)
class Failure:
    """Why nothing could be learnt: what is to be told about it is the rules' work."""

    kind: str
    """name | refused | unreachable | timeout | not-ssh | host-key | login | facts | forwarding | bastion"""
    detail: str
    found_key: str = ""
    """host-key: the key that the machine showed, as a public key line."""


@dataclass(frozen=True)
class Clock:
    """How far a machine's clock is ahead of ours, in seconds: somewhere between the two.

    It was read between our question and the arrival of its answer, so a slow connection widens the
    range and moves nothing.
    """

    earliest: float
    latest: float

    def distance(self, offset: float) -> float:
        """Seconds by which this clock surely differs from one that is `offset` ahead of ours."""
        return max(self.earliest - offset, offset - self.latest, 0.0)


@dataclass(frozen=True)
class Answer:
    """What one machine said. `peer` is the address that was connected to."""

    facts: facts.Facts
    clock: Clock | None
    peer: str


@dataclass(frozen=True)
class Login:
    """How to log in to one machine, and what its sudo asks for ("": nothing)."""

    key: asyncssh.SSHKey | None = field(repr=False)
    sudo_password: str = field(default="", repr=False)
    agent: str = ""
    """Where there is no key: the socket of the SSH agent that has some."""

    @property
    def public_key(self) -> str:
        """The half of the key that the machine should know; "" for those of an agent."""
        return self.key.export_public_key().decode().strip() if self.key else ""


def load_key(text: str, where: str, passphrase: str = "") -> asyncssh.SSHKey:
    """A private key from its text. Raises InputError, naming `where` it came from."""
    rewrite = "rewrite a copy of it with ssh-keygen -p -f FILE"
    if "BEGIN ENCRYPTED PRIVATE KEY" in text:
        raise InputError(
            f"the SSH key from {where} is encrypted as PKCS #8, which Pulumi's plugin cannot read; {rewrite}"
        )
    try:
        return asyncssh.import_private_key(text, passphrase or None)
    except asyncssh.KeyEncryptionError:
        raise InputError(
            f"the secret sshPrivateKeyPassphrase does not open the SSH key from {where}"
        ) from None
    except asyncssh.KeyImportError as error:
        if "assphrase" in str(error):
            raise InputError(
                f"the SSH key from {where} is protected by a passphrase, and no secret "
                f"sshPrivateKeyPassphrase came; set it, or {rewrite}"
            ) from None
        raise InputError(f"the SSH key from {where} cannot be read: {error}") from None


async def collect_facts(
    hosts: Sequence[Mapping[str, Any]],
    logins: Mapping[str, Login],
    bastion: Mapping[str, Any] | None = None,
    question: str | None = None,
) -> dict[str, Answer | Failure]:
    """Asks every host at once (at most AT_ONCE connections) and returns what each said, by name.

    Those with `jump` are asked through `bastion`: one login there serves all. Where it fails, that is
    said under the bastion's name, and theirs is the failure `bastion`.
    """
    slots = asyncio.Semaphore(AT_ONCE)
    tunnel = await connect(bastion, logins[bastion["name"]]) if bastion else None

    async def one(host: Mapping[str, Any]) -> Answer | Failure:
        through = tunnel if host.get("jump") else None
        if isinstance(through, Failure):
            return Failure("bastion", "not asked: the bastion was not reached")
        async with slots:
            return await ask(host, logins[host["name"]], through, question)

    try:
        answers = await asyncio.gather(*(one(host) for host in hosts))
    finally:
        if isinstance(tunnel, asyncssh.SSHClientConnection):
            tunnel.abort()
    told = {host["name"]: answer for host, answer in zip(hosts, answers, strict=True)}
    return {bastion["name"]: tunnel, **told} if bastion and isinstance(tunnel, Failure) else told


async def ask(
    host: Mapping[str, Any],
    login: Login,
    tunnel: asyncssh.SSHClientConnection | None = None,
    question: str | None = None,
) -> Answer | Failure:
    """Connects to one host, runs facts.sh there and returns what it said, or why it could not be asked.

    `question` is facts.sh with what the machines have to reach.
    """
    connected = await connect(host, login, tunnel)
    if isinstance(connected, Failure):
        return connected
    try:
        return await _facts(connected, login.sudo_password, question or facts.SCRIPT.read_text())
    finally:
        connected.abort()


class _Pinned(asyncssh.SSHClient):
    """Accepts the one host key that the inventory names, and remembers another one for the report."""

    def __init__(self, expected: asyncssh.SSHKey) -> None:
        self.expected = expected
        self.shown: asyncssh.SSHKey | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.shown = key
        return key == self.expected


async def connect(
    host: Mapping[str, Any], login: Login, tunnel: asyncssh.SSHClientConnection | None = None
) -> asyncssh.SSHClientConnection | Failure:
    """Logs in, through the bastion that `tunnel` leads to where there is one. Raises InputError for a
    host key
    that cannot be read."""
    try:
        expected = asyncssh.import_public_key(host["hostKey"])
    except asyncssh.KeyImportError as error:
        raise InputError(
            f"host {host['name']}: host key {host['hostKey']!r} cannot be read: {error}"
        ) from None
    pinned = _Pinned(expected)
    step = "no answer on the network: a firewall that drops, a wrong address, or a machine that is off"
    try:
        async with asyncio.timeout(CONNECT_S):
            way = await _way(host, tunnel)
            if not tunnel:
                step = "the connection was accepted, but nothing there spoke SSH"
            try:
                return await _login(host, login, pinned, way)
            except asyncssh.HostKeyNotVerifiable:
                return _other_key(pinned.shown)
            except asyncssh.KeyExchangeFailed as error:
                # It may have no key of the expected type at all; then show what it has.
                way = await _way(host, tunnel)
                shown = await asyncssh.get_server_host_key(host["address"], host["port"], config=None, **way)
                if shown is None or shown == expected:
                    return Failure("not-ssh", str(error))
                return _other_key(shown)
    except TimeoutError:
        return Failure("timeout", f"{step} (waited {CONNECT_S} s)")
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
        return Failure("unreachable", os.strerror(error.errno) if error.errno else str(error))


async def _way(host: Mapping[str, Any], tunnel: asyncssh.SSHClientConnection | None) -> dict[str, Any]:
    """What asyncssh needs to get to the host: a way of its own, or that through the bastion."""
    return {"tunnel": tunnel} if tunnel else {"sock": await _dial(host["address"], host["port"])}


def _not_forwarded(error: asyncssh.ChannelOpenError) -> Failure:
    """The bastion's word about the last part of the way."""
    if error.code == OPEN_ADMINISTRATIVELY_PROHIBITED:
        return Failure("forwarding", f"the bastion does not forward: {error.reason}")
    return Failure(
        "refused" if "refused" in error.reason else "unreachable", f"{error.reason}, says the bastion"
    )


async def _dial(address: str, port: int) -> socket.socket:
    """A TCP connection by itself, so that a silent network and a silent sshd are told apart."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(address, port, type=socket.SOCK_STREAM)
    last: OSError = OSError(f"no address for {address}")
    for family, kind, protocol, _, target in found:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, target)
            return sock
        except OSError as error:
            sock.close()
            last = error
        except BaseException:
            sock.close()
            raise
    raise last


async def _login(
    host: Mapping[str, Any], login: Login, pinned: _Pinned, way: Mapping[str, Any]
) -> asyncssh.SSHClientConnection:
    """The handshake. Nothing of this computer's own SSH configuration or known_hosts takes part."""
    return await asyncssh.connect(
        host["address"],
        host["port"],
        **way,
        username=host["user"],
        client_keys=[login.key] if login.key else None,
        agent_path=login.agent or None,
        config=None,
        preferred_auth="publickey",
        # Empty, not None: None would mean that keys are not checked. The client decides.
        known_hosts=([], [], []),
        client_factory=lambda: pinned,
        # Only the type that is pinned: a machine has keys of several types, all of them right.
        server_host_key_algs=[pinned.expected.get_algorithm()],
    )


def _other_key(shown: asyncssh.SSHKey | None) -> Failure:
    if shown is None:
        return Failure("not-ssh", "it showed no host key")
    return Failure("host-key", shown.get_fingerprint(), shown.export_public_key().decode().strip())


async def _facts(connection: asyncssh.SSHClientConnection, password: str, question: str) -> Answer | Failure:
    lines: list[str] = []
    clock = None
    status: int | None = None
    try:
        async with asyncio.timeout(FACTS_S):
            process = await connection.create_process(
                f"sh -c {shlex.quote(_ASK)}", stderr=asyncssh.STDOUT, errors="replace"
            )
            asked = time.time()
            # A login that runs no commands is gone already; what it said is read below.
            with suppress(OSError):
                process.stdin.write(f"{password.rstrip()}\n{question}")
                process.stdin.write_eof()
            size = 0
            async for line in process.stdout:
                if clock is None and line.startswith("time\t") and line[5:].strip().isdecimal():
                    now = int(line[5:])
                    clock = Clock(earliest=now - time.time(), latest=now + 1 - asked)
                size += len(line)
                if size > MOST_OUTPUT:
                    return Failure("facts", f"more than {MOST_OUTPUT} characters came back")
                lines.append(line)
            status = (await process.wait()).exit_status
    except TimeoutError:
        return Failure("facts", f"no end after {FACTS_S} s; the last it said was {_last(lines)}")
    except (asyncssh.Error, OSError) as error:
        return Failure("facts", f"the connection broke ({error}); the last it said was {_last(lines)}")
    known = facts.parse("".join(lines))
    if not known.complete:
        return Failure("facts", f"ended with status {status}; the last it said was {_last(lines)}")
    peer = ""
    with suppress(TypeError, IndexError):
        peer = str(connection.get_extra_info("peername")[0])
    return Answer(known, clock, peer)


def _last(lines: Sequence[str]) -> str:
    said = [line.strip() for line in lines if line.strip()]
    return repr(said[-1][:120].replace("\t", " ")) if said else "nothing"
