"""Whether pods that ask for one resource find room: groups of equal pods, nodes with so much room.

Three answers. Never: even if pods could be divided among nodes, the room would not do. Always: in whatever
order the scheduler takes the pods, each finds room. Between the two lies what depends on the order.
"""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import islice


@dataclass(frozen=True)
class Group:
    """`pods` equal pods, each asking for `request`, that may go to the nodes in `candidates`."""

    name: str
    pods: int
    request: int
    candidates: frozenset[str]


@dataclass(frozen=True)
class Packing:
    """`seats`: by group, the nodes of its placed pods. `fits`: True always, False never, None it depends."""

    seats: dict[str, list[str]] = field(default_factory=dict)
    fits: bool | None = True

    def pending(self, group: Group) -> int:
        """How many pods of the group found no room."""
        return group.pods - len(self.seats[group.name])


@dataclass(frozen=True)
class _Lot:
    """Nodes alike: the same room, open to the same groups. Hundreds of nodes make a handful of lots."""

    nodes: tuple[str, ...]
    room: int
    groups: frozenset[str]


def pack(groups: Sequence[Group], room: Mapping[str, int]) -> Packing:
    """Place all groups. `fits` is exact for equal pods; for want of proof it may be None for mixed ones."""
    groups, room = _in_pods(groups, room)
    lots = _lots(groups, room)
    return Packing(_best(groups, room, lots), _verdict(groups, lots))


def has_placement(groups: Sequence[Group], room: Mapping[str, int]) -> bool:
    """Whether a placement of all pods was found. Cheaper than `pack` where there is none."""
    groups, room = _in_pods(groups, room)
    lots = _lots(groups, room)
    if _verdict(groups, lots) is False:
        return False
    return _placed(_best(groups, room, lots)) == sum(group.pods for group in groups)


