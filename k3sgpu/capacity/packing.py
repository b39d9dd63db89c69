"""Whether pods that ask for one resource find room: groups of equal pods, nodes with so much room.

Two numbers say it. `least` pods stay Pending in whatever way the others are placed: pods are divided among
nodes as a fluid, small requests first, and not even so are more placed. `most` pods stay Pending in
the worst of all orders: for every set of groups, how many of them stay out when all others sit where they
hurt. Where all requests are equal both numbers are exact.
docs/explanation/how-fit-decides.md has the reasoning.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from heapq import heapify, heappop, heappush
from itertools import combinations, islice
from typing import Literal

Verdict = Literal["any order", "some orders", "no order", "not decided"]
_Kind = tuple[int, frozenset[str], bool]
MAX_COMBINED_SHAPES = 8
"""With more shapes of pods than this, their sets are too many: each shape is looked at by itself."""


@dataclass(frozen=True)
class Group:
    """`pods` equal pods, each asking for `request`, that may go to the nodes in `candidates`.

    `certain` is False where the candidates are only those that cannot be ruled out.
    """

    name: str
    pods: int
    request: int
    candidates: frozenset[str]
    certain: bool = True


@dataclass(frozen=True)
class Packing:
    """`seats`: by group, the nodes of its placed pods, in one good placement. `least`, `most`: see above."""

    placements: dict[str, list[str]]
    min_pending: int
    max_pending: int

    def pending(self, group: Group) -> int:
        """How many pods of the group have no seat in the placement shown."""
        return group.pods - len(self.placements[group.name])

    def verdict(self, groups: Iterable[Group]) -> Verdict:
        """What is known of these groups, the ones that were packed."""
        if self.min_pending:
            return "no order"
        if not self.max_pending:
            return "any order"
        found = all(not self.pending(group) for group in groups)
        return "some orders" if found and all(one.certain for one in groups if one.pods) else "not decided"


@dataclass(frozen=True)
class _Shape:
    """Pods alike, of however many groups: hundreds of workloads make a handful of shapes."""

    pods: int
    request: int
    candidates: frozenset[str]
    certain: bool


@dataclass(frozen=True)
class _NodeGroup:
    """Nodes alike: the same room, open to the same shapes (by number). Hundreds make a handful of lots."""

    nodes: tuple[str, ...]
    room: int
    shapes: frozenset[int]

    def holds(self, shape: _Shape) -> int:
        """The most that pods of this shape alone may take of it: a node takes whole pods only."""
        return len(self.nodes) * (self.room // shape.request * shape.request)


@dataclass(frozen=True)
class _Part:
    """Shapes and the nodes they share; `kinds` names the shapes."""

    kinds: Sequence[_Kind]
    shapes: Sequence[_Shape]
    room: Mapping[str, int]
    lots: Sequence[_NodeGroup]

    @property
    def uniform(self) -> bool:
        """All pods ask for the same, so for 1 (pod)."""
        return all(shape.request == 1 for shape in self.shapes)


def pack(groups: Sequence[Group], room: Mapping[str, int]) -> Packing:
    """Place all groups, and bound how many pods stay Pending."""
    kinds = _kinds(groups)
    placements: dict[_Kind, list[str]] = {}
    min_pending = max_pending = 0
    for part in _parts(groups, kinds, room):
        min_pending, max_pending = min_pending + _least(part), max_pending + _most(part)
        placements |= zip(part.kinds, _best(part), strict=True)
    return Packing(_dealt(groups, placements), min_pending, max_pending)


def has_placement(groups: Sequence[Group], room: Mapping[str, int]) -> bool:
    """Whether a placement of all pods was found."""
    return all(_least(part) == 0 and _found(part) for part in _parts(groups, _kinds(groups), room))


def _found(part: _Part) -> bool:
    return part.uniform or _placed(_tight(part.shapes, part.room)) == _pods(part.shapes)


def _parts(groups: Sequence[Group], kinds: Sequence[_Kind], room: Mapping[str, int]) -> list[_Part]:
    """What has no node in common is looked at by itself."""
    pods: dict[_Kind, int] = defaultdict(int)
    for one in groups:
        pods[_kind(one)] += one.pods
    shapes = [_Shape(pods[kind], *kind) for kind in kinds]
    lots = _lots(shapes, room)
    parts = [frozenset([number]) for number in range(len(shapes))]
    for lot in lots:
        touched = [part for part in parts if part & lot.shapes]
        parts = [part for part in parts if part not in touched] + [frozenset[int]().union(*touched)]
    return [_part(sorted(part), kinds, shapes, [lot for lot in lots if lot.shapes & part]) for part in parts]


def _part(
    numbers: Sequence[int], kinds: Sequence[_Kind], shapes: Sequence[_Shape], lots: Iterable[_NodeGroup]
) -> _Part:
    """With one size of pod, a node's room is a number of pods."""
    mine = [shapes[number] for number in numbers]
    sizes = {shape.request for shape in mine}
    unit = sizes.pop() if len(sizes) == 1 else 1
    mine = [replace(shape, request=shape.request // unit) for shape in mine]
    room = {node: lot.room // unit for lot in lots for node in lot.nodes}
    return _Part([kinds[number] for number in numbers], mine, room, _lots(mine, room))


def _kind(group: Group) -> _Kind:
    return group.request, group.candidates, group.certain


def _kinds(groups: Sequence[Group]) -> list[_Kind]:
    """Largest requests first, then those with the fewest nodes to go to."""
    kinds = dict.fromkeys(_kind(one) for one in groups if one.pods)
    return sorted(kinds, key=lambda kind: (-kind[0], len(kind[1]), sorted(kind[1]), kind[2]))


def _lots(shapes: Sequence[_Shape], room: Mapping[str, int]) -> list[_NodeGroup]:
    alike: dict[tuple[int, frozenset[int]], list[str]] = defaultdict(list)
    for node, free in sorted(room.items()):
        able = [n for n, one in enumerate(shapes) if free >= one.request and node in one.candidates]
        alike[free, frozenset(able)].append(node)
    return [_NodeGroup(tuple(nodes), free, able) for (free, able), nodes in alike.items() if able]


def _pods(shapes: Iterable[_Shape]) -> int:
    return sum(shape.pods for shape in shapes)


def _least(part: _Part) -> int:
    """Of a fluid most pods are placed when small requests go first; whole pods cannot do better."""
    amounts = _flow(range(len(part.shapes))[::-1], part.shapes, part.lots)
    placed = sum(Fraction(sum(mine), shape.request) for mine, shape in zip(amounts, part.shapes, strict=True))
    return _pods(part.shapes) - int(placed)


def _most(part: _Part) -> int:
    """All of the uncertain shapes, and of the others as many as can stay out together."""
    certain = [number for number, shape in enumerate(part.shapes) if shape.certain]
    unknown = _pods(shape for shape in part.shapes if not shape.certain)
    if len(certain) > MAX_COMBINED_SHAPES:
        return unknown + sum(_left_out({number}, part.shapes, part.lots) for number in certain)
    sets = (set(some) for size in range(1, len(certain) + 1) for some in combinations(certain, size))
    return unknown + max((_left_out(some, part.shapes, part.lots) for some in sets), default=0)


def _left_out(out: set[int], shapes: Sequence[_Shape], lots: Sequence[_NodeGroup]) -> int:
    """At most so many pods of the shapes in `out` are Pending at a time when each of these shapes has one.

    Then every node they could use has less left than the smallest of their requests. What of that the other
    shapes cannot hold, their own pods do; fewest are needed when the largest come first.
    """
    near = [lot for lot in lots if lot.shapes & out]
    held = sum(
        len(lot.nodes) * (lot.room - min(shapes[number].request for number in lot.shapes & out) + 1)
        for lot in near
    )
    others = [number for number in range(len(shapes)) if number not in out]
    amounts = _flow([*others, *sorted(out)], shapes, near)
    if sum(map(sum, amounts)) < held:
        return 0
    missing = held - sum(sum(amounts[number]) for number in others)
    pods = sum(shapes[number].pods for number in out)
    for number in sorted(out):  # largest requests first
        if missing <= 0:
            break
        seated = min(shapes[number].pods, -(-missing // shapes[number].request))
        missing -= seated * shapes[number].request
        pods -= seated
    return pods


def _best(part: _Part) -> list[list[str]]:
    """Seats for as many pods as possible: spread over the nodes if that places all, else packed tightly."""
    attempts = [_spread(part.shapes, part.room)]
    if _placed(attempts[0]) < _pods(part.shapes):
        attempts.append(_tight(part.shapes, part.room))
        if part.uniform:
            attempts.append(_poured(_flow(range(len(part.shapes)), part.shapes, part.lots), part.lots))
    return max(attempts, key=_placed)


def _placed(placements: Iterable[Sequence[str]]) -> int:
    return sum(len(nodes) for nodes in placements)


def _spread(shapes: Sequence[_Shape], room: Mapping[str, int]) -> list[list[str]]:
    """Each pod to the node with most room: about what the scheduler does."""
    free = dict(room)
    placements: list[list[str]] = []
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
        placements.append(nodes)
    return placements


def _tight(shapes: Sequence[_Shape], room: Mapping[str, int]) -> list[list[str]]:
    """Each pod to the node with least room that takes it."""
    free = dict(room)
    placements: list[list[str]] = []
    for shape in shapes:
        nodes: list[str] = []
        for node in sorted(shape.candidates & free.keys(), key=lambda node: (free[node], node)):
            number = min(free[node] // shape.request, shape.pods - len(nodes))
            free[node] -= number * shape.request
            nodes += [node] * number
        placements.append(nodes)
    return placements


def _poured(amounts: Sequence[Sequence[int]], lots: Sequence[_NodeGroup]) -> list[list[str]]:
    """A flow of pods as placements: any pods of a lot may sit on any of its nodes."""
    placements: list[list[str]] = [[] for _ in amounts]
    for index, lot in enumerate(lots):
        nodes = (node for node in lot.nodes for _ in range(lot.room))
        for number, mine in enumerate(amounts):
            placements[number] += islice(nodes, mine[index])
    return placements


def _dealt(groups: Sequence[Group], placements: Mapping[_Kind, Sequence[str]]) -> dict[str, list[str]]:
    """The seats of each shape, dealt to its groups in their order."""
    places = {kind: iter(nodes) for kind, nodes in placements.items()}
    return {one.name: list(islice(places[_kind(one)], one.pods)) if one.pods else [] for one in groups}


def _flow(order: Iterable[int], shapes: Sequence[_Shape], lots: Sequence[_NodeGroup]) -> list[list[int]]:
    """By shape and lot, a largest division of the requests as if pods could be divided.

    Shapes come in the order given; a later one may push an earlier one elsewhere, never out.
    """
    limits = [
        [lot.holds(shape) if number in lot.shapes else 0 for lot in lots]
        for number, shape in enumerate(shapes)
    ]
    flow = [[0] * len(lots) for _ in shapes]
    free = [len(lot.nodes) * lot.room for lot in lots]
    for number in order:
        left = shapes[number].pods * shapes[number].request
        while left and (path := _augmenting(number, free, flow, limits)):
            numbers, indexes = path
            forth = list(zip(numbers, indexes, strict=True))
            back = list(zip(numbers[1:], indexes, strict=False))
            amount = min(
                left,
                free[indexes[-1]],
                *(limits[one][index] - flow[one][index] for one, index in forth),
                *(flow[one][index] for one, index in back),
            )
            left -= amount
            free[indexes[-1]] -= amount
            for one, index in forth:
                flow[one][index] += amount
            for one, index in back:
                flow[one][index] -= amount
    return flow


def _augmenting(
    start: int, free: Sequence[int], flow: Sequence[Sequence[int]], limits: Sequence[Sequence[int]]
) -> tuple[list[int], list[int]] | None:
    """A shortest path shape, lot, shape, … lot from a shape to what is free, as shapes and lots."""
    queue: deque[tuple[list[int], list[int]]] = deque([([start], [])])
    seen_shapes, seen_lots = {start}, set[int]()
    while queue:
        numbers, indexes = queue.popleft()
        for index, limit in enumerate(limits[numbers[-1]]):
            if index in seen_lots or flow[numbers[-1]][index] >= limit:
                continue
            seen_lots.add(index)
            if free[index]:
                return numbers, [*indexes, index]
            for number, amounts in enumerate(flow):
                if amounts[index] and number not in seen_shapes:
                    seen_shapes.add(number)
                    queue.append(([*numbers, number], [*indexes, index]))
    return None
