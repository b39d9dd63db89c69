"""Rules that compare the machines of a stack with each other."""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address
from statistics import median_high, median_low

from k3sgpu.doctor.machine import Machine, Plan, parse_version
from k3sgpu.doctor.rules.network import interfaces, ip
from k3sgpu.problem import Problem

MAX_CLOCK_DIFFERENCE_SECONDS = 30

COMPARED_FACTS = ("machine-id", "product-uuid", "hostname")
"""The facts that must differ between machines. The preflight cache keeps them, so that a new machine can be
compared with one that is not asked again."""


def machine_id(machines: Sequence[Machine], plan: Plan) -> Iterator[Problem]:
    """Every machine has a machine-id of its own.

    A cloned disk, or one machine under two names, breaks a cluster later.
    """
    for value, names in _shared(machines, "machine-id").items():
        for name in names:
            yield Problem(
                name,
                f"machine-id {value}, the same as {_others(names, name)}",
                "a different one on every machine",
                "if the disk was cloned: sudo rm /etc/machine-id /var/lib/dbus/machine-id; "
                "sudo systemd-machine-id-setup; sudo reboot\n"
                "if both are one machine: keep one of them in the stack file",
            )


def node_address(machines: Sequence[Machine], plan: Plan) -> Iterator[Problem]:
    """No other machine has the address of a node.

    Left out are addresses that k3s itself puts on every node (those of services), hosts of one address, which
    the stack file refuses, and one machine under two names, which the check `machine-id` reports.
    """
    holders: dict[IPv4Address | IPv6Address, list[tuple[Machine, str]]] = {}
    for machine in machines:
        for address, interface in interfaces(machine).items():
            if interface not in ("", "lo", "kube-ipvs0"):
                holders.setdefault(address, []).append((machine, interface))
    for machine in machines:
        node, machine_id = ip(machine.spec["nodeIp"]), machine.facts.one("machine-id")
        others = [
            f"{other.name} ({interface})"
            for other, interface in (holders.get(node, []) if node else [])
            if other.facts.one("machine-id") != machine_id and ip(other.spec["nodeIp"]) != node
        ]
        if others:
            yield Problem(
                machine.name,
                f"its node address {node} is also on {', '.join(others)}",
                "an address that no other machine has: nodes are told apart by it",
                f"another nodeIp for {machine.name} in the stack file, on a network where each has its own",
                "warning" if machine.belongs_to(plan) else "error",
            )


def product_uuid(machines: Sequence[Machine], plan: Plan) -> Iterator[Problem]:
    """Every machine has a product_uuid of its own.

    Kubernetes tells machines apart by it as well; copies of a virtual machine may share it.
    """
    for value, names in _shared(machines, "product-uuid").items():
        for name in names:
            yield Problem(
                name,
                f"product_uuid {value}, the same as {_others(names, name)}",
                "a different one on every machine: it becomes the Node's systemUUID",
                "give the virtual machine a UUID of its own (libvirt: virt-clone does; "
                "else change <uuid> with virsh edit)\nsome boards have none of their own: then waive it",
                "warning",
            )


def hostname(machines: Sequence[Machine], plan: Plan) -> Iterator[Problem]:
    """Every machine has a hostname of its own.

    Nodes are named by the stack file; people and logs use the hostname.
    """
    for value, names in _shared(machines, "hostname").items():
        for name in names:
            yield Problem(
                name,
                f"its hostname is {value}, the same as that of {_others(names, name)}",
                "a different one on every machine, so that logs can be told apart",
                f"sudo hostnamectl set-hostname {name}",
                "warning",
            )


