"""Maximum flow from shapes to node groups: the fractional relaxation, in which pods can be divided."""

from collections import deque
from collections.abc import Iterable, Sequence

from k3sgpu.capacity.packing.shapes import NodeGroup, Shape

Flow = list[list[int]]
"""Units of the resource, by shape and by node group (indexes)."""
AugmentingPath = tuple[list[int], list[int]]
"""Shapes and node groups in turn, as indexes. The last node group has free units."""


def max_flow(order: Iterable[int], shapes: Sequence[Shape], node_groups: Sequence[NodeGroup]) -> Flow:
    """A largest assignment of units to node groups, by shortest augmenting paths (Edmonds-Karp).

    Shapes are added in the `order` given. A later shape may move units of an earlier one to another node
    group, but never displaces them.
    """
    limits = [
        [node_group.capacity_for(shape) if index in node_group.shapes else 0 for node_group in node_groups]
        for index, shape in enumerate(shapes)
    ]
    flow = [[0] * len(node_groups) for _ in shapes]
    free = [len(node_group.nodes) * node_group.room for node_group in node_groups]
    for index in order:
        left = shapes[index].pods * shapes[index].request
        while left and (path := _augmenting_path(index, free, flow, limits)):
            left -= _augment(path, left, free, flow, limits)
    return flow


def _augment(
    path: AugmentingPath, wanted: int, free: list[int], flow: Flow, limits: Sequence[Sequence[int]]
) -> int:
    """Move as many units along the path as possible, at most `wanted`; returns their number."""
    shape_indexes, group_indexes = path
    forward = list(zip(shape_indexes, group_indexes, strict=True))
    backward = list(zip(shape_indexes[1:], group_indexes, strict=False))
    amount = min(
        wanted,
        free[group_indexes[-1]],
        *(limits[shape][node_group] - flow[shape][node_group] for shape, node_group in forward),
        *(flow[shape][node_group] for shape, node_group in backward),
    )
    free[group_indexes[-1]] -= amount
    for shape, node_group in forward:
        flow[shape][node_group] += amount
    for shape, node_group in backward:
        flow[shape][node_group] -= amount
    return amount


def _augmenting_path(
    start: int, free: Sequence[int], flow: Flow, limits: Sequence[Sequence[int]]
) -> AugmentingPath | None:
    """A shortest path from a shape to a node group with free units; None if there is none."""
    queue: deque[AugmentingPath] = deque([([start], [])])
    visited_shapes, visited_groups = {start}, set[int]()
    while queue:
        shapes, groups = queue.popleft()
        for node_group, limit in enumerate(limits[shapes[-1]]):
            if node_group in visited_groups or flow[shapes[-1]][node_group] >= limit:
                continue
            visited_groups.add(node_group)
            if free[node_group]:
                return shapes, [*groups, node_group]
            for shape, amounts in enumerate(flow):
                if amounts[node_group] and shape not in visited_shapes:
                    visited_shapes.add(shape)
                    queue.append(([*shapes, shape], [*groups, node_group]))
    return None
