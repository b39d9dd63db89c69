"""Do the workloads fit what the nodes will offer? Known before anything is touched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from k3sgpu.capacity.fit_problems import problems_of
from k3sgpu.capacity.memory import Load, loads, overloads
from k3sgpu.capacity.node_usage import Seen
from k3sgpu.capacity.offers import NodeOffer, offers
from k3sgpu.capacity.outlook import Loss, losses, outcomes_of, prospect, rollout
from k3sgpu.capacity.packing import Verdict
from k3sgpu.capacity.schedulable_nodes import misreserved, places, reserved
from k3sgpu.capacity.scheduling import Demand, Outcome, Place, Toleration, verdict
from k3sgpu.settings import Problem, Settings, Workload

OUTSIDE = "outside the stack"
"""Who sits where something is reserved."""


@dataclass(frozen=True)
class Seat:
    """A pod that has a node: `count` of `resource` there."""

    pod: str
    workload: str
    node: str
    resource: str
    count: int


@dataclass(frozen=True)
class Pending:
    """A pod without a node, and what the scheduler will say about it."""

    pod: str
    workload: str
    resource: str
    count: int
    message: str


@dataclass(frozen=True)
class Fit:
    """What is known before anything is touched.

    Seats are one placement among several: the scheduler chooses by itself; `reserved` are those of others.
    At least `least` pods stay Pending whatever it does, and never more than `most`. The problems begin with
    what the settings themselves are warned of.
    """

    offers: tuple[NodeOffer, ...]
    places: tuple[Place, ...]
    seats: tuple[Seat, ...]
    reserved: tuple[Seat, ...]
    pending: tuple[Pending, ...]
    problems: tuple[Problem, ...]
    verdict: Verdict
    least: int
    most: int
    rollout: str
    losses: tuple[Loss, ...]
    memory: tuple[Load, ...] = ()
    """What declared pods may use of one card's memory, by kind of node."""

    @property
    def fits(self) -> bool | None:
        """True in whatever order the pods come, False in none, None where that depends or is not decided."""
        return {"any order": True, "no order": False}.get(self.verdict)

    @property
    def placements(self) -> dict[str, str]:
        """Pod name to node name."""
        return {seat.pod: seat.node for seat in self.seats}


def fit(settings: Settings, seen: Mapping[str, Seen] | None = None) -> Fit:
    """Place the workloads on the offers, or on what of them a cluster that was `seen` has left.

    The setting `fit` decides how a misfit is told (enforce: as error, warn: as warning, off: not at all),
    `memory` the same of memory that may be too little.
    """
    nodes = tuple(offer.planned for offer in offers(settings))
    stage = places(settings, nodes, seen)
    demands = [demand_of(name, workload) for name, workload in sorted(settings.workloads.items())]
    outcomes = outcomes_of(stage, demands)
    expected = prospect(outcomes)
    pending = tuple(pod for outcome in outcomes for pod in _pending(stage, outcome))
    found = [*misreserved(settings, nodes)]
    found += [problem for one in outcomes for problem in problems_of(nodes, stage, one)]
    memory = loads(nodes, stage, demands)
    crowded = list(overloads(nodes, memory))
    return Fit(
        offers=nodes,
        places=stage,
        seats=tuple(seat for outcome in outcomes for seat in _seats(outcome)),
        reserved=tuple(_reserved(settings, seen or {})),
        pending=pending,
        problems=(
            *settings.warnings,
            *_as_told(found, settings.fit),
            *_as_told(crowded, settings.memory),
        ),
        memory=memory,
        verdict=expected.verdict,
        least=expected.least,
        most=expected.most,
        rollout=rollout(expected.verdict, bool(pending)),
        losses=losses(stage, demands),
    )


def demand_of(name: str, workload: Workload) -> Demand:
    """What a workload asks of the scheduler, at most at one time."""
    return Demand(
        workload=name,
        pods=workload.pods,
        request=workload.gpus,
        resource=workload.resource,
        selector=workload.selector,
        tolerations=tuple(
            Toleration(one.key, None if one.operator == "Exists" else one.value, one.effect)
            for one in workload.tolerations
        ),
        counted_by="replicas" if workload.kind == "Deployment" else "parallelism",
        memory_mib=workload.memory_mib or 0,
    )


def pod_name(workload: str, number: int) -> str:
    """The program's name for a workload's n-th pod; Kubernetes will add letters of its own."""
    return f"{workload}#{number}"


def _seats(outcome: Outcome) -> list[Seat]:
    return [
        Seat(pod_name(one.workload, number), one.workload, node, outcome.resource, one.request)
        for one in outcome.demands
        for number, node in enumerate(outcome.packing.seats[one.workload], start=1)
    ]


def _reserved(settings: Settings, seen: Mapping[str, Seen]) -> list[Seat]:
    return [
        Seat(f"{OUTSIDE}, on {node.name}", OUTSIDE, node.name, resource, count)
        for node in settings.nodes
        for resource, count in reserved(node, seen.get(node.name)).items()
        if count
    ]


def _pending(stage: Sequence[Place], outcome: Outcome) -> list[Pending]:
    pods = []
    for one in outcome.demands:
        if left := outcome.pending.get(one.workload):
            message = verdict(one, stage)
            pods += [
                Pending(pod_name(one.workload, number), one.workload, outcome.resource, one.request, message)
                for number in range(one.pods - left + 1, one.pods + 1)
            ]
    return pods


def _as_told(problems: list[Problem], setting: str) -> tuple[Problem, ...]:
    if setting == "off":
        return ()
    return tuple(
        replace(problem, severity="warning") if setting == "warn" else problem for problem in problems
    )
