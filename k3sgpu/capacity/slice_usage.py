"""Which slices are used: in total by resource, and on each card."""

from collections import defaultdict
from collections.abc import Sequence

from k3sgpu.capacity.fit import Placement
from k3sgpu.capacity.offers import NodeOffer, ResourceOffer


def totals(offers: Sequence[NodeOffer], placements: Sequence[Placement]) -> dict[str, tuple[int, int]]:
    """Taken and offered, for each resource that the stack's nodes offer."""
    offered: dict[str, int] = defaultdict(int)
    taken: dict[str, int] = defaultdict(int)
    for offer in offers:
        for resource, number in offer.resources.items():
            offered[resource] += number
    for placement in placements:
        taken[placement.resource] += placement.count
    return {resource: (taken[resource], number) for resource, number in sorted(offered.items()) if number}


def by_node(placements: Sequence[Placement]) -> dict[str, list[Placement]]:
    """The placements on each node; an empty list for any other name."""
    nodes: dict[str, list[Placement]] = defaultdict(list)
    for placement in placements:
        nodes[placement.node].append(placement)
    return nodes


def pods_by_device(resource: ResourceOffer, placements: Sequence[Placement]) -> list[list[str]]:
    """For each card or partition of a node, the pods on its slices; a pod once for each slice.

    NVIDIA's device plugin gives out slices of the device that has the fewest taken.
    """
    devices: list[list[str]] = [[] for _ in range(resource.devices)]
    for placement in placements:
        for _ in range(placement.count if placement.resource == resource.name else 0):
            min(devices, key=len).append(placement.pod)
    return devices
