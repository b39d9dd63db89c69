"""The result of scheduling all demands: how many pods stay Pending at least and at most."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from k3sgpu.capacity.node_filters import Demand, may_run_on, unknown_selector_keys
from k3sgpu.capacity.packing.pack import Packing, PodGroup, Verdict, has_placement, pack
from k3sgpu.capacity.schedulable_nodes import SchedulableNode

WORST_FIRST: tuple[Verdict, ...] = ("no order", "not decided", "some orders", "any order")


@dataclass(frozen=True)
class Outcome:
    """All demands for one resource, packed. `unknown_selector_keys` are by workload."""

    resource: str
    demands: tuple[Demand, ...]
    packing: Packing
    verdict: Verdict
    unknown_selector_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def pods(self) -> int:
        """How many pods request the resource."""
        return sum(demand.pods for demand in self.demands)

    @property
    def pending(self) -> dict[str, int]:
        """How many pods have no node in the placement shown, by workload; only where there are any."""
        placed = {workload: sum(nodes.values()) for workload, nodes in self.packing.placements.items()}
        left = {one.workload: one.pods - placed[one.workload] for one in self.demands}
        return {workload: pods for workload, pods in left.items() if pods > 0}


@dataclass(frozen=True)
class FitSummary:
    """All resources together: the worst verdict, and the bounds of the number of Pending pods."""

    verdict: Verdict
    min_pending: int
    max_pending: int


def schedule(nodes: Sequence[SchedulableNode], demands: Iterable[Demand], resource: str) -> Outcome:
    """Place the demands for one resource on what the nodes have free of it."""
    selected = tuple(demand for demand in demands if demand.resource == resource)
    groups = pod_groups(nodes, selected)
    packing = pack(groups, _room(nodes, resource, groups))
    unknown = {one.workload: unknown_selector_keys(one, nodes) for one in selected if one.pods}
    return Outcome(
        resource=resource,
        demands=selected,
        packing=packing,
        verdict=packing.verdict(groups),
        unknown_selector_keys={workload: keys for workload, keys in unknown.items() if keys},
    )


def schedule_all(nodes: Sequence[SchedulableNode], demands: Sequence[Demand]) -> list[Outcome]:
    """The outcome for each resource that is requested, sorted by resource. Resources do not compete."""
    return [schedule(nodes, demands, name) for name in sorted({one.resource for one in demands})]


def summarize(outcomes: Sequence[Outcome]) -> FitSummary:
    """The outcomes of all resources as one."""
    return FitSummary(
        verdict=_worst({outcome.verdict for outcome in outcomes}),
        min_pending=sum(outcome.packing.min_pending for outcome in outcomes),
        max_pending=sum(outcome.packing.max_pending for outcome in outcomes),
    )


def _worst(verdicts: Collection[Verdict]) -> Verdict:
    for verdict in WORST_FIRST:
        if verdict in verdicts:
            return verdict
    return "any order"


def all_fit(nodes: Sequence[SchedulableNode], demands: Iterable[Demand], resource: str) -> bool:
    """Whether a placement of all demands for the resource exists, as far as labels are known."""
    selected = [demand for demand in demands if demand.resource == resource]
    groups = pod_groups(nodes, selected)
    return has_placement(groups, _room(nodes, resource, groups))


def _room(nodes: Sequence[SchedulableNode], resource: str, groups: Sequence[PodGroup]) -> dict[str, int]:
    """What pods can use of each node: no more than the largest of them use if the kubelet's limit is reached.

    Exact where all pods on a node request the same; else kubelet_limits.py finds what is missing.
    """
    largest = _largest_requests(groups)
    return {
        node.name: node.free.get(resource, 0)
        if node.free_pods is None
        else min(node.free.get(resource, 0), node.free_pods * largest.get(node.name, 0))
        for node in nodes
    }


def _largest_requests(groups: Sequence[PodGroup]) -> dict[str, int]:
    """By node, the largest request of the pods that may run there."""
    largest: dict[str, int] = {}
    by_candidates: dict[frozenset[str], int] = {}
    for group in groups:
        by_candidates[group.candidates] = max(by_candidates.get(group.candidates, 0), group.request)
    for candidates, request in by_candidates.items():
        for node in candidates:
            largest[node] = max(largest.get(node, 0), request)
    return largest


def pod_groups(nodes: Sequence[SchedulableNode], demands: Iterable[Demand]) -> list[PodGroup]:
    """A group for each demand. Demands with equal selectors and tolerations share one filter run."""
    candidates: dict[object, frozenset[str]] = {}
    groups: list[PodGroup] = []
    for one in demands:
        filters = (*sorted(one.selector.items()), *one.tolerations)
        if filters not in candidates:
            candidates[filters] = frozenset(node.name for node in nodes if may_run_on(one, node))
        certain = not unknown_selector_keys(one, nodes)
        groups.append(PodGroup(one.workload, one.pods, one.request, candidates[filters], certain))
    return groups