def clock(machines: Sequence[Machine], plan: Plan) -> Iterator[Problem]:
    """The clock is at most 30 s from the others: certificates and joins depend on it.

    It is compared with the median of all machines and this computer.
    """
    timed = [(machine, machine.clock) for machine in machines if machine.clock]
    offsets = [clock.latest for _, clock in timed] + [0.0]
    # Of the two middle values, the one nearer to this computer's clock.
    median = min(median_low(offsets), median_high(offsets), key=abs)
    for machine, clock in timed:
        if clock.distance(median) > MAX_CLOCK_DIFFERENCE_SECONDS:
            offset = clock.latest - median
            yield Problem(
                machine.name,
                f"the clock is {abs(offset):.0f} s {'ahead' if offset > 0 else 'behind'}",
                f"at most {MAX_CLOCK_DIFFERENCE_SECONDS} s from the other machines: "
                "certificates and joins depend on it",
                f'{machine.ssh} "sudo timedatectl set-ntp true; timedatectl"',
            )


def registration(machines: Sequence[Machine], plan: Plan) -> Iterator[Problem]:
    """This cluster's API, not another's, answers at the registration address; checked once a server runs."""
    all_servers = [m for m in machines if m.role == "server"]
    running = [m for m in all_servers if m.belongs_to(plan) and m.k3s_runs]
    not_running = [m for m in all_servers if m not in running]
    if not running or not plan.registration:
        return
    owner = next((m for m in all_servers if plan.registration in (m.spec["address"], m.spec["nodeIp"])), None)
    if owner in not_running:
        return  # the next up starts the server that has the address
    # A name may lead to a server that the next up starts.
    may_start = owner is None and bool(not_running)
    servers = {ca: m.name for m in running if (ca := m.facts.one("own-ca"))}
    url = f"https://{plan.registration}:6443"
    for machine in machines:
        # The check `dns` reports a name that cannot be resolved.
        if machine in running or plan.registration in machine.facts.all("unknown-name"):
            continue
        if not (answered := machine.facts.one("api")):
            # A running node that lost its way to the servers must not block a change that may help it.
            yield Problem(
                machine.name,
                f"no k3s server answers at {url} from here, and {running[0].name} runs one",
                "access to 6443/tcp: nodes join there, and stay joined by it",
                f"{machine.ssh} curl -k {url}/ping   # look at firewalls and load balancers",
                "warning" if machine.belongs_to(plan) or may_start else "error",
            )
        elif servers and answered not in servers:
            yield Problem(
                machine.name,
                f"another cluster answers at {url}: its CA is {answered[:16]}…",
                f"the CA of {', '.join(servers.values())}: {', '.join(ca[:16] for ca in servers)}…",
                "correct k3s.registrationAddress in the stack file, or where it leads to",
            )


def skew(machines: Sequence[Machine], plan: Plan) -> Iterator[Problem]:
    """No agent runs a newer minor version of k3s than a server (k3s-io/k3s#2996)."""
    installed = [
        (machine, version)
        for machine in machines
        if machine.belongs_to(plan) and (version := parse_version(machine.facts.one("k3s-version")))
    ]
    servers = [(version, machine) for machine, version in installed if machine.role == "server"]
    if not servers:
        return
    oldest, server = min(servers, key=lambda one: one[0])
    for machine, version in installed:
        if machine.role == "agent" and version[:2] > oldest[:2]:
            text = machine.facts.one("k3s-version")
            yield Problem(
                machine.name,
                f"k3s {text}, and server {server.name} runs {server.facts.one('k3s-version')}",
                "no agent of a newer minor version than a server",
                f"k3s: {{version: {text}}} in the stack file, then pulumi up: servers are upgraded first",
                "warning",
            )


def _shared(machines: Sequence[Machine], fact: str) -> dict[str, list[str]]:
    """The values of `fact` that several machines have, with the names of these machines."""
    names_by_value: dict[str, list[str]] = {}
    for machine in machines:
        if value := machine.facts.one(fact):
            names_by_value.setdefault(value, []).append(machine.name)
    return {value: names for value, names in names_by_value.items() if len(names) > 1}


def _others(names: Sequence[str], name: str) -> str:
    return ", ".join(other for other in names if other != name)
