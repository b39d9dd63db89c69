"""Injections: what can be done to a machine from outside, even while SSH does not answer there."""

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
# Breaks every open SSH connection to the machine; programs that run there continue.
CUT_LOGINS = 'pkill -9 --parent "$(systemctl show --property MainPID --value ssh)" || :'


def leader(machine: RunningMachine) -> int:
    """The process id of the machine's init. Raises RehearsalError when it is off."""
    for pid in cgroups.processes(machine.name):
        if id_in_namespace(pid) == 1:
            return pid
    raise RehearsalError(f"{machine.host}: found no init, expected a running machine; see its console.log")


def id_in_namespace(pid: int) -> int | None:
    """The id of process `pid` in its innermost PID namespace; None without one, or when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    numbers = next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [])
    return int(numbers[-1]) if len(numbers) > 1 else None


def inside(machine: RunningMachine, command: str, stdin: str | None = None) -> str:
    """Runs a shell command in the machine's namespaces, without network and sshd, and returns its stdout."""
    words = ["nsenter", "--target", str(leader(machine)), "--all", "sh", "-c", command]
    return process.run(
        words, timeout=SECONDS, stdin=stdin, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin"}
    ).strip()


def filter_port(
    machine: RunningMachine, port: int, verdict: str, *, chain: str = "INPUT", peer: str = ""
) -> None:
    """Adds a firewall rule on the machine: packets to `port` get `verdict`, DROP or REJECT."""
    host = f"{'-s' if chain == 'INPUT' else '-d'} {peer}" if peer else ""
    inside(machine, f"iptables --wait -A {chain} {host} -p tcp --dport {port} -j {verdict}")


def remove_filters(machine: RunningMachine) -> None:
    """Removes all firewall rules of INPUT and OUTPUT."""
    inside(machine, "iptables --wait -F INPUT; iptables --wait -F OUTPUT")


@contextlib.contextmanager
def small_disk(machine: RunningMachine, path: str, options: str) -> Iterator[None]:
    """Mounts a tmpfs at `path` within the block, with options such as size=64k or nr_inodes=4."""
    inside(machine, f"mkdir -p {path} && mount -t tmpfs -o mode=755,{options} small {path}")
    yield
    inside(machine, f"umount -l {path}")


@contextlib.contextmanager
def remounted(machine: RunningMachine, path: str, options: str) -> Iterator[None]:
    """Remounts `path` with `options`, such as ro or noexec, within the block."""
    inside(
        machine, f"mkdir -p {path} && mount --bind {path} {path} && mount -o remount,bind,{options} {path}"
    )
    yield
    inside(machine, f"umount -l {path}")


@contextlib.contextmanager
def wrapped(machine: RunningMachine, program: str, script: str) -> Iterator[None]:
    """Puts a script in front of `program` on PATH within the block."""
    put(machine, f"/usr/local/sbin/{program}", f"#!/bin/sh\n{script}\n", "755")
    yield
    inside(machine, f"rm -f /usr/local/sbin/{program}")


@contextlib.contextmanager
def drop_in(machine: RunningMachine, unit: str, service: str) -> Iterator[None]:
    """Adds these lines to the section Service of `unit` within the block."""
    put(machine, f"/etc/systemd/system/{unit}.service.d/fault.conf", f"[Service]\n{service}\n", "644")
    inside(machine, "systemctl daemon-reload")
    yield
    inside(machine, f"rm -r /etc/systemd/system/{unit}.service.d; systemctl daemon-reload")


def put(machine: RunningMachine, path: str, text: str, mode: str) -> None:
    """Writes a file on the machine."""
    where = shlex.quote(path)
    inside(machine, f'mkdir -p "$(dirname {where})" && cat >{where} && chmod {mode} {where}', stdin=text)


def exists(machine: RunningMachine, path: str) -> bool:
    """Whether a file exists on the machine."""
    return inside(machine, f"test -e {path} && echo yes || echo no") == "yes"
