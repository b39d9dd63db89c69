"""What a stack file should say about machines that were looked at: servers, pools, profiles, driver …"""

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from k3sgpu.discovery import slices
from k3sgpu.discovery.candidates import Seen
from k3sgpu.discovery.card_kinds import CardKind
from k3sgpu.discovery.names import host_name, short_product, unique_name
from k3sgpu.doctor.machine import Machine
from k3sgpu.doctor.rules.network import interfaces, usable_addresses
from k3sgpu.gpu_products import last_driver_branch
from k3sgpu.operator_releases import DRIVER_BEFORE_TURING
from k3sgpu.settings.models.names import NO_SHARING
from k3sgpu.settings.models.sharing import mig_resource, partition_memory_mib
from k3sgpu.wellknown import GPU_RESOURCE

SEVERAL_SERVERS = 3
"""Of etcd: the fewest that survive the loss of one."""
Source = Literal["host", "operator"]


@dataclass(frozen=True)
class Choices:
    """What the user has chosen; what is None is proposed."""

    servers: tuple[str, ...] = ()
    """The candidates' names."""
    server_count: int | None = None
    slices: int | None = None
    driver: Source | None = None
    toolkit: Source | None = None


@dataclass(frozen=True)
class ProposedHost:
    """A host of the stack file."""

    name: str
    seen: Seen
    node_ip: str | None
    """None: its address is on one of its interfaces."""
    note: str
    """Why it has this name, or ""."""


@dataclass(frozen=True)
class ProposedPool:
    """A pool: machines with the same role and the same cards."""

    name: str
    role: Literal["server", "agent"]
    hosts: tuple[ProposedHost, ...]
    cards: CardKind | None
    profile: str
    """Of its cards; "" without cards."""


@dataclass(frozen=True)
class ProposedProfile:
    """A sharing profile as the stack file has it, and why."""

    content: Mapping[str, Any]
    reason: str


@dataclass(frozen=True)
class Proposal:
    """What the stack file should say."""

    pools: tuple[ProposedPool, ...]
    profiles: Mapping[str, ProposedProfile]
    driver: Source
    driver_reason: str
    toolkit: Source
    toolkit_reason: str
    driver_version: str = ""
    """The version for the operator to install, where its own does not support a card."""

    @property
    def servers(self) -> list[ProposedHost]:
        """The servers, in the order in which they were named."""
        return [host for pool in self.pools if pool.role == "server" for host in pool.hosts]


def server_count_is_open(machines: Sequence[Seen], choices: Choices) -> bool:
    """Whether one server or three is the user's choice: three or more machines without a GPU, and no word."""
    named = choices.servers or choices.server_count or any(one.candidate.argument.role for one in machines)
    return not named and sum(not one.has_gpu for one in machines) >= SEVERAL_SERVERS


def choose_servers(machines: Sequence[Seen], choices: Choices) -> list[Seen]:
    """The machines that become servers: those that the user or the inventory names, or else the first without
    a GPU, or else the first."""
    if choices.servers:
        return [one for one in machines if one.candidate.name in choices.servers]
    if named := [one for one in machines if one.candidate.argument.role == "server"]:
        return named
    ordered = sorted(machines, key=lambda one: one.has_gpu)
    return ordered[: choices.server_count or 1]


def propose(
    machines: Sequence[Seen], kinds: Mapping[str, CardKind], choices: Choices, stack: str, project: str
) -> Proposal:
    """The proposal for a new stack. `kinds` are the machines' cards by candidate's name."""
    servers = choose_servers(machines, choices)
    profiles, profile_of = _profiles(kinds.values(), choices.slices)
    hosts = name_hosts(machines, kinds, servers, (), (project, stack))
    groups: dict[tuple[Literal["server", "agent"], CardKind | None], list[ProposedHost]] = {}
    for one, host in zip(machines, hosts, strict=True):
        role = "server" if one in servers else "agent"
        groups.setdefault((role, kinds.get(one.candidate.name)), []).append(host)
    pools: list[ProposedPool] = []
    for (role, cards), members in sorted(groups.items(), key=lambda group: group[0][0] != "server"):
        kinds_of_role = [kind for other, kind in groups if other == role]
        name = unique_name(_pool_name(role, cards, kinds_of_role), [pool.name for pool in pools])
        pools.append(ProposedPool(name, role, tuple(members), cards, profile_of[cards] if cards else ""))
    with_cards = [one for one in machines if one.candidate.name in kinds]
    driver, driver_reason = _source(
        [one.facts.number("nvidia-smi-status") is not None for one in with_cards],
        choices.driver,
        "NVIDIA's driver",
    )
    toolkit, toolkit_reason = _source(
        [bool(one.facts.all("toolkit")) for one in with_cards], choices.toolkit, "NVIDIA's container toolkit"
    )
    old = driver == "operator" and any(last_driver_branch(kind.product) for kind in kinds.values())
    return Proposal(
        tuple(pools),
        profiles,
        driver,
        driver_reason,
        toolkit,
        toolkit_reason,
        DRIVER_BEFORE_TURING if old else "",
    )


