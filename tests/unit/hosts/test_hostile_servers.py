"""Hostile SSH servers: each is a problem of its own host, in time, while the other hosts are checked."""

import asyncio
import contextlib
import re
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import asyncssh
import pytest

from k3sgpu.doctor.host_check import check_hosts
from k3sgpu.hosts import facts, ssh
from k3sgpu.hosts.fact_forms import FORMS
from k3sgpu.hosts.ssh import Login
from k3sgpu.report import Report, as_text
from tests.data.inventories import inventory_of
from tests.unit.hosts.sshd import LOGIN_KEY, host_at, sshd

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
VERSION = b"SSH-2.0-OpenSSH_9.2\r\n"
"""What a right server says first."""


def packet(payload: bytes) -> bytes:
    """A packet before encryption begins."""
    padding = 8 - (len(payload) + 5) % 8 + 8
    return struct.pack(">IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


def kexinit(names: bytes, lists: int = 10) -> bytes:
    """A KEXINIT whose lists of names all are `names`."""
    text = struct.pack(">I", len(names)) + names
    return packet(b"\x14" + bytes(16) + text * lists + bytes(5))


def sends(*chunks: bytes, pause: float = 0, end: bool = True) -> Talk:
    """A server that sends chunks and then hangs up, or says nothing more."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(pause)
        if not end:
            await asyncio.sleep(60)

    return talk


def repeats(chunk: bytes, first: bytes = b"", pause: float = 0) -> Talk:
    """A server that never stops sending."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while True:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(pause)

    return talk


ESCAPES = b"\x1b[2J\x1b]0;owned\x07\r::error::owned"
BEFORE_LOGIN: dict[str, Talk] = {
    "no UTF-8 in the version line": sends(b"SSH-2.0-\xff\xfe\xe9\r\n", end=False),
    "escape sequences in the version line": sends(b"SSH-2.0-" + ESCAPES + b"\r\n" + packet(b"\x01")),
    "a version line without an end": sends(b"SSH-2.0-OpenSSH" + b"x" * 200, end=False),
    "a version line of a mebibyte": sends(b"SSH-2.0-" + b"x" * 2**20 + b"\r\n", end=False),
    "version 1.99 and nothing more": sends(b"SSH-1.99-old\r\n", end=False),
    "version 1.5": sends(b"SSH-1.5-old\r\n", end=False),
    "an empty version": sends(b"SSH-2.0-\r\n", end=False),
    "NUL bytes": sends(bytes(4096), end=False),
    "an endless banner": repeats(b"welcome\r\n"),
    "an endless line": repeats(b"welcome "),
    "escape sequences as banner": sends(ESCAPES + b"\n", VERSION, packet(b"\x01"), end=False),
    "nothing": sends(end=False),
    "hangs up at once": sends(),
    "hangs up after the version": sends(VERSION),
    "hangs up after KEXINIT": sends(VERSION, kexinit(b"curve25519-sha256")),
    "a byte a moment": repeats(b"S", pause=0.2),
    "garbage for KEXINIT": sends(VERSION, packet(b"\x14" + bytes(16) + b"\xff" * 64), end=False),
    "a KEXINIT that is cut": sends(VERSION, packet(b"\x14" + bytes(3)), end=False),
    "no ASCII in KEXINIT": sends(VERSION, kexinit(b"\xff\xfe"), end=False),
    "no algorithms in KEXINIT": sends(VERSION, kexinit(b""), end=False),
    "escape sequences in KEXINIT": sends(VERSION, kexinit(ESCAPES), end=False),
    "a packet of length zero": sends(VERSION, bytes(64), end=False),
    "a packet of length one": sends(VERSION, struct.pack(">I", 1) + bytes(64), end=False),
    "a packet of 4 GiB": sends(VERSION, b"\xff" * 64, end=False),
    "padding longer than its packet": sends(VERSION, struct.pack(">IB", 12, 255) + bytes(64), end=False),
    "an unknown message": sends(VERSION, packet(b"\xfb" + bytes(20)), end=False),
    "a success before the login": sends(VERSION, packet(b"\x34"), end=False),
    "a disconnect with escape sequences": sends(
        VERSION, packet(b"\x01" + struct.pack(">II", 2, len(ESCAPES)) + ESCAPES + bytes(4)), end=False
    ),
    "a disconnect without UTF-8": sends(
        VERSION, packet(b"\x01" + struct.pack(">II", 2, 2) + b"\xff\xfe" + bytes(4)), end=False
    ),
    "endless debug messages": repeats(
        packet(b"\x04\x01" + struct.pack(">I", 7) + ESCAPES[:7] + bytes(4)), VERSION
    ),
    "endless ignored messages": repeats(packet(b"\x02" + struct.pack(">I", 4) + bytes(4)), VERSION),
}


@contextlib.asynccontextmanager
async def listening(talk: Talk) -> AsyncIterator[int]:
    """A server that talks to each connection and reads nothing; yields its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()


Shell = Callable[[asyncssh.SSHServerProcess[Any]], Awaitable[None]]
GOOD = "kernel\tLinux\nos\tDebian\ncpus\t4\nmemory-kib\t8000000\nend\tok\n"
NAMES = sorted(
    set(re.findall(r"\b(?:say|each) ([a-z][a-z0-9-]+)", facts.SCRIPT.read_text())) - {"end", *FORMS}
)
"""The names of all facts that are texts."""


def prints(text: str | bytes, status: int | None = 0) -> Shell:
    """A machine that prints a text in place of facts; without a `status` it sends none."""

    async def shell(process: asyncssh.SSHServerProcess[Any]) -> None:
        process.stdout.write(text.encode(errors="surrogateescape") if isinstance(text, str) else text)
        if status is None:
            process.close()
        else:
            process.exit(status)

    return shell


def floods(chunk: bytes, *, stderr: bool = False, pause: float = 0) -> Shell:
    """A machine whose output never ends."""

    async def shell(process: asyncssh.SSHServerProcess[Any]) -> None:
        stream = process.stderr if stderr else process.stdout
        with contextlib.suppress(OSError, asyncssh.Error):
            while True:
                stream.write(chunk)
                await stream.drain()
                await asyncio.sleep(pause)

    return shell


async def never_ends(process: asyncssh.SSHServerProcess[Any]) -> None:
    process.stdout.write(GOOD.encode())
    await asyncio.sleep(60)


async def breaks_off(process: asyncssh.SSHServerProcess[Any]) -> None:
    process.stdout.write(GOOD[:30].encode())
    process.channel.get_connection().abort()


def raw_message(number: int, payload: bytes) -> Shell:
    """A machine that sends a broken message in place of an answer."""

    async def shell(process: asyncssh.SSHServerProcess[Any]) -> None:
        process.channel.get_connection().send_packet(number, payload)
        await asyncio.sleep(60)

    return shell


def lies(value: str) -> Shell:
    """A machine that gives every fact the same value, and several times."""
    return prints("".join(f"{name}\t{value}\n" * 2 for name in NAMES) + "end\tok\n")


AFTER_LOGIN: dict[str, Shell] = {
    "endless lines": floods(b"word word word\n" * 1000),
    "one endless line": floods(b"word" * 1000),
    "endless facts": floods(b"tool\tawk\n" * 1000),
    "endless empty lines": floods(b"\n" * 1000),
    "a flood on stderr": floods(b"\x1b[31merror\n" * 1000, stderr=True),
    "a byte a moment": floods(b"k", pause=0.1),
    "output that never ends": never_ends,
    "a connection that breaks": breaks_off,
    "no output": prints(""),
    "no end": prints("kernel\tLinux\n"),
    "no exit status and no end": prints("kernel\tLinux\n", None),
    "no text": prints(bytes(range(256)) * 20),
    "escape sequences": prints(ESCAPES + b"\n"),
    "a number of 5,000 digits": prints(GOOD.replace("4\n", "9" * 5000 + "\n")),
    "a memory of 5,000 digits": prints(GOOD.replace("8000000", "9" * 5000)),
    "a number with Unicode digits": prints(GOOD.replace("4\n", "٤\n")),
    "a negative number": prints(GOOD.replace("4\n", "-4\n")),
    "a number with a fraction": prints(GOOD.replace("4\n", "4e3\n")),
    "a time that is no number": prints("time\tnow\n" + GOOD),
    "a time of 5,000 digits": prints("time\t" + "1" * 5000 + "\n" + GOOD),
    "a port that is no number": prints("listens\tport\n" + GOOD),
    "a port of 5,000 digits": prints("listens-udp\t" + "F" * 5000 + "\n" + GOOD),
    "a command in a name": prints("unknown-name\t$(reboot)\n" + GOOD),
    "a command in a kernel's release": prints('kernel-release\t"; reboot; "\n' + GOOD),
    "a command in the owner": prints("owner\tstack `reboot`\n" + GOOD),
    "a command in a download": prints("download\thttps://a/';reboot' 000 curl 6\n" + GOOD),
    "escape sequences in every fact": lies("\x1b[2J\x1b]0;x\x07::error::no\r##[error]no"),
    "long values in every fact": lies("x" * 1000),
    "lone marks in every fact": lies("% - [ ( { / :"),
    "addresses without sense in every fact": lies("999.1.1.1/99 fe80::%\x1b eth0"),
    "a broken exit status": raw_message(98, bytes(3)),
    "an exit signal without text": raw_message(
        98, struct.pack(">II", 0, 11) + b"exit-signal\0" + b"\xff" * 9
    ),
    "data for another channel": raw_message(94, struct.pack(">II", 77, 4) + b"data"),
    "an unknown message": raw_message(250, b"\xff" * 40),
    "a request without a name": raw_message(80, b"\xff" * 4),
}


def report_about(servers: Mapping[str, AbstractAsyncContextManager[int]]) -> Report:
    """The report about all servers, which are asked at once. None of them says what a terminal obeys."""

    async def run() -> Report:
        async with contextlib.AsyncExitStack() as stack:
            hosts = [
                host_at(await stack.enter_async_context(server), name) for name, server in servers.items()
            ]
            logins = {host["name"]: Login(LOGIN_KEY) for host in hosts}
            return (await asyncio.to_thread(check_hosts, inventory_of(*hosts), logins))[0]

    report = asyncio.run(run())
    text = as_text(report)
    assert {char for char in text if not char.isprintable()} == {"\n"}
    assert not re.search("^ *::|##\\[", text, re.MULTILINE)
    assert max(len(problem.found + problem.remedy) for problem in report.problems) < 10_000
    return report


def checks_by_host(report: Report) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for problem in report.problems:
        found.setdefault(problem.where, set()).add(problem.check)
    return found


def test_server_that_is_hostile_before_the_login_is_a_problem_of_its_host(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ssh, "SSH_CONNECT_SECONDS", 2)
    report = report_about({name: listening(talk) for name, talk in BEFORE_LOGIN.items()})
    assert checks_by_host(report) == {key: {"connection"} for key in BEFORE_LOGIN}
    assert "\\x1b[2J" in as_text(report)


def test_machine_that_lies_is_a_problem_of_its_host(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ssh, "SSH_CONNECT_SECONDS", 60)
    monkeypatch.setattr(facts, "FACTS_SECONDS", 5)
    shells = {**AFTER_LOGIN, "right": prints(GOOD), "right, without a status": prints(GOOD, None)}
    report = report_about({name: sshd(shell, encoding=None) for name, shell in shells.items()})
    found = checks_by_host(report)
    broken = [name for name in AFTER_LOGIN if not name.endswith("every fact")]
    assert {name: found[name] for name in broken} == {key: {"facts"} for key in broken}
    for name in set(shells) - set(broken):
        assert found[name] >= {"system", "cgroup"}, name
    for name in ("right", "right, without a status"):
        assert "Debian, 4 CPUs" in report.subjects[name]
