"""Do the workloads fit what the nodes will offer? Known before anything is touched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from k3sgpu.capacity.fit_problems import fit_problems
from k3sgpu.capacity.memory import MemoryLoad, memory_loads, memory_problems
from k3sgpu.capacity.node_usage import NodeUsage
from k3sgpu.capacity.offers import NodeOffer
from k3sgpu.capacity.outlook import NodeLoss, node_losses, rollout, schedule_all, summarize
from k3sgpu.capacity.packing import Verdict
from k3sgpu.capacity.schedulable_nodes import excess_reservations, reserved, schedulable_nodes
from k3sgpu.capacity.scheduling import Demand, Outcome, SchedulableNode, Toleration, pending_message
from k3sgpu.settings import Problem, Settings, Workload

OUTSIDE_THE_STACK = "outside the stack"
"""Who sits where something is reserved."""


@dataclass(frozen=True)
class Placement:
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
    nodes: tuple[SchedulableNode, ...]
    placements: tuple[Placement, ...]
    reserved: tuple[Placement, ...]
    pending: tuple[Pending, ...]
    problems: tuple[Problem, ...]
    verdict: Verdict
    min_pending: int
    max_pending: int
    rollout: str
    node_losses: tuple[NodeLoss, ...]
    memory_loads: tuple[MemoryLoad, ...] = ()
    """What declared pods may use of one card's memory, by kind of node."""

    @property
    def fits(self) -> bool | None:
        """True in whatever order the pods come, False in none, None where that depends or is not decided."""
        return {"any order": True, "no order": False}.get(self.verdict)

    @property
    def nodes_by_pod(self) -> dict[str, str]:
        """Pod name to node name."""
        return {placement.pod: placement.node for placement in self.placements}


def fit(settings: Settings, offers: Sequence[NodeOffer], usage: Mapping[str, NodeUsage] | None = None) -> Fit:
    """Place the workloads on the offers, or on what the `usage` of a cluster leaves of them.

    The setting `fit` decides how a misfit is told (enforce: as error, warn: as warning, off: not at all),
    `memory` the same of memory that may be too little.
    """
    offered = tuple(offer.effective for offer in offers)
    nodes = schedulable_nodes(settings, offered, usage)
    demands = [demand_of(name, workload) for name, workload in sorted(settings.workloads.items())]
    outcomes = schedule_all(nodes, demands)
    expected = summarize(outcomes)
    pending = tuple(pod for outcome in outcomes for pod in _pending(nodes, outcome))
    found = [*excess_reservations(settings, offered)]
    found += [problem for one in outcomes for problem in fit_problems(offered, nodes, one)]
    memory = memory_loads(offered, nodes, demands)
    crowded = list(memory_problems(offered, memory))
    return Fit(
        offers=offered,
        nodes=nodes,
        placements=tuple(placement for outcome in outcomes for placement in _placements(outcome)),
        reserved=tuple(_reserved(settings, usage or {})),
        pending=pending,
        problems=(
            *settings.warnings,
            *_as_told(found, settings.fit),
            *_as_told(crowded, settings.memory),
        ),
        memory_loads=memory,
        verdict=expected.verdict,
        min_pending=expected.min_pending,
        max_pending=expected.max_pending,
        rollout=rollout(expected.verdict, bool(pending)),
        node_losses=node_losses(nodes, demands),
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


def _placements(outcome: Outcome) -> list[Placement]:
    return [
        Placement(pod_name(one.workload, number), one.workload, node, outcome.resource, one.request)
        for one in outcome.demands
        for number, node in enumerate(outcome.packing.placements[one.workload], start=1)
    ]


def _reserved(settings: Settings, usage: Mapping[str, NodeUsage]) -> list[Placement]:
    return [
        Placement(f"{OUTSIDE_THE_STACK}, on {node.name}", OUTSIDE_THE_STACK, node.name, resource, count)
        for node in settings.nodes
        for resource, count in reserved(node, usage.get(node.name)).items()
        if count
    ]


def _pending(nodes: Sequence[SchedulableNode], outcome: Outcome) -> list[Pending]:
    pods = []
    for one in outcome.demands:
        if left := outcome.pending.get(one.workload):
            message = pending_message(one, nodes)
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
