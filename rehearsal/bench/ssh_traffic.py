"""(g) SSH logins and bytes of each machine; its packet filter counts the bytes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rehearsal.lab.machine_records import RunningMachine
from rehearsal.lab.trace import logins
from rehearsal.process import run

# A rule without a target only counts packets.
RULES = (("INPUT", "--dport"), ("OUTPUT", "--sport"))
COUNTED = re.compile(r"^\s*\d+\s+(\d+)\s+(?:tcp|6) .*[ds]pt:22\s*$", re.MULTILINE)
SECONDS = 20


@dataclass(frozen=True)
class Traffic:
    """Logins of one machine, and bytes to and from its port 22."""

    logins: int
    sent_to: int
    came_from: int


def start_counting(machines: Mapping[str, RunningMachine]) -> None:
    """Adds the counters to the packet filter of each machine, at zero."""
    for one in machines.values():
        for chain, port in RULES:
            _iptables(one, "--insert", chain, "--protocol", "tcp", port, "22")


def read_counters(machines: Mapping[str, RunningMachine], since: float, until: float) -> dict[str, Traffic]:
    """By host: bytes since `start_counting`, and logins between two times (seconds since the epoch)."""
    counted = {
        host: [counted_bytes(_listing(one, chain)) for chain, _ in RULES] for host, one in machines.items()
    }
    logged = logins(machines, since, until)
    return {host: Traffic(logged[host], *counts) for host, counts in counted.items()}


def counted_bytes(listing: str) -> int:
    """Bytes of the counter in `iptables --list`; 0 where there is none."""
    found = COUNTED.search(listing)
    return int(found[1]) if found else 0


def _listing(one: RunningMachine, chain: str) -> str:
    return _iptables(one, "--list", chain, "--numeric", "--verbose", "--exact")


def _iptables(one: RunningMachine, *words: str) -> str:
    """Runs the machine's own iptables in its network namespace, without a login."""
    inside = ["ip", "netns", "exec", one.name, "chroot", one.root, "/usr/sbin/iptables", "--wait"]
    return run([*inside, *words], timeout=SECONDS)