def name_hosts(
    machines: Sequence[Seen],
    kinds: Mapping[str, CardKind],
    servers: Sequence[Seen],
    taken: Collection[str],
    owner: tuple[str, str],
) -> list[ProposedHost]:
    """The hosts of machines, in their order, with names that are not `taken`.

    `owner`: project and stack. A machine that already belongs to this stack keeps its name.
    """
    used, hosts = set(taken), list[ProposedHost]()
    for one in machines:
        kind = "server" if one in servers else "gpu" if one.candidate.name in kinds else "node"
        fallback = next(name for number in itertools.count(1) if (name := f"{kind}-{number}") not in used)
        name, note = _marked(one, owner), ""
        if not name or name in used:
            name, note = host_name(one, fallback, used)
        used.add(name)
        hosts.append(ProposedHost(name, one, _node_ip(one), note))
    return hosts


def profile_for(cards: CardKind, chosen: int | None) -> ProposedProfile | None:
    """How cards are shared: MIG partitions as they are, whole cards by time-slicing; None: not at all."""
    if not cards.mig:
        number = chosen or slices.default_slices(cards.memory_mib)
        if number < 2:
            return None
        reason = slices.reason(cards.memory_mib, number, chosen is not None)
        return ProposedProfile(_time_slicing([GPU_RESOURCE], number), reason)
    strategy = "single" if len(cards.mig) == 1 else "mixed"
    content: dict[str, Any] = {"migStrategy": strategy}
    reason = (
        "the partitions as they are; all alike, so that pods ask for nvidia.com/gpu"
        if strategy == "single"
        else "the partitions as they are; pods ask for nvidia.com/mig-<profile>"
    )
    if chosen and chosen > 1:
        names = [GPU_RESOURCE] if strategy == "single" else [mig_resource(kind) for kind, _ in cards.mig]
        content |= _time_slicing(names, chosen)
        smallest = min(partition_memory_mib(kind) for kind, _ in cards.mig)
        reason += f"\n{slices.reason(smallest, chosen, True)} of the smallest"
    return ProposedProfile(content, reason)


def _time_slicing(names: Sequence[str], number: int) -> dict[str, Any]:
    return {"timeSlicing": {"resources": [{"name": name, "replicas": number} for name in names]}}


def _profiles(
    kinds: Collection[CardKind], chosen: int | None
) -> tuple[dict[str, ProposedProfile], dict[CardKind, str]]:
    """The profiles by name, and the name of the profile of each kind of cards."""
    profiles: dict[str, ProposedProfile] = {}
    names: dict[CardKind, str] = {}
    for cards in dict.fromkeys(kinds):
        profile = profile_for(cards, chosen)
        same = next(
            (name for name in profiles if profile == profiles[name] and profile_name(cards) == name), ""
        )
        names[cards] = same or (unique_name(profile_name(cards), profiles) if profile else NO_SHARING)
        if profile:
            profiles[names[cards]] = profile
    return profiles, names


def profile_name(cards: CardKind) -> str:
    """The name for the profile of such cards, and for a pool of them."""
    return short_product(cards.product) + ("-mig" if cards.mig else "")


def _pool_name(role: str, cards: CardKind | None, kinds: Collection[CardKind | None]) -> str:
    """A name for a pool among the pools of its role, which have these `kinds`."""
    if not cards:
        return "control" if role == "server" else "cpu"
    name = profile_name(cards)
    if any(one and one.count != cards.count and profile_name(one) == name for one in kinds):
        name += f"-x{cards.count}"
    return f"server-{name}" if role == "server" else name


def _source(there: Sequence[bool], chosen: Source | None, what: str) -> tuple[Source, str]:
    """Who installs driver or toolkit, and why. `there`: for each machine with cards, whether it has it."""
    if chosen:
        return chosen, "as you chose"
    if all(there):
        return "host", f"every machine with a card has {what}" if there else "no machine has a card yet"
    if any(there):
        number = sum(there)
        return (
            "operator",
            f"{number} of {len(there)} machines have {what}; the operator installs it on the others",
        )
    return "operator", f"no machine has {what}; the operator installs it"


def _node_ip(one: Seen) -> str | None:
    """The address of the node where it is another than the one that SSH uses: that of the default route."""
    machine = Machine(one.candidate.entry(""), one.facts)
    own = {str(address): interface for address, interface in interfaces(machine).items()}
    usable = usable_addresses(interfaces(machine))
    if one.candidate.address in own or not usable:
        return None
    routes = one.facts.all("default-route")
    return next((address for address in usable if own[address] in routes), usable[0])


def _marked(one: Seen, owner: tuple[str, str]) -> str:
    """The name that the owner marker on a machine of this very stack has for it."""
    marker = dict(line.split(" ", 1) for line in one.facts.all("owner") if " " in line)
    return marker.get("host", "") if (marker.get("project"), marker.get("stack")) == owner else ""
