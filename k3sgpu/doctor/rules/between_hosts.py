"""The rules that compare machines with each other."""

from collections.abc import Callable, Iterator, Sequence
from statistics import median_high, median_low

from k3sgpu.doctor.machine import Machine, Plan, release
from k3sgpu.problem import Problem

CLOCK_S = 30


def identity(machines: Sequence[Machine], plan: Plan) -> Iterator[Problem]:
    """Every machine-id once: a cloned disk, or one machine under two names, breaks a cluster later."""
    for found, names in _same(machines, "machine-id").items():
        for name in names:
            yield Problem(
                name,
                f"machine-id {found}, the same as {_others(names, name)}",
                "another one on every machine",
                (
                    "if the disk was cloned: sudo rm /etc/machine-id /var/lib/dbus/machine-id; "
                    "sudo systemd-machine-id-setup; sudo reboot\n"
                    "if both are one machine: keep one of them in the stack file"
                ),
            )


def products(machines: Sequence[Machine], plan: Plan) -> Iterator[Problem]:
    """Kubernetes tells machines apart by it as well; virtual machines that were copied may share it."""
    for found, names in _same(machines, "product-uuid").items():
        for name in names:
            yield Problem(
                name,
                f"product_uuid {found}, the same as {_others(names, name)}",
                "another one on every machine: the Nodes' systemUUID is made of it",
                (
                    "give the virtual machine a UUID of its own (libvirt: virt-clone does; "
                    "else change <uuid> with virsh edit)\nsome boards have none of their own: waive it then"
                ),
                "warning",
            )


def clocks(machines: Sequence[Machine], plan: Plan) -> Iterator[Problem]:
    """Within CLOCK_S of the median of all machines and this computer; certificates start to count now."""
    timed = [(machine, machine.clock) for machine in machines if machine.clock]
    ahead = [clock.latest for _, clock in timed] + [0.0]
    median = min(median_low(ahead), median_high(ahead), key=abs)
    for machine, clock in timed:
        if clock.distance(median) > CLOCK_S:
            off = clock.latest - median
            yield Problem(
                machine.name,
                f"the clock is {abs(off):.0f} s {'ahead' if off > 0 else 'behind'}",
                f"within {CLOCK_S} s of the other machines: certificates and joins depend on it",
                f'{machine.ssh} "sudo timedatectl set-ntp true; timedatectl"',
            )


def hostnames(machines: Sequence[Machine], plan: Plan) -> Iterator[Problem]:
    """Nodes have names of their own; people and logs have only these."""
    for found, names in _same(machines, "hostname").items():
        for name in names:
            yield Problem(
                name,
                f"its hostname is {found}, the same as that of {_others(names, name)}",
                "another one on every machine, or logs cannot be told apart",
                f"sudo hostnamectl set-hostname {name}",
                "warning",
            )


def registration(machines: Sequence[Machine], plan: Plan) -> Iterator[Problem]:
    """Where a server of this cluster runs, everybody else must find it, and find it and no other."""
    alive = [m for m in machines if m.role == "server" and m.belongs_to(plan) and m.k3s_alive]
    known = {ca: m.name for m in alive if (ca := m.facts.one("own-ca"))}
    where = f"https://{plan.registration}:6443"
    for machine in machines if alive and plan.registration else ():
        if machine in alive or plan.registration in machine.facts.all("unknown-name"):
            continue
        if not (seen := machine.facts.one("api")):
            yield Problem(
                machine.name,
                f"no k3s server answers at {where} from here, and {alive[0].name} runs one",
                "a way to 6443/tcp: nodes join there, and stay joined by it",
                f"{machine.ssh} curl -k {where}/ping   # look at firewalls and load balancers",
                "warning" if machine.belongs_to(plan) else "error",
            )
        elif known and seen not in known:
            yield Problem(
                machine.name,
                f"another cluster answers at {where}: its CA is {seen[:16]}…",
                f"that of {', '.join(known.values())}: {', '.join(ca[:16] for ca in known)}…",
                "correct k3s.registrationAddress in the stack file, or what it leads to",
            )


def skew(machines: Sequence[Machine], plan: Plan) -> Iterator[Problem]:
    """An agent must not be newer than a server (k3s-io/k3s#2996)."""
    runs = [(m, v) for m in machines if m.belongs_to(plan) and (v := release(m.facts.one("k3s-version")))]
    servers = [(v, m) for m, v in runs if m.role == "server"]
    if not servers:
        return
    oldest, server = min(servers, key=lambda one: one[0])
    for machine, runs_here in runs:
        if machine.role == "agent" and runs_here[:2] > oldest[:2]:
            yield Problem(
                machine.name,
                (
                    f"k3s {machine.facts.one('k3s-version')}, and server {server.name} runs "
                    f"{server.facts.one('k3s-version')}"
                ),
                "no agent of a newer minor version than a server",
                (
                    f"k3s: {{version: {machine.facts.one('k3s-version')}}} in the stack file, then "
                    "pulumi up: servers go first"
                ),
                "warning",
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


CrossRule = Callable[[Sequence[Machine], Plan], Iterator[Problem]]
CROSS_RULES: dict[str, CrossRule] = {
    "machine-id": identity,
    "product-uuid": products,
    "hostname": hostnames,
    "clock": clocks,
    "registration": registration,
    "skew": skew,
}
