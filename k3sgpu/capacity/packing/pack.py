"""Place pods that request one resource, and bound how many stay Pending whatever the scheduler does.

`min_pending`: at least so many pods stay Pending in every placement. We solve the fractional relaxation
(pods can be divided, small requests first); whole pods cannot do better.
`max_pending`: at most so many pods stay Pending in the worst order. For each set of shapes we count how many
of their pods can stay out while all other pods occupy as much as they can.

If all pods request the same amount, both bounds are exact. The reasoning is in
docs/explanation/how-fit-decides.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Literal

from k3sgpu.capacity.packing.max_flow import max_flow
from k3sgpu.capacity.packing.placements import (
    PodsByNode,
    best_fit,
    best_placement,
    placed_pods,
    pods_on_roomiest,
)
from k3sgpu.capacity.packing.shapes import Component, NodeGroup, PodGroup, Shape, ShapeKey, components

Verdict = Literal["any order", "some orders", "no order", "not decided"]
"""In which orders of scheduling all pods get a node."""
MAX_COMBINED_SHAPES = 8
"""With more shapes there are too many sets of them (2^n), so each shape is looked at alone."""


@dataclass(frozen=True)
class Packing:
    """One good placement of the pods, and bounds of how many stay Pending in any.

    `placements`: by group, how many of its pods are on which node. `min_pending` and `max_pending`: at least
    and at most so many pods stay Pending.
    """

    placements: dict[str, PodsByNode]
    min_pending: int
    max_pending: int

    def pending(self, group: PodGroup) -> int:
        """How many pods of the group have no node in this placement."""
        return group.pods - sum(self.placements[group.name].values())

    def verdict(self, groups: Iterable[PodGroup]) -> Verdict:
        """What is certain for the groups that were packed."""
        if self.min_pending:
            return "no order"
        if not self.max_pending:
            return "any order"
        all_placed = all(not self.pending(group) for group in groups)
        certain = all(group.certain for group in groups if group.pods)
        return "some orders" if all_placed and certain else "not decided"


def pack(groups: Sequence[PodGroup], room: Mapping[str, int]) -> Packing:
    """Place all groups on nodes with so much `room`, and bound how many pods stay Pending."""
    nodes_by_key: dict[ShapeKey, PodsByNode] = {}
    min_pending = max_pending = 0
    for part in components(groups, room):
        min_pending += _min_pending(part)
        max_pending += _max_pending(part)
        nodes_by_key |= zip(part.keys, best_placement(part), strict=True)
    return Packing(_nodes_by_group(groups, nodes_by_key), min_pending, max_pending)


def has_placement(groups: Sequence[PodGroup], room: Mapping[str, int]) -> bool:
    """Whether a placement of all pods was found. False also if one exists that the search missed."""
    return all(_min_pending(part) == 0 and _placement_found(part) for part in components(groups, room))


def _placement_found(part: Component) -> bool:
    return part.uniform or placed_pods(best_fit(part.shapes, part.room)) == part.pods


def _nodes_by_group(
    groups: Sequence[PodGroup], nodes_by_key: Mapping[ShapeKey, PodsByNode]
) -> dict[str, PodsByNode]:
    """Divide the nodes of each shape among its groups, in the order of the groups, evenly over the nodes."""
    left = {key: dict(nodes) for key, nodes in nodes_by_key.items()}
    placements: dict[str, PodsByNode] = {}
    for group in groups:
        nodes = pods_on_roomiest(group.pods, 1, left[group.key]) if group.pods else {}
        for node, number in nodes.items():
            left[group.key][node] -= number
        placements[group.name] = nodes
    return placements


def _min_pending(part: Component) -> int:
    """Small requests first: in the fractional relaxation this places the most pods."""
    flow = max_flow(range(len(part.shapes))[::-1], part.shapes, part.node_groups)
    placed = sum(Fraction(sum(units), shape.request) for units, shape in zip(flow, part.shapes, strict=True))
    return part.pods - int(placed)


def _max_pending(part: Component) -> int:
    """All pods of uncertain shapes, and of the certain ones as many as can stay out together."""
    certain = [index for index, shape in enumerate(part.shapes) if shape.certain]
    uncertain_pods = sum(shape.pods for shape in part.shapes if not shape.certain)
    if len(certain) > MAX_COMBINED_SHAPES:
        return uncertain_pods + sum(
            _max_left_out({index}, part.shapes, part.node_groups) for index in certain
        )
    sets = (set(some) for size in range(1, len(certain) + 1) for some in combinations(certain, size))
    return uncertain_pods + max(
        (_max_left_out(some, part.shapes, part.node_groups) for some in sets), default=0
    )


def _max_left_out(left_out: set[int], shapes: Sequence[Shape], node_groups: Sequence[NodeGroup]) -> int:
    """How many pods of these shapes are Pending at most while each of the shapes has a Pending pod.

    If a pod of each shape is Pending, every node they may use has less room than their smallest request. So
    at least `occupied` units are in use. Other shapes supply what they can; placed pods of these shapes
    supply the rest, largest first. The remaining pods may be Pending.
    """
    usable = [node_group for node_group in node_groups if node_group.shapes & left_out]
    occupied = sum(
        len(node_group.nodes)
        * (node_group.room - min(shapes[index].request for index in node_group.shapes & left_out) + 1)
        for node_group in usable
    )
    others = [index for index in range(len(shapes)) if index not in left_out]
    flow = max_flow([*others, *sorted(left_out)], shapes, usable)
    if sum(map(sum, flow)) < occupied:
        return 0
    missing = occupied - sum(sum(flow[index]) for index in others)
    pods = sum(shapes[index].pods for index in left_out)
    for index in sorted(left_out):  # largest requests first
        if missing <= 0:
            break
        needed = min(shapes[index].pods, -(-missing // shapes[index].request))
        missing -= needed * shapes[index].request
        pods -= needed
    return pods
