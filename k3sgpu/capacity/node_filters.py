"""The scheduler's filters: which nodes a workload's pods may use, and the message if none has room.

The order of the filters and the texts are kube-scheduler's (compared with the real one by
rehearsal/tests/e2e/test_fit_scheduler.py).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from k3sgpu.capacity.schedulable_nodes import SchedulableNode
from k3sgpu.capacity.taints import untolerated
from k3sgpu.settings import Toleration
from k3sgpu.wellknown import (
    ACCELERATOR_LABEL,
    CONFIG_LABEL,
    HOSTNAME_LABEL,
    MPS_CAPABLE_LABEL,
    POOL_LABEL,
    PRODUCT_LABEL,
)

PREDICTABLE_LABELS = frozenset(
    {
        HOSTNAME_LABEL,
        "kubernetes.io/os",
        ACCELERATOR_LABEL,
        CONFIG_LABEL,
        PRODUCT_LABEL,
        "nvidia.com/gpu.count",
        "nvidia.com/gpu.replicas",
        "nvidia.com/gpu.sharing-strategy",
        MPS_CAPABLE_LABEL,
        POOL_LABEL,
    }
)
"""Labels whose value on every node follows from the settings. A node may have others."""


@dataclass(frozen=True)
class Demand:
    """The pods of a workload: `pods` pods, each requesting `request` of `resource`.

    `pods_key` is the key of the stack file that sets the number of pods. `memory_mib` is the GPU memory that
    each pod declares to use, in MiB; 0 if it declares nothing.
    """

    workload: str
    pods: int
    request: int
    resource: str
    selector: Mapping[str, str]
    tolerations: tuple[Toleration, ...] = ()
    pods_key: str = "replicas"
    memory_mib: int = 0


def may_run_on(demand: Demand, node: SchedulableNode) -> bool:
    """Whether the pods may run on the node, as far as its labels are known; free resources do not matter."""
    return _filter_failure(demand, node) is None


def unknown_selector_keys(demand: Demand, nodes: Sequence[SchedulableNode]) -> tuple[str, ...]:
    """Selector keys that decide where the pods may run, but that some node may or may not have."""
    unpredictable = demand.selector.keys() - PREDICTABLE_LABELS
    if not unpredictable:
        return ()
    unknown = {
        key
        for node in nodes
        if not node.all_labels_known and may_run_on(demand, node)
        for key in unpredictable - node.labels.keys()
    }
    return tuple(sorted(unknown))


def pending_message(demand: Demand, nodes: Sequence[SchedulableNode]) -> str:
    """The message of a Pending pod's FailedScheduling event, up to the part about preemption.

    kube-scheduler (framework.FitError) writes "<count> <reason>" for the first filter that each node fails,
    sorted as texts. The message does not depend on where other pods run: each node that passes the filters
    has too little left, or the pod would not be Pending.
    """
    reasons = Counter(reason for node in nodes for reason in _reasons(demand, node))
    listed = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    return f"0/{len(nodes)} nodes are available: {listed}."


def _reasons(demand: Demand, node: SchedulableNode) -> list[str]:
    """Why the pods that are left do not fit on the node, once it has as many of them as it takes."""
    if failure := _filter_failure(demand, node):
        return [failure]
    fitting = node.free.get(demand.resource, 0) // demand.request
    full = node.free_pods is not None and node.free_pods <= fitting
    used_up = node.free_pods is None or fitting <= node.free_pods
    insufficient = f"Insufficient {demand.resource}"
    return [*(["Too many pods"] if full else []), *([insufficient] if used_up else [])]


def _filter_failure(demand: Demand, node: SchedulableNode) -> str | None:
    """The reason of the first filter that the pods fail on the node, in the scheduler's order."""
    if node.unschedulable:
        return "node(s) were unschedulable"
    if untolerated(node.taints, demand.tolerations):
        return "node(s) had untolerated taint(s)"
    for key, value in demand.selector.items():
        known = key in node.labels or key in PREDICTABLE_LABELS or node.all_labels_known
        if known and node.labels.get(key) != value:
            return "node(s) didn't match Pod's node affinity/selector"
    return None
