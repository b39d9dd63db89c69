"""The nodes as the scheduler will see them: what the stack offers, less what others use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from k3sgpu.capacity.node_usage import NodeUsage
from k3sgpu.capacity.offers import NodeOffer
from k3sgpu.capacity.reservations import reserved_resources
from k3sgpu.settings import Settings, Taint


@dataclass(frozen=True)
class SchedulableNode:
    """A node as the scheduler sees it; `free` is what pods of the stack may use, by resource.

    `free_pods`: how many pods of the stack its kubelet takes, None if that is not known.
    `all_labels_known`: the node has no labels other than these.
    """

    name: str
    labels: Mapping[str, str]
    free: Mapping[str, int]
    taints: frozenset[Taint] = frozenset()
    unschedulable: bool = False
    all_labels_known: bool = False
    free_pods: int | None = None


def schedulable_nodes(
    settings: Settings, offers: Sequence[NodeOffer], usage: Mapping[str, NodeUsage] | None = None
) -> tuple[SchedulableNode, ...]:
    """The nodes of the stack, then the other nodes of the running cluster, if its `usage` is given."""
    usage = usage or {}
    own = [
        SchedulableNode(
            name=offer.name,
            labels={**node.labels, **offer.all_labels},
            free=_subtract(offer.resources, reserved_resources(node, usage.get(offer.name))),
            taints=frozenset(Taint.parse(text) for text in node.taints),
            free_pods=_free_pods(offer.max_pods, offer.system_pods),
        )
        for node, offer in zip(settings.nodes, offers, strict=True)
    ]
    names = {node.name for node in own}
    others = [_other_node(name, used) for name, used in sorted(usage.items()) if name not in names]
    system = {offer.name: offer.system_pods for offer in offers}
    return (*(_with_usage(node, usage.get(node.name), system[node.name]) for node in own), *others)


def _other_node(name: str, usage: NodeUsage) -> SchedulableNode:
    return SchedulableNode(
        name=name,
        labels=usage.labels,
        free=_subtract(usage.allocatable, usage.used),
        taints=usage.taints,
        unschedulable=usage.unschedulable,
        all_labels_known=True,
        free_pods=_free_pods(usage.max_pods, usage.pods),
    )


def _with_usage(node: SchedulableNode, usage: NodeUsage | None, system_pods: int) -> SchedulableNode:
    """The node with the cluster's labels, taints and pods. Labels that the stack sets take precedence.

    Of k3s and the operator, at least `system_pods` will run, whether they do already or not.
    """
    if usage is None:
        return node
    observed = _free_pods(usage.max_pods, max(usage.pods, system_pods))
    return replace(
        node,
        labels={**usage.labels, **node.labels},
        taints=usage.taints,
        unschedulable=usage.unschedulable,
        all_labels_known=True,
        free_pods=node.free_pods if observed is None else observed,
    )


def _free_pods(limit: int | None, used: int) -> int | None:
    return None if limit is None else max(0, limit - used)


def _subtract(offered: Mapping[str, int], used: Mapping[str, int]) -> dict[str, int]:
    return {name: max(0, count - used.get(name, 0)) for name, count in offered.items()}
