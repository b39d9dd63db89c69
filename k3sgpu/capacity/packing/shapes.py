"""The packing problem, reduced: equal pods become one shape, equal nodes one group, and what shares no node
becomes a component of its own. Hundreds of workloads and nodes make a handful of each.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple


@dataclass(frozen=True)
class PodGroup:
    """`pods` equal pods of one workload, each requesting `request`; they may use the nodes in `candidates`.

    `certain` is False if the candidates are nodes that merely cannot be ruled out.
    """

    name: str
    pods: int
    request: int
    candidates: frozenset[str]
    certain: bool = True

    @property
    def key(self) -> "ShapeKey":
        """What is equal for all groups of one shape."""
        return ShapeKey(self.request, self.candidates, self.certain)


class ShapeKey(NamedTuple):
    """What makes pods equal for the packing."""

    request: int
    candidates: frozenset[str]
    certain: bool


@dataclass(frozen=True)
class Shape:
    """All pods with one key, of however many groups."""

    pods: int
    request: int
    candidates: frozenset[str]
    certain: bool


@dataclass(frozen=True)
class NodeGroup:
    """Equal nodes: each has `room` units free and takes pods of the same `shapes` (indexes)."""

    nodes: tuple[str, ...]
    room: int
    shapes: frozenset[int]

    def capacity_for(self, shape: Shape) -> int:
        """How much of the group's room pods of this shape alone can use. A node takes whole pods only."""
        return len(self.nodes) * (self.room // shape.request * shape.request)


@dataclass(frozen=True)
class Component:
    """Shapes that compete for nodes, directly or through others, and these nodes. Largest requests first."""

    keys: Sequence[ShapeKey]
    shapes: Sequence[Shape]
    room: Mapping[str, int]
    node_groups: Sequence[NodeGroup]

    @property
    def pods(self) -> int:
        """The number of pods of all shapes."""
        return sum(shape.pods for shape in self.shapes)

    @property
    def uniform(self) -> bool:
        """Whether all pods request the same amount; the unit is then one pod."""
        return all(shape.request == 1 for shape in self.shapes)


def components(groups: Sequence[PodGroup], room: Mapping[str, int]) -> list[Component]:
    """Split the problem into parts that have no node in common."""
    keys = _shape_keys(groups)
    pods: dict[ShapeKey, int] = defaultdict(int)
    for group in groups:
        pods[group.key] += group.pods
    shapes = [Shape(pods[key], *key) for key in keys]
    node_groups = _node_groups(shapes, room)
    parts = [frozenset([index]) for index in range(len(shapes))]
    for node_group in node_groups:
        connected = [part for part in parts if part & node_group.shapes]
        parts = [part for part in parts if part not in connected] + [frozenset[int]().union(*connected)]
    return [
        _component(sorted(part), keys, shapes, [one for one in node_groups if one.shapes & part])
        for part in parts
    ]


def _component(
    indexes: Sequence[int],
    keys: Sequence[ShapeKey],
    shapes: Sequence[Shape],
    node_groups: Iterable[NodeGroup],
) -> Component:
    """The component of these shapes. If all request the same amount, that amount becomes the unit."""
    own = [shapes[index] for index in indexes]
    requests = {shape.request for shape in own}
    unit = requests.pop() if len(requests) == 1 else 1
    own = [replace(shape, request=shape.request // unit) for shape in own]
    room = {node: one.room // unit for one in node_groups for node in one.nodes}
    return Component([keys[index] for index in indexes], own, room, _node_groups(own, room))


def _shape_keys(groups: Sequence[PodGroup]) -> list[ShapeKey]:
    """Largest requests first, then those with the fewest candidates."""
    keys = dict.fromkeys(group.key for group in groups if group.pods)
    return sorted(
        keys, key=lambda key: (-key.request, len(key.candidates), sorted(key.candidates), key.certain)
    )


def _node_groups(shapes: Sequence[Shape], room: Mapping[str, int]) -> list[NodeGroup]:
    nodes_by_kind: dict[tuple[int, frozenset[int]], list[str]] = defaultdict(list)
    for node, free in sorted(room.items()):
        fitting = [
            index for index, one in enumerate(shapes) if free >= one.request and node in one.candidates
        ]
        nodes_by_kind[free, frozenset(fitting)].append(node)
    return [NodeGroup(tuple(nodes), free, able) for (free, able), nodes in nodes_by_kind.items() if able]
