"""Search for a placement of whole pods: for each shape, the nodes of its pods."""

from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import islice

from k3sgpu.capacity.packing.max_flow import Flow, max_flow
from k3sgpu.capacity.packing.shapes import Component, NodeGroup, Shape

NodesByShape = list[list[str]]
"""By shape (index): a node for each placed pod."""


def best_placement(part: Component) -> NodesByShape:
    """A placement of as many pods as possible: spread over the nodes if that places all of them."""
    attempts = [spread(part.shapes, part.room)]
    if placed_pods(attempts[0]) < part.pods:
        attempts.append(best_fit(part.shapes, part.room))
        if part.uniform:
            flow = max_flow(range(len(part.shapes)), part.shapes, part.node_groups)
            attempts.append(_from_flow(flow, part.node_groups))
    return max(attempts, key=placed_pods)


def placed_pods(placement: Iterable[Sequence[str]]) -> int:
    """The number of pods that have a node."""
    return sum(len(nodes) for nodes in placement)


def spread(shapes: Sequence[Shape], room: Mapping[str, int]) -> NodesByShape:
    """Put each pod on the node with the most room, roughly as the scheduler does."""
    free = dict(room)
    placement: NodesByShape = []
    for shape in shapes:
        nodes: list[str] = []
        heap = [(-free[node], node) for node in shape.candidates if free.get(node, 0) >= shape.request]
        heapify(heap)
        while heap and len(nodes) < shape.pods:
            _, node = heappop(heap)
            free[node] -= shape.request
            nodes.append(node)
            if free[node] >= shape.request:
                heappush(heap, (-free[node], node))
        placement.append(nodes)
    return placement


def best_fit(shapes: Sequence[Shape], room: Mapping[str, int]) -> NodesByShape:
    """Put each pod on the node with the least room that is enough (best fit, largest requests first)."""
    free = dict(room)
    placement: NodesByShape = []
    for shape in shapes:
        nodes: list[str] = []
        for node in sorted(shape.candidates & free.keys(), key=lambda node: (free[node], node)):
            number = min(free[node] // shape.request, shape.pods - len(nodes))
            free[node] -= number * shape.request
            nodes += [node] * number
        placement.append(nodes)
    return placement


def _from_flow(flow: Flow, node_groups: Sequence[NodeGroup]) -> NodesByShape:
    """A flow of whole pods as a placement: within a node group, any pod may use any node."""
    placement: NodesByShape = [[] for _ in flow]
    for index, group in enumerate(node_groups):
        nodes = (node for node in group.nodes for _ in range(group.room))
        for shape, amounts in enumerate(flow):
            placement[shape] += islice(nodes, amounts[index])
    return placement
