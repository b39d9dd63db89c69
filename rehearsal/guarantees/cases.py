"""Random cases: pools, teams, guarantees and limits, many in one stack file."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from k3sgpu import capacity
from k3sgpu import settings as s
from k3sgpu.capacity.fit import demand_of
from k3sgpu.capacity.pod_limits import floating_pods
from k3sgpu.capacity.schedulable_nodes import schedulable_nodes
from k3sgpu.capacity.team_guarantees import NodeRoom, PoolGuarantees, TeamRoom
from k3sgpu.capacity.team_nodes import pool_guarantees
from k3sgpu.wellknown import GPU_RESOURCE

Object = dict[str, Any]
MANY_PODS = 110


@dataclass(frozen=True)
class Case:
    """One pool of a case: what the fit says about it."""

    guarantees: PoolGuarantees
    rooms: tuple[TeamRoom, ...]
    """Of its teams, as in the fit."""

    @property
    def pool(self) -> str:
        """The pool's name."""
        return self.guarantees.pool

    @property
    def few_pods(self) -> bool:
        """Whether the kubelets take few pods."""
        return any(room.pods is not None and room.pods < MANY_PODS // 2 for room in self.nodes.values())

    @property
    def nodes(self) -> Mapping[str, NodeRoom]:
        """The nodes by name."""
        return self.guarantees.rooms


@dataclass(frozen=True)
class Batch:
    """Cases that stand in one cluster at one time, each on pools and teams of its own."""

    settings: s.Settings
    offers: tuple[capacity.NodeOffer, ...]
    cases: tuple[Case, ...]
    """By pool: a case has one or two."""
    nodes: tuple[Object, ...]
    number: int


def random_batch(first: int, number: int, random: Random) -> Batch:
    """A stack file with so many cases, whose names begin with c<first>, and its Nodes."""
    sections: Object = {
        "ssh": {"privateKeyFile": "key"},
        "k3s": {"version": "v1.36.2+k3s1", "mirror": "file:///release"},
        "fit": "warn",
        "pools": {"control": {"role": "server", "hosts": {"server-1": "10.0.0.1"}}},
        "sharing": {"profiles": {f"by-{n}": _sharing(n) for n in (2, 3, 4, 6)}},
        "teams": {},
        "workloads": {},
    }
    addresses = iter(f"10.{1 + n // 62500}.{n // 250 % 250}.{n % 250 + 1}" for n in range(1_000_000))
    for case in range(first, first + number):
        _add_case(f"c{case}", sections, addresses, random)
    settings = s.parse(sections)
    offers = capacity.offers(settings)
    fit = capacity.fit(settings, offers)
    demands = [demand_of(name, workload) for name, workload in settings.workloads.items()]
    guarantees = pool_guarantees(
        settings, capacity.team_shares(settings, offers), schedulable_nodes(settings, offers), demands
    )
    cases = tuple(Case(one, tuple(room for room in fit.teams if room.pool == one.pool)) for one in guarantees)
    rooms = {name: room for case in cases for name, room in case.nodes.items()}
    nodes = tuple(_node(offer, rooms[offer.name]) for offer in offers if offer.name in rooms)
    return Batch(settings, offers, cases, nodes, number)


def _sharing(replicas: int) -> Object:
    return {"timeSlicing": {"resources": [{"name": GPU_RESOURCE, "replicas": replicas}]}}


def _add_case(name: str, sections: Object, addresses: Any, random: Random) -> None:
    pools = [f"{name}-{letter}" for letter in "ab"[: random.choice((1, 1, 2))]]
    teams: Object = {
        f"{name}-t{n}": {"members": [f"{name}-m{n}"], "guaranteed": {}, "limit": {}, "perPod": {}}
        for n in range(random.choice((2, 2, 3)))
    }
    for pool in pools:
        _add_pool(pool, sections, addresses, random)
        own = sections["pools"][pool]
        a_node = own["gpu"]["count"] * int(own["gpu"]["profile"].removeprefix("by-"))
        offered = sum(a_node - _reserved(host) for host in own["hosts"].values())
        outside = random.choice((0, 0, 0, 1, 2)) if offered > 2 else 0
        if outside:
            sections["workloads"][f"{pool}-w"] = {"replicas": outside, "gpus": 1, "pool": pool}
        users = [team for team in teams if team.endswith("t0") or random.random() < 0.85]
        promised = max(1, round(offered * random.uniform(0.6, 1.1)) - outside)
        for number, team in enumerate(users):
            last = number == len(users) - 1
            guaranteed = promised if last else random.randint(0, promised)
            promised -= guaranteed
            teams[team]["guaranteed"][pool] = guaranteed
            teams[team]["limit"][pool] = max(1, guaranteed + random.choice((0, 1, 2, 4)))
            teams[team]["perPod"][pool] = min(a_node, random.choice((1, 1, 2, 2, 3)))
    sections["teams"] |= {team: keys for team, keys in teams.items() if keys["limit"]}


def _add_pool(pool: str, sections: Object, addresses: Any, random: Random) -> None:
    hosts: Object = {}
    for number in range(random.choice((1, 2, 2, 3, 4))):
        host: Object = {"address": next(addresses)}
        if random.random() < 0.2:
            host["reserved"] = {GPU_RESOURCE: 1}
        hosts[f"{pool}-{number}"] = host
    card = {"product": "CARD", "count": random.choice((1, 1, 2)), "memoryMiB": 24576}
    card["profile"] = f"by-{random.choice((2, 3, 4, 6))}"
    sections["pools"][pool] = {"role": "agent", "hosts": hosts, "gpu": card}
    if random.random() < 0.15:
        # Beside the pods of k3s and of the operator, which the fit leaves room for on every node.
        sections["pools"][pool]["kubeletArgs"] = {"max-pods": str(_system_pods() + random.randint(2, 5))}


def _reserved(host: Object) -> int:
    return host.get("reserved", {}).get(GPU_RESOURCE, 0)


def _system_pods() -> int:
    """The pods of k3s and of the operator that the fit leaves room for on a node with cards."""
    pool = {"role": "agent", "hosts": {"gpu-1": "10.0.0.2"}}
    card = {"product": "CARD", "count": 1, "memoryMiB": 24576}
    settings = s.parse(
        {
            "ssh": {"privateKeyFile": "key"},
            "k3s": {"version": "v1.36.2+k3s1", "mirror": "file:///release"},
            "pools": {
                "control": {"role": "server", "hosts": {"server-1": "10.0.0.1"}},
                "gpu": {**pool, "gpu": card},
            },
        }
    )
    (offer,) = (offer for offer in capacity.offers(settings) if offer.cards)
    return offer.system_pods + floating_pods(settings)


def _node(offer: capacity.NodeOffer, room: NodeRoom) -> Object:
    amounts = {GPU_RESOURCE: str(room.slices), "cpu": "64", "memory": "256Gi", "pods": str(room.pods)}
    return {
        "metadata": {"name": offer.name, "labels": offer.all_labels},
        "status": {"capacity": amounts, "allocatable": amounts},
    }
