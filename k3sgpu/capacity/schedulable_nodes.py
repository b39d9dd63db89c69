"""The nodes as the scheduler will see them: what the stack offers, less what others use."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from k3sgpu.capacity.node_usage import NodeUsage
from k3sgpu.capacity.offers import NodeOffer
from k3sgpu.capacity.scheduling import SchedulableNode, Taint
from k3sgpu.settings import Node, Problem, Settings


def schedulable_nodes(
    settings: Settings, offers: Sequence[NodeOffer], seen: Mapping[str, NodeUsage] | None = None
) -> tuple[SchedulableNode, ...]:
    """A place for each node of the stack, and for each other node that was seen in the cluster."""
    around = dict(seen or {})
    mine = [
        SchedulableNode(
            name=offer.name,
            labels={**node.labels, **offer.all_labels},
            free=_left(offer.resources, reserved(node, around.get(offer.name))),
            taints=frozenset(Taint.of(text) for text in node.taints),
        )
        for node, offer in zip(settings.nodes, offers, strict=True)
    ]
    names = {node.name for node in mine}
    strangers = [
        SchedulableNode(
            name, one.labels, _left(one.allocatable, one.used), one.taints, one.unschedulable, True
        )
        for name, one in sorted(around.items())
        if name not in names
    ]
    return (*(_as_seen(node, around.get(node.name)) for node in mine), *strangers)


def reserved(node: Node, seen: NodeUsage | None = None) -> dict[str, int]:
    """By resource, what things outside the stack use: as declared or as seen, whichever is more."""
    used = seen.used if seen else {}
    names = [*node.reserved, *(used.keys() - node.reserved.keys())]
    return {name: max(node.reserved.get(name, 0), used.get(name, 0)) for name in names}


def excess_reservations(settings: Settings, offers: Sequence[NodeOffer]) -> Iterator[Problem]:
    """Reservations of what a node does not offer; each place of the stack file once."""
    told: set[str] = set()
    for node, offer in zip(settings.nodes, offers, strict=True):
        host = settings.pools[node.pool].hosts.get(node.name)
        own = host is not None and host.reserved is not None
        path = f"pools.{node.pool}.{f'hosts.{node.name}.' if own else ''}reserved"
        for resource, count in node.reserved.items():
            offered = offer.resources.get(resource, 0)
            if count > offered and f"{path}.{resource}" not in told:
                told.add(f"{path}.{resource}")
                has = [f"{number} {name}" for name, number in offer.resources.items() if number]
                yield Problem(
                    f"{path}.{resource}",
                    f"{count}, of which {node.name} offers {offered}",
                    f"no more than a node offers: {', '.join(has) or 'nothing'} (on {node.name})",
                    f"write at most {offered}" if offered else "remove it, or name what the node offers",
                )


def _as_seen(node: SchedulableNode, seen: NodeUsage | None) -> SchedulableNode:
    """What the stack will write stays; all else is as it is in the cluster."""
    if seen is None:
        return node
    return replace(
        node,
        labels={**seen.labels, **node.labels},
        taints=seen.taints,
        unschedulable=seen.unschedulable,
        all_known=True,
    )


def _left(offered: Mapping[str, int], used: Mapping[str, int]) -> dict[str, int]:
    return {name: max(0, count - used.get(name, 0)) for name, count in offered.items()}
