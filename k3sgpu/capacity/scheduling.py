"""The scheduler's view: which nodes a pod may go to, and what it says of a pod that goes to none."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from k3sgpu.capacity.packing import Group, Packing, Verdict, has_placement, pack
from k3sgpu.wellknown import POOL_LABEL

KNOWN_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "accelerator",
        "nvidia.com/device-plugin.config",
        "nvidia.com/gpu.product",
        "nvidia.com/gpu.count",
        "nvidia.com/gpu.replicas",
        "nvidia.com/gpu.sharing-strategy",
        "nvidia.com/mps.capable",
        POOL_LABEL,
    }
)
"""Labels whose value on every node follows from the settings; what a node has of others is not known."""


class Taint(NamedTuple):
    """What keeps pods away from a node that do not tolerate it."""

    key: str
    value: str
    effect: str

    @classmethod
    def of(cls, text: str) -> "Taint":
        """From k3s's spelling, key=value:Effect or key:Effect."""
        pair, _, effect = text.rpartition(":")
        key, _, value = pair.partition("=")
        return cls(key, value, effect)

    @property
    def text(self) -> str:
        """As kubectl spells it."""
        return f"{self.key}={self.value}:{self.effect}"


class Toleration(NamedTuple):
    """What pods put up with: taints of this key, of any value and of any effect where there is None."""

    key: str
    value: str | None
    effect: str | None

    def covers(self, taint: Taint) -> bool:
        """Whether the pods put up with this taint."""
        alike = self.value in (None, taint.value) and self.effect in (None, taint.effect)
        return self.key == taint.key and alike


GPU_TOLERATION = Toleration("nvidia.com/gpu", None, "NoSchedule")
"""All our pods have it, as those of NVIDIA do."""


@dataclass(frozen=True)
class SchedulableNode:
    """A node as the scheduler sees it: `free` is what pods of the stack can have of each resource.

    `all_known`: it has no other labels than these.
    """

    name: str
    labels: Mapping[str, str]
    free: Mapping[str, int]
    taints: frozenset[Taint] = frozenset()
    unschedulable: bool = False
    all_known: bool = False


@dataclass(frozen=True)
class Demand:
    """A workload's pods: `pods` times `request` of `resource`, on nodes with the labels of `selector`."""

    workload: str
    pods: int
    request: int
    resource: str
    selector: Mapping[str, str]
    tolerations: tuple[Toleration, ...] = ()
    counted_by: str = "replicas"
    """The key of the stack file that says how many pods there are."""
    memory_mib: int = 0
    """What each pod declares to use of its cards' memory; 0: nothing is known."""

    def repelled_by(self, node: SchedulableNode) -> list[Taint]:
        """The node's taints that keep these pods out."""
        tolerated = (GPU_TOLERATION, *self.tolerations)
        hard = (taint for taint in node.taints if taint.effect in ("NoSchedule", "NoExecute"))
        return sorted(taint for taint in hard if not any(one.covers(taint) for one in tolerated))


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
        """How many pods ask for the resource."""
        return sum(demand.pods for demand in self.demands)

    @property
    def pending(self) -> dict[str, int]:
        """Pods without a node in the placement shown, by workload, where there are any."""
        placed = {demand.workload: len(self.packing.placements[demand.workload]) for demand in self.demands}
        return {
            one.workload: one.pods - placed[one.workload]
            for one in self.demands
            if one.pods > placed[one.workload]
        }


def schedule(nodes: Sequence[SchedulableNode], demands: Iterable[Demand], resource: str) -> Outcome:
    """Place the demands for one resource on what the nodes have of it."""
    asked = tuple(demand for demand in demands if demand.resource == resource)
    groups = _groups(nodes, asked)
    packing = pack(groups, _room(nodes, resource))
    unsure = {one.workload: unknown_selector_keys(one, nodes) for one in asked if one.pods}
    told = {workload: keys for workload, keys in unsure.items() if keys}
    return Outcome(resource, asked, packing, packing.verdict(groups), told)


def all_fit(nodes: Sequence[SchedulableNode], demands: Iterable[Demand], resource: str) -> bool:
    """Whether there is room for all demands for the resource, selectors taken as far as they are known."""
    asked = [demand for demand in demands if demand.resource == resource]
    return has_placement(_groups(nodes, asked), _room(nodes, resource))


def _room(nodes: Sequence[SchedulableNode], resource: str) -> dict[str, int]:
    return {node.name: node.free.get(resource, 0) for node in nodes}


def _groups(nodes: Sequence[SchedulableNode], demands: Iterable[Demand]) -> list[Group]:
    homes: dict[object, frozenset[str]] = {}
    groups = []
    for one in demands:
        asked = (*sorted(one.selector.items()), *one.tolerations)
        if asked not in homes:
            homes[asked] = frozenset(node.name for node in nodes if may_run_on(one, node))
        groups.append(
            Group(
                one.workload,
                one.pods,
                one.request,
                homes[asked],
                certain=not unknown_selector_keys(one, nodes),
            )
        )
    return groups


def unknown_selector_keys(demand: Demand, nodes: Sequence[SchedulableNode]) -> tuple[str, ...]:
    """Keys of the selector that decide, and that some node may have or not have: nobody knows."""
    strange = demand.selector.keys() - KNOWN_LABELS
    if not strange:
        return ()
    found = {
        key
        for node in nodes
        if not node.all_known and may_run_on(demand, node)
        for key in strange - node.labels.keys()
    }
    return tuple(sorted(found))


def may_run_on(demand: Demand, node: SchedulableNode) -> bool:
    """Whether the node lets the pods in, as far as its labels are known."""
    return _filter_failure(demand, node) is None


def _filter_failure(demand: Demand, node: SchedulableNode) -> str | None:
    """What the first filter of the scheduler says that such a pod fails, in the order it runs them."""
    if node.unschedulable:
        return "node(s) were unschedulable"
    if demand.repelled_by(node):
        return "node(s) had untolerated taint(s)"
    for key, value in demand.selector.items():
        known = key in node.labels or key in KNOWN_LABELS or node.all_known
        if known and node.labels.get(key) != value:
            return "node(s) didn't match Pod's node affinity/selector"
    return None


def pending_message(demand: Demand, nodes: Sequence[SchedulableNode]) -> str:
    """The message of the Pending pod's FailedScheduling event, up to what it says about preemption.

    As kube-scheduler composes it (framework.FitError): "<count> <reason>" of the first filter that each node
    failed, sorted as texts, joined by ", ", with a full stop. It is the same whoever else sits where: the
    nodes that would let the pod in have too little left, or it would not be Pending.
    """
    reasons = Counter(_filter_failure(demand, node) or f"Insufficient {demand.resource}" for node in nodes)
    listed = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    return f"0/{len(nodes)} nodes are available: {listed}."
