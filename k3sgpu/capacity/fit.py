"""Whether the workloads fit what the nodes will offer, known before anything is changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from k3sgpu.capacity.fit_problems import fit_problems
from k3sgpu.capacity.memory import MemoryLoad, memory_loads
from k3sgpu.capacity.memory_problems import memory_problems
from k3sgpu.capacity.node_filters import Demand, pending_message
from k3sgpu.capacity.node_losses import NodeLoss, node_losses
from k3sgpu.capacity.node_usage import NodeUsage
from k3sgpu.capacity.offers import NodeOffer
from k3sgpu.capacity.packing.pack import Verdict
from k3sgpu.capacity.reservations import excess_reservations, reserved_resources
from k3sgpu.capacity.schedulable_nodes import SchedulableNode, schedulable_nodes
from k3sgpu.capacity.scheduling import Outcome, schedule_all, summarize
from k3sgpu.settings import Problem, Settings, Workload

OUTSIDE_THE_STACK = "outside the stack"
"""The workload of placements that stand for reserved resources."""


@dataclass(frozen=True)
class Placement:
    """A pod and its node, where it uses `count` of `resource`."""

    pod: str
    workload: str
    node: str
    resource: str
    count: int


@dataclass(frozen=True)
class Pending:
    """A pod without a node, and the scheduler's message about it."""

    pod: str
    workload: str
    resource: str
    count: int
    message: str


@dataclass(frozen=True)
class Fit:
    """Whether the workloads fit, with one possible placement.

    The scheduler may choose another placement: at least `min_pending` and at most `max_pending` pods stay
    Pending whatever it chooses. `reserved` stands for pods outside the stack. `memory_loads` is what declared
    pods may use of one card's memory. `problems` begins with the warnings of the settings.
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
    node_losses: tuple[NodeLoss, ...]
    memory_loads: tuple[MemoryLoad, ...] = ()

    @property
    def fits(self) -> bool | None:
        """True if all pods fit in any order, False if in none, None if it depends or is not decided."""
        return {"any order": True, "no order": False}.get(self.verdict)

    @property
    def nodes_by_pod(self) -> dict[str, str]:
        """The node of each placed pod, by name."""
        return {one.pod: one.node for one in self.placements}


def fit(settings: Settings, offers: Sequence[NodeOffer], usage: Mapping[str, NodeUsage] | None = None) -> Fit:
    """Place the workloads on the offers, less what pods outside the stack use.

    `usage` describes a running cluster. The settings `fit` and `memory` decide whether a problem is an error
    (enforce), a warning (warn) or left out (off).
    """
    offered = tuple(offer.effective for offer in offers)
    nodes = schedulable_nodes(settings, offered, usage)
    demands = [demand_of(name, workload) for name, workload in sorted(settings.workloads.items())]
    outcomes = schedule_all(nodes, demands)
    summary = summarize(outcomes)
    found = [*excess_reservations(settings, offered)]
    found += [problem for outcome in outcomes for problem in fit_problems(offered, nodes, outcome)]
    loads = memory_loads(offered, nodes, demands)
    return Fit(
        offers=offered,
        nodes=nodes,
        placements=tuple(placement for outcome in outcomes for placement in _placements(outcome)),
        reserved=tuple(_reserved(settings, usage or {})),
        pending=tuple(pod for outcome in outcomes for pod in _pending(nodes, outcome)),
        problems=(
            *settings.warnings,
            *_with_severity(found, settings.fit),
            *_with_severity(memory_problems(offered, loads), settings.memory),
        ),
        verdict=summary.verdict,
        min_pending=summary.min_pending,
        max_pending=summary.max_pending,
        node_losses=node_losses(nodes, demands),
        memory_loads=loads,
    )


def demand_of(name: str, workload: Workload) -> Demand:
    """The pods of a workload that run at one time, at most."""
    return Demand(
        workload=name,
        pods=workload.pods,
        request=workload.gpus,
        resource=workload.resource,
        selector=workload.selector,
        tolerations=workload.tolerations,
        pods_key="replicas" if workload.kind == "Deployment" else "parallelism",
        memory_mib=workload.memory_mib or 0,
    )


def pod_name(workload: str, number: int) -> str:
    """This program's name for the n-th pod of a workload. Kubernetes chooses other names."""
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
        for resource, count in reserved_resources(node, usage.get(node.name)).items()
        if count
    ]


def _pending(nodes: Sequence[SchedulableNode], outcome: Outcome) -> list[Pending]:
    pods: list[Pending] = []
    pending = outcome.pending
    for one in outcome.demands:
        if left := pending.get(one.workload):
            message = pending_message(one, nodes)
            pods += [
                Pending(pod_name(one.workload, number), one.workload, outcome.resource, one.request, message)
                for number in range(one.pods - left + 1, one.pods + 1)
            ]
    return pods


def _with_severity(problems: Sequence[Problem], setting: str) -> tuple[Problem, ...]:
    if setting == "off":
        return ()
    if setting == "warn":
        return tuple(replace(problem, severity="warning") for problem in problems)
    return tuple(problems)
