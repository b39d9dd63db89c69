"""The rules that compare machines with each other."""

from collections.abc import Callable, Iterator, Sequence
from statistics import median_high, median_low

from doctor.machine import Fault, Machine

CLOCK_S = 30


def identity(machines: Sequence[Machine]) -> Iterator[tuple[str, Fault]]:
    """Every machine-id once: a cloned disk, or one machine under two names, breaks a cluster later."""
    for found, names in _same(machines, "machine-id").items():
        for name in names:
            yield (
                name,
                Fault(
                    f"machine-id {found}, the same as {_others(names, name)}",
                    "another one on every machine",
                    "if the disk was cloned: sudo rm /etc/machine-id /var/lib/dbus/machine-id; "
                    "sudo systemd-machine-id-setup; sudo reboot\n"
                    "if both are one machine: keep one of them in the stack file",
                ),
            )


def clocks(machines: Sequence[Machine]) -> Iterator[tuple[str, Fault]]:
    """Within CLOCK_S of the median of all machines and this computer; certificates start to count now."""
    timed = [(machine, machine.clock) for machine in machines if machine.clock]
    ahead = [clock.latest for _, clock in timed] + [0.0]
    median = min(median_low(ahead), median_high(ahead), key=abs)
    for machine, clock in timed:
        if clock.distance(median) > CLOCK_S:
            off = clock.latest - median
            yield (
                machine.name,
                Fault(
                    f"the clock is {abs(off):.0f} s {'ahead' if off > 0 else 'behind'}",
                    f"within {CLOCK_S} s of the other machines: certificates and joins depend on it",
                    f'{machine.ssh} "sudo timedatectl set-ntp true; timedatectl"',
                ),
            )


def hostnames(machines: Sequence[Machine]) -> Iterator[tuple[str, Fault]]:
    """Nodes have names of their own; people and logs have only these."""
    for found, names in _same(machines, "hostname").items():
        for name in names:
            yield (
                name,
                Fault(
                    f"its hostname is {found}, the same as that of {_others(names, name)}",
                    "another one on every machine, or logs cannot be told apart",
                    f"sudo hostnamectl set-hostname {name}",
                    "warning",
                ),
            )


def _same(machines: Sequence[Machine], fact: str) -> dict[str, list[str]]:
    """By value: names of machines that share it."""
    seen: dict[str, list[str]] = {}
    for machine in machines:
        if found := machine.facts.one(fact):
            seen.setdefault(found, []).append(machine.name)
    return {found: names for found, names in seen.items() if len(names) > 1}


def _others(names: Sequence[str], name: str) -> str:
    return ", ".join(other for other in names if other != name)


CrossRule = Callable[[Sequence[Machine]], Iterator[tuple[str, Fault]]]
CROSS_RULES: dict[str, CrossRule] = {
    "machine-id": identity,
    "hostname": hostnames,
    "clock": clocks,
}
