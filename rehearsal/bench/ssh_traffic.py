"""(g) What goes over SSH to each machine, counted by its packet filter."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rehearsal.lab.machine_records import RunningMachine
from rehearsal.lab.trace import logins
from rehearsal.process import run

# A rule without a target only counts.
RULES = (("INPUT", "--dport"), ("OUTPUT", "--sport"))
COUNTED = re.compile(r"^\s*\d+\s+(\d+)\s+(?:tcp|6) .*[ds]pt:22\s*$", re.MULTILINE)
SECONDS = 20


@dataclass(frozen=True)
class Traffic:
    """Of one machine: logins, and bytes on the wire to and from its port 22."""

    logins: int
    sent_to: int
    came_from: int


def begin(booted: Mapping[str, RunningMachine]) -> None:
    """Lays the counters, at nothing."""
    for one in booted.values():
        for chain, port in RULES:
            _iptables(one, "--insert", chain, "--protocol", "tcp", port, "22")


def end(booted: Mapping[str, RunningMachine], since: float, until: float) -> dict[str, Traffic]:
    """By host: what there was since `begin`, between two moments (seconds since the epoch)."""
    counted = {host: [read(_listing(one, chain)) for chain, _ in RULES] for host, one in booted.items()}
    logged = logins(booted, since, until)
    return {host: Traffic(logged[host], *counts) for host, counts in counted.items()}


def read(listing: str) -> int:
    """Bytes of the counter in `iptables --list`; 0 where there is none."""
    found = COUNTED.search(listing)
    return int(found[1]) if found else 0


def _listing(one: RunningMachine, chain: str) -> str:
    return _iptables(one, "--list", chain, "--numeric", "--verbose", "--exact")


def _iptables(one: RunningMachine, *words: str) -> str:
    """In the machine's network, with the machine's own iptables: no login is needed for it."""
    inside = ["ip", "netns", "exec", one.name, "chroot", one.root, "/usr/sbin/iptables", "--wait"]
    return run([*inside, *words], timeout=SECONDS)
