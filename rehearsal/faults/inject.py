"""What can be done to a rehearsal's machine from outside, also while SSH does not answer there."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from rehearsal import process
from rehearsal.lab import cgroups
from rehearsal.lab.machine_records import RunningMachine
from rehearsal.process import RehearsalError

SECONDS = 60
# Every SSH connection that is open to the machine breaks; what runs there runs on.
CUT_LOGINS = 'pkill -9 --parent "$(systemctl show --property MainPID --value ssh)" || :'


def leader(machine: RunningMachine) -> int:
    """The process that is the machine's init. Raises RehearsalError where none runs."""
    for pid in cgroups.processes(machine.name):
        if namespaced(pid) == 1:
            return pid
    raise RehearsalError(f"{machine.host}: found no init, expected a running machine; see its console.log")


def namespaced(pid: int) -> int | None:
    """The number that `pid` has in a namespace of its own; None where it has none, or is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    numbers = next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [])
    return int(numbers[-1]) if len(numbers) > 1 else None


def inside(machine: RunningMachine, command: str, stdin: str | None = None) -> str:
    """Runs a shell command in the machine's namespaces, past its network and its sshd: its stdout."""
    words = ["nsenter", "--target", str(leader(machine)), "--all", "sh", "-c", command]
    return process.run(
        words, timeout=SECONDS, stdin=stdin, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin"}
    ).strip()


def filter_port(
    machine: RunningMachine, port: int, verdict: str, *, chain: str = "INPUT", peer: str = ""
) -> None:
    """A firewall on the machine: what comes to (or, OUTPUT, goes to) `port` is dropped or rejected."""
    host = f"{'-s' if chain == 'INPUT' else '-d'} {peer}" if peer else ""
    inside(machine, f"iptables --wait -A {chain} {host} -p tcp --dport {port} -j {verdict}")


def no_filter(machine: RunningMachine) -> None:
    """No firewall rules of ours any more."""
    inside(machine, "iptables --wait -F INPUT; iptables --wait -F OUTPUT")


@contextlib.contextmanager
def small_disk(machine: RunningMachine, path: str, options: str) -> Iterator[None]:
    """Meanwhile a file system of its own is at `path`, with options such as size=64k or nr_inodes=4."""
    inside(machine, f"mkdir -p {path} && mount -t tmpfs -o mode=755,{options} small {path}")
    yield
    inside(machine, f"umount -l {path}")


@contextlib.contextmanager
def remounted(machine: RunningMachine, path: str, options: str) -> Iterator[None]:
    """Meanwhile `path` is a mount with `options`, such as ro or noexec; what is there stays."""
    inside(
        machine, f"mkdir -p {path} && mount --bind {path} {path} && mount -o remount,bind,{options} {path}"
    )
    yield
    inside(machine, f"umount -l {path}")


@contextlib.contextmanager
def wrapped(machine: RunningMachine, program: str, script: str) -> Iterator[None]:
    """Meanwhile `program` is found as this script first."""
    put(machine, f"/usr/local/sbin/{program}", f"#!/bin/sh\n{script}\n", "755")
    yield
    inside(machine, f"rm -f /usr/local/sbin/{program}")


@contextlib.contextmanager
def drop_in(machine: RunningMachine, unit: str, service: str) -> Iterator[None]:
    """Meanwhile these lines are in the section Service of `unit`, over what its file says."""
    put(machine, f"/etc/systemd/system/{unit}.service.d/fault.conf", f"[Service]\n{service}\n", "644")
    inside(machine, "systemctl daemon-reload")
    yield
    inside(machine, f"rm -r /etc/systemd/system/{unit}.service.d; systemctl daemon-reload")


def put(machine: RunningMachine, path: str, text: str, mode: str) -> None:
    """Writes a file on the machine."""
    where = shlex.quote(path)
    inside(machine, f'mkdir -p "$(dirname {where})" && cat >{where} && chmod {mode} {where}', stdin=text)


def exists(machine: RunningMachine, path: str) -> bool:
    return inside(machine, f"test -e {path} && echo yes || echo no") == "yes"
