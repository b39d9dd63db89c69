"""Whether the workloads fit what the nodes will offer, known before anything is changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from k3sgpu.capacity.fit_problems import fit_problems, too_many_pods, undecided_pods
from k3sgpu.capacity.kubelet_limits import limits_decide, pack_all_pods
from k3sgpu.capacity.memory import MemoryLoad, memory_loads
from k3sgpu.capacity.memory_problems import memory_problems
from k3sgpu.capacity.node_filters import Demand, pending_message
from k3sgpu.capacity.node_losses import NodeLoss, node_losses
from k3sgpu.capacity.node_usage import NodeUsage
from k3sgpu.capacity.offers import NodeOffer
from k3sgpu.capacity.packing.pack import Verdict
from k3sgpu.capacity.pod_limits import floating_pods
from k3sgpu.capacity.reservations import excess_reservations, reserved_resources
from k3sgpu.capacity.schedulable_nodes import SchedulableNode, schedulable_nodes
from k3sgpu.capacity.scheduling import FitSummary, Outcome, schedule_all, summarize
from k3sgpu.capacity.team_guarantees import TeamRoom, team_rooms
from k3sgpu.capacity.team_nodes import pool_guarantees, team_demand
from k3sgpu.capacity.team_problems import guarantee_problems
from k3sgpu.capacity.team_shares import team_shares
from k3sgpu.settings import Problem, Settings, Workload

OUTSIDE_THE_STACK = "outside the stack"
"""The workload of placements that stand for reserved resources."""
MAX_NAMED_PODS = 10_000
"""With more pods than this, equal pods are not listed one by one."""


@dataclass(frozen=True)
class Placement:
    """A pod and its node, where it uses `count` of `resource`; or several equal pods that use it together."""

    pod: str
    workload: str
    node: str
    resource: str
    count: int
    pods: int = 1


@dataclass(frozen=True)
class Pending:
    """A pod without a node, or several equal ones, and the scheduler's message about each.

    `count` is what one of them requests.
    """

    pod: str
    workload: str
    resource: str
    count: int
    message: str
    pods: int = 1


@dataclass(frozen=True)
class Fit:
    """Whether the workloads fit, with one possible placement.

    The scheduler may choose another placement: at least `min_pending` and at most `max_pending` pods stay
    Pending whatever it chooses. `reserved` stands for pods outside the stack. `memory_loads` is what declared
    pods may use of one card's memory. `teams` is what teams can have. `problems` begins with the warnings of
    the settings.
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
    teams: tuple[TeamRoom, ...] = ()

    @property
    def fits(self) -> bool | None:
        """True if all pods fit in any order, False if in none, None if it depends or is not decided."""
        return {"any order": True, "no order": False}.get(self.verdict)

    @property
    def pods(self) -> int:
        """The number of all pods of the workloads."""
        return sum(one.pods for one in (*self.placements, *self.pending))

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
    demands = [
        team_demand(settings, demand_of(name, workload), workload)
        for name, workload in sorted(settings.workloads.items())
    ]
    shares = team_shares(settings, offers)
    guarantees = pool_guarantees(settings, shares, nodes, demands)
    # With the hosts in maintenance: guarantees that only they are missing for are no reason to stop.
    later = pool_guarantees(settings, shares, schedulable_nodes(settings, offers, usage), demands)
    outcomes = schedule_all(nodes, demands)
    named = sum(one.pods for one in demands) <= MAX_NAMED_PODS
    summary = summarize(outcomes)
    found = [*excess_reservations(settings, offered)]
    found += [problem for outcome in outcomes for problem in fit_problems(offered, nodes, outcome)]
    summary, limits = _with_kubelet_limits(
        nodes, demands, summary, floating_pods(settings) if usage is None else 0
    )
    found += [*limits, *guarantee_problems(offered, guarantees, later)]
    loads = memory_loads(offered, nodes, demands)
    return Fit(
        offers=offered,
        nodes=nodes,
        placements=tuple(placement for outcome in outcomes for placement in _placements(outcome, named)),
        reserved=tuple(_reserved(settings, usage or {})),
        pending=tuple(pod for outcome in outcomes for pod in _pending(nodes, outcome, named)),
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
        teams=team_rooms(guarantees),
    )


def _with_kubelet_limits(
    nodes: Sequence[SchedulableNode], demands: Sequence[Demand], summary: FitSummary, others: int
) -> tuple[FitSummary, list[Problem]]:
    """The summary and its problems if the kubelets' limits matter more than the resources do."""
    packing = pack_all_pods(nodes, demands, others)
    most = max(summary.max_pending, packing.max_pending)
    if packing.min_pending > summary.min_pending:
        problem = too_many_pods(nodes, demands, packing)
        return FitSummary("no order", packing.min_pending, most), [problem]
    if summary.verdict in ("any order", "some orders") and limits_decide(nodes, demands):
        return FitSummary("not decided", summary.min_pending, most), [undecided_pods()]
    return summary, []


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


def _pod_names(workload: str, first: int, number: int, named: bool) -> list[tuple[str, int]]:
    """Names for so many pods from the n-th on, each with the number of pods that it stands for."""
    if named or number == 1:
        return [(pod_name(workload, one), 1) for one in range(first, first + number)]
    return [(f"{pod_name(workload, first)}-{first + number - 1}", number)]


def _placements(outcome: Outcome, named: bool) -> list[Placement]:
    found: list[Placement] = []
    for one in outcome.demands:
        first = 1
        for node, number in outcome.packing.placements[one.workload].items():
            found += [
                Placement(name, one.workload, node, outcome.resource, pods * one.request, pods)
                for name, pods in _pod_names(one.workload, first, number, named)
            ]
            first += number
    return found


def _reserved(settings: Settings, usage: Mapping[str, NodeUsage]) -> list[Placement]:
    return [
        Placement(f"{OUTSIDE_THE_STACK}, on {node.name}", OUTSIDE_THE_STACK, node.name, resource, count)
        for node in settings.nodes
        for resource, count in reserved_resources(node, usage.get(node.name)).items()
        if count
    ]


def _pending(nodes: Sequence[SchedulableNode], outcome: Outcome, named: bool) -> list[Pending]:
    found: list[Pending] = []
    pending = outcome.pending
    for one in outcome.demands:
        if left := pending.get(one.workload):
            message = pending_message(one, nodes)
            found += [
                Pending(name, one.workload, outcome.resource, one.request, message, pods)
                for name, pods in _pod_names(one.workload, one.pods - left + 1, left, named)
            ]
    return found


def _with_severity(problems: Sequence[Problem], setting: str) -> tuple[Problem, ...]:
    if setting == "off":
        return ()
    if setting == "warn":
        return tuple(replace(problem, severity="warning") for problem in problems)
    return tuple(problems)
