"""What is reserved on nodes for pods outside the stack."""

from collections.abc import Iterator, Sequence

from k3sgpu.capacity.node_usage import NodeUsage
from k3sgpu.capacity.offers import NodeOffer
from k3sgpu.settings import Node, Problem, Settings


def reserved_resources(node: Node, usage: NodeUsage | None = None) -> dict[str, int]:
    """What pods outside the stack use, by resource: as declared or as observed, whichever is more."""
    used = usage.used if usage else {}
    names = [*node.reserved, *(used.keys() - node.reserved.keys())]
    return {name: max(node.reserved.get(name, 0), used.get(name, 0)) for name in names}


def excess_reservations(settings: Settings, offers: Sequence[NodeOffer]) -> Iterator[Problem]:
    """A problem for each reservation of more than its node offers; once for each path of the stack file."""
    reported: set[str] = set()
    for node, offer in zip(settings.nodes, offers, strict=True):
        for resource, count in node.reserved.items():
            path = f"{_reserved_path(settings, node)}.{resource}"
            offered = offer.resources.get(resource, 0)
            if count > offered and path not in reported:
                reported.add(path)
                listed = [f"{number} {name}" for name, number in offer.resources.items() if number]
                yield Problem(
                    where=path,
                    found=f"{count}, of which {node.name} offers {offered}",
                    expected=f"no more than a node offers: {', '.join(listed) or 'nothing'} (on {node.name})",
                    remedy=f"write at most {offered}"
                    if offered
                    else "remove it, or name what the node offers",
                )


def _reserved_path(settings: Settings, node: Node) -> str:
    """Where the stack file says what is reserved on this node: at its host, or at its pool."""
    host = settings.pools[node.pool].hosts.get(node.name)
    own = host is not None and host.reserved is not None
    return f"pools.{node.pool}.{f'hosts.{node.name}.' if own else ''}reserved"