def _in_pods(groups: Sequence[Group], room: Mapping[str, int]) -> tuple[Sequence[Group], Mapping[str, int]]:
    """With one size of pod, a node's room is a number of pods."""
    requests = {group.request for group in groups if group.pods}
    if len(requests) != 1:
        return groups, room
    (request,) = requests
    pods = [Group(group.name, group.pods, 1, group.candidates) for group in groups]
    return pods, {node: free // request for node, free in room.items()}


def _lots(groups: Sequence[Group], room: Mapping[str, int]) -> list[_Lot]:
    alike: dict[tuple[int, frozenset[str]], list[str]] = defaultdict(list)
    for node, free in sorted(room.items()):
        able = frozenset(one.name for one in groups if node in one.candidates and free >= one.request)
        alike[free, able].append(node)
    return [_Lot(tuple(nodes), free, able) for (free, able), nodes in alike.items()]


def _verdict(groups: Sequence[Group], lots: Sequence[_Lot]) -> bool | None:
    wanted = sum(group.pods * group.request for group in groups)
    if sum(sum(amounts) for amounts in _flow(groups, lots).values()) < wanted:
        return False
    return True if all(_always(group, groups, lots) for group in groups) else None


def _always(group: Group, groups: Sequence[Group], lots: Sequence[_Lot]) -> bool:
    """Whether each pod of the group finds room in any order.

    It finds none only when every usable node has less than its request left, so when the other pods hold
    room - request + 1 or more on each of them. Where they cannot hold that much together, it finds room.
    """
    if group.pods == 0:
        return True
    mine = [lot for lot in lots if group.name in lot.groups]
    held = (group.pods - 1) * group.request
    for other in groups:
        if other is not group:
            shared = sum(len(lot.nodes) * lot.room for lot in mine if other.name in lot.groups)
            held += min(other.pods * other.request, shared)
    return held < sum(len(lot.nodes) * (lot.room - group.request + 1) for lot in mine)


def _best(groups: Sequence[Group], room: Mapping[str, int], lots: Sequence[_Lot]) -> dict[str, list[str]]:
    """Seats for as many pods as possible: spread over the nodes if that places all, else packed tightly."""
    wanted = sum(group.pods for group in groups)
    attempts = [_greedy(groups, room, spread=True)]
    if _placed(attempts[0]) < wanted:
        attempts.append(_greedy(groups, room, spread=False))
        if all(group.request == 1 for group in groups):
            attempts.append(_dealt(lots, _flow(groups, lots)))
    return max(attempts, key=_placed)


def _placed(seats: Mapping[str, list[str]]) -> int:
    return sum(len(nodes) for nodes in seats.values())


def _greedy(groups: Sequence[Group], room: Mapping[str, int], spread: bool) -> dict[str, list[str]]:
    """Largest requests first, then those with the fewest nodes to go to."""
    free = dict(room)
    seats: dict[str, list[str]] = {group.name: [] for group in groups}
    for group in sorted(groups, key=lambda one: (-one.request, len(one.candidates), one.name)):
        sign = -1 if spread else 1
        heap = [(sign * free[node], node) for node in group.candidates if free.get(node, 0) >= group.request]
        heapify(heap)
        while heap and len(seats[group.name]) < group.pods:
            _, node = heappop(heap)
            free[node] -= group.request
            seats[group.name].append(node)
            if free[node] >= group.request:
                heappush(heap, (sign * free[node], node))
    return seats


def _dealt(lots: Sequence[_Lot], flow: Mapping[str, Sequence[int]]) -> dict[str, list[str]]:
    """A flow of pods as seats: any pods of a lot may sit on any of its nodes."""
    seats: dict[str, list[str]] = {name: [] for name in flow}
    for index, lot in enumerate(lots):
        places = (node for node in lot.nodes for _ in range(lot.room))
        for name, amounts in flow.items():
            seats[name] += islice(places, amounts[index])
    return seats


def _flow(groups: Sequence[Group], lots: Sequence[_Lot]) -> dict[str, list[int]]:
    """A largest division of the groups' requests among the lots, as if pods could be divided (Edmonds-Karp).

    Of one group a node takes whole pods only: that much of the truth can be kept.
    """
    most = {
        one.name: [
            len(lot.nodes) * (lot.room // one.request * one.request) if one.name in lot.groups else 0
            for lot in lots
        ]
        for one in groups
    }
    flow = {group.name: [0] * len(lots) for group in groups}
    left = {group.name: group.pods * group.request for group in groups}
    free = [len(lot.nodes) * lot.room for lot in lots]
    while path := _augmenting(left, free, flow, most):
        names, indexes = path
        forth = list(zip(names, indexes, strict=True))
        back = list(zip(names[1:], indexes, strict=False))
        amount = min(
            left[names[0]],
            free[indexes[-1]],
            *(most[name][index] - flow[name][index] for name, index in forth),
            *(flow[name][index] for name, index in back),
        )
        left[names[0]] -= amount
        free[indexes[-1]] -= amount
        for name, index in forth:
            flow[name][index] += amount
        for name, index in back:
            flow[name][index] -= amount
    return flow


def _augmenting(
    left: Mapping[str, int],
    free: Sequence[int],
    flow: Mapping[str, Sequence[int]],
    most: Mapping[str, Sequence[int]],
) -> tuple[list[str], list[int]] | None:
    """A shortest path group, lot, group, … lot from what is left over to what is free, as groups and lots."""
    queue: deque[tuple[list[str], list[int]]] = deque(([name], []) for name, amount in left.items() if amount)
    seen_groups = {names[0] for names, _ in queue}
    seen_lots: set[int] = set()
    while queue:
        names, indexes = queue.popleft()
        for index, limit in enumerate(most[names[-1]]):
            if index in seen_lots or flow[names[-1]][index] >= limit:
                continue
            seen_lots.add(index)
            if free[index]:
                return names, [*indexes, index]
            for name, amounts in flow.items():
                if amounts[index] and name not in seen_groups:
                    seen_groups.add(name)
                    queue.append(([*names, name], [*indexes, index]))
    return None
