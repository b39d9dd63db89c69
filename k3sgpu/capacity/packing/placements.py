"""Search for a placement of whole pods: for each shape, how many of its pods go to which node.

Time and memory depend on the number of nodes and shapes, not on the number of pods.
"""

from collections.abc import Iterable, Mapping, Sequence

from k3sgpu.capacity.packing.max_flow import Flow, max_flow
from k3sgpu.capacity.packing.shapes import Component, NodeGroup, Shape

PodsByNode = dict[str, int]
"""The number of pods, by node."""


def best_placement(part: Component) -> list[PodsByNode]:
    """By shape, a placement of as many pods as possible: spread over the nodes if that places all of them."""
    attempts = [spread(part.shapes, part.room)]
    if placed_pods(attempts[0]) < part.pods:
        attempts.append(best_fit(part.shapes, part.room))
        if part.uniform:
            flow = max_flow(range(len(part.shapes)), part.shapes, part.node_groups)
            attempts.append(_from_flow(flow, part.node_groups))
    return max(attempts, key=placed_pods)


def placed_pods(placement: Iterable[Mapping[str, int]]) -> int:
    """The number of pods that have a node."""
    return sum(sum(nodes.values()) for nodes in placement)


def spread(shapes: Sequence[Shape], room: Mapping[str, int]) -> list[PodsByNode]:
    """Put each pod on the node with the most room, roughly as the scheduler does."""
    free = dict(room)
    placement: list[PodsByNode] = []
    for shape in shapes:
        rooms = {node: free[node] for node in shape.candidates & free.keys()}
        nodes = pods_on_roomiest(shape.pods, shape.request, rooms)
        for node, number in nodes.items():
            free[node] -= number * shape.request
        placement.append(nodes)
    return placement


def pods_on_roomiest(pods: int, request: int, room: Mapping[str, int]) -> PodsByNode:
    """How many of these pods each node gets, if they go one by one to the node with the most room.

    Among equal nodes the first by name is next. A node with room f receives pods at the rooms f, f - request,
    f - 2 x request and so on. The pods use the largest of the rooms of all nodes: those above a level.
    """

    def number(free: int, level: int) -> int:
        return (free - level) // request + 1 if free >= level else 0

    low, high = request, max(room.values(), default=0) + 1  # at level `high` no pod is placed
    while low < high:  # the lowest level at which the pods do not run out
        middle = (low + high) // 2
        if sum(number(free, middle) for free in room.values()) <= pods:
            high = middle
        else:
            low = middle + 1
    placed = {node: number(free, high) for node, free in sorted(room.items())}
    left = pods - sum(placed.values())
    for node, free in sorted(room.items()):  # the rest, on nodes that receive a pod just below the level
        if left and high > request and number(free, high - 1) > placed[node]:
            placed[node] += 1
            left -= 1
    return {node: count for node, count in placed.items() if count}


def best_fit(shapes: Sequence[Shape], room: Mapping[str, int]) -> list[PodsByNode]:
    """Put each pod on the node with the least room that is enough (best fit, largest requests first)."""
    free = dict(room)
    placement: list[PodsByNode] = []
    for shape in shapes:
        nodes: PodsByNode = {}
        left = shape.pods
        for node in sorted(shape.candidates & free.keys(), key=lambda node: (free[node], node)):
            if number := min(free[node] // shape.request, left):
                free[node] -= number * shape.request
                nodes[node] = number
                left -= number
        placement.append(nodes)
    return placement


def _from_flow(flow: Flow, node_groups: Sequence[NodeGroup]) -> list[PodsByNode]:
    """A flow of whole pods as a placement: within a node group, any pod may use any node."""
    placement: list[PodsByNode] = [{} for _ in flow]
    for index, group in enumerate(node_groups):
        free = dict.fromkeys(group.nodes, group.room)
        for shape, amounts in enumerate(flow):
            left = amounts[index]
            for node in group.nodes:
                if number := min(left, free[node]):
                    free[node] -= number
                    placement[shape][node] = number
                    left -= number
    return placement
