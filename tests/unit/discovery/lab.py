"""Machines that `new` looks at: SSH servers in this process that answer with captured facts."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import asyncssh
import pytest

from k3sgpu.hosts import ssh
from tests.data.machines import DEBIAN, GPU, facts
from tests.unit.hosts.sshd import LOGIN_KEY, sshd

SUDO = "open sesame"


@dataclass
class LabMachine:
    """A machine at an address, with its facts and its host key."""

    address: str
    facts: str
    host_key: asyncssh.SSHKey
    port: int = 22

    async def answer(self, process: asyncssh.SSHServerProcess[str]) -> None:
        """Prints the facts, as facts.sh would."""
        password, _, _ = (await process.stdin.read()).partition("\n")
        text = self.facts
        if "a password is required" in text and password == SUDO:
            text = text.replace("privileges\tnone", "privileges\tsudo").replace("sudo-said\t", "x\t")
        process.stdout.write(text)
        process.exit(0)


def lab_machine(
    address: str, hostname: str, *, gpu: bool = False, port: int = 22, **changes: Any
) -> LabMachine:
    """A Debian machine at `address`, with a 2080 Ti where `gpu`; `changes` are of its facts."""
    own = {
        "hostname": hostname,
        "machine_id": address.replace(".", "0") + "a",
        "address": ("127.0.0.1 lo", f"{address} eth0"),
        **changes,
    }
    values = facts(DEBIAN + GPU if gpu else DEBIAN, **own).values
    lines = [f"{name}\t{value}\n" for name, found in values.items() if name != "end" for value in found]
    key = asyncssh.generate_private_key("ssh-ed25519")
    return LabMachine(address, "".join(lines) + "end\tok\n", key, port)


class Lab:
    """Runs machines in a thread, and leads connections to their addresses there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ports: dict[tuple[str, int], int] = {}
        self._loop = asyncio.new_event_loop()
        self._stack = contextlib.AsyncExitStack()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        dial = ssh._dial

        async def to_lab(address: str, port: int) -> Any:
            local = self._ports.get((address, port))
            if local is None:
                raise ConnectionRefusedError
            return await dial("127.0.0.1", local)

        monkeypatch.setattr(ssh, "_dial", to_lab)

    def add(self, *machines: LabMachine) -> None:
        """Starts machines."""
        for machine in machines:
            server = self._stack.enter_async_context(sshd(machine.answer, (machine.host_key,)))
            port = asyncio.run_coroutine_threadsafe(server, self._loop).result(10)
            self._ports[machine.address, machine.port] = port

    def close(self) -> None:
        """Stops all machines."""
        asyncio.run_coroutine_threadsafe(self._stack.aclose(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@contextlib.contextmanager
def running_lab(monkeypatch: pytest.MonkeyPatch, home: Any) -> Iterator[Lab]:
    """A lab, and a home directory with the key that its machines accept; the working directory is `home`."""
    (home / ".ssh").mkdir()
    (home / ".ssh/id_ed25519").write_text(LOGIN_KEY.export_private_key().decode())
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.chdir(home)
    lab = Lab(monkeypatch)
    try:
        yield lab
    finally:
        lab.close()
