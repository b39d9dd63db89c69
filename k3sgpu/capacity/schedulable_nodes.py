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

    `all_labels_known`: the node has no labels other than these.
    """

    name: str
    labels: Mapping[str, str]
    free: Mapping[str, int]
    taints: frozenset[Taint] = frozenset()
    unschedulable: bool = False
    all_labels_known: bool = False


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
        )
        for node, offer in zip(settings.nodes, offers, strict=True)
    ]
    names = {node.name for node in own}
    others = [_other_node(name, used) for name, used in sorted(usage.items()) if name not in names]
    return (*(_with_usage(node, usage.get(node.name)) for node in own), *others)


def _other_node(name: str, usage: NodeUsage) -> SchedulableNode:
    return SchedulableNode(
        name=name,
        labels=usage.labels,
        free=_subtract(usage.allocatable, usage.used),
        taints=usage.taints,
        unschedulable=usage.unschedulable,
        all_labels_known=True,
    )


def _with_usage(node: SchedulableNode, usage: NodeUsage | None) -> SchedulableNode:
    """The node with the cluster's labels and taints. Labels that the stack sets take precedence."""
    if usage is None:
        return node
    return replace(
        node,
        labels={**usage.labels, **node.labels},
        taints=usage.taints,
        unschedulable=usage.unschedulable,
        all_labels_known=True,
    )


def _subtract(offered: Mapping[str, int], used: Mapping[str, int]) -> dict[str, int]:
    return {name: max(0, count - used.get(name, 0)) for name, count in offered.items()}
