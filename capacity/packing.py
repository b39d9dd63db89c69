"""Whether pods that ask for one resource find room: groups of equal pods, nodes with so much room.

Three answers. Never: even if pods could be divided among nodes, the room would not do. Always: in whatever
order the scheduler takes the pods, each finds room. Between the two lies what depends on the order.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


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
        return group.pods - len(self.seats.get(group.name, ()))


def pack(groups: Sequence[Group], room: Mapping[str, int]) -> Packing:
    """Place all groups. `fits` is exact for equal pods; for want of proof it may be None for mixed ones."""
    requests = {group.request for group in groups}
    if len(requests) == 1:
        (request,) = requests
        groups = [Group(group.name, group.pods, 1, group.candidates) for group in groups]
        room = {node: free // request for node, free in room.items()}
    seats = _best(groups, room)
    return Packing(seats, _verdict(groups, room))


def _verdict(groups: Sequence[Group], room: Mapping[str, int]) -> bool | None:
    wanted = sum(group.pods * group.request for group in groups)
    if sum(sum(flow.values()) for flow in _flow(groups, room).values()) < wanted:
        return False
    return True if all(_always(group, groups, room) for group in groups) else None


def _usable(group: Group, room: Mapping[str, int]) -> list[str]:
    return sorted(node for node in group.candidates if room.get(node, 0) >= group.request)


def _always(group: Group, groups: Sequence[Group], room: Mapping[str, int]) -> bool:
    """Whether each pod of the group finds room in any order.

    It finds none only when every usable node has less than its request left, so when the other pods hold
    room - request + 1 or more on each of them. Where they cannot hold that much together, it finds room.
    """
    if group.pods == 0:
        return True
    nodes = set(_usable(group, room))
    held = (group.pods - 1) * group.request
    for other in groups:
        if other is not group:
            shared = sum(room[node] for node in nodes & other.candidates)
            held += min(other.pods * other.request, shared)
    return held < sum(room[node] - group.request + 1 for node in nodes)


def _best(groups: Sequence[Group], room: Mapping[str, int]) -> dict[str, list[str]]:
    """Seats for as many pods as possible: spread over the nodes if that places all, else packed tightly."""
    wanted = sum(group.pods for group in groups)
    attempts = [_greedy(groups, room, spread=True), _greedy(groups, room, spread=False)]
    if all(group.request == 1 for group in groups):
        flows = _flow(groups, room)
        attempts.append(
            {
                name: [node for node, n in sorted(flow.items()) for _ in range(n)]
                for name, flow in flows.items()
            }
        )
    complete = (seats for seats in attempts if _placed(seats) == wanted)
    return next(complete, max(attempts, key=_placed))


def _placed(seats: Mapping[str, list[str]]) -> int:
    return sum(len(nodes) for nodes in seats.values())


def _greedy(groups: Sequence[Group], room: Mapping[str, int], spread: bool) -> dict[str, list[str]]:
    """Largest requests first, then those with the fewest nodes to go to."""
    free = dict(room)
    seats: dict[str, list[str]] = {group.name: [] for group in groups}
    for group in sorted(groups, key=lambda one: (-one.request, len(one.candidates), one.name)):
        for _ in range(group.pods):
            nodes = _usable(group, free)
            if not nodes:
                break
            node = (
                max(nodes, key=lambda name: free[name]) if spread else min(nodes, key=lambda name: free[name])
            )
            free[node] -= group.request
            seats[group.name].append(node)
    return seats


def _flow(groups: Sequence[Group], room: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """A largest division of the groups' requests among their nodes (Edmonds-Karp on groups and nodes)."""
    flow: dict[str, dict[str, int]] = {group.name: {} for group in groups}
    nodes_of = {group.name: _usable(group, room) for group in groups}
    left = {group.name: group.pods * group.request for group in groups}
    free = dict(room)
    while path := _augmenting(nodes_of, left, free, flow):
        start, end = path[0], path[-1]
        back = [(path[i + 1], path[i]) for i in range(1, len(path) - 1, 2)]
        amount = min(left[start], free[end], *(flow[group][node] for group, node in back))
        left[start] -= amount
        free[end] -= amount
        for i in range(0, len(path), 2):
            flow[path[i]][path[i + 1]] = flow[path[i]].get(path[i + 1], 0) + amount
        for group, node in back:
            flow[group][node] -= amount
    return flow


def _augmenting(
    nodes_of: Mapping[str, list[str]],
    left: Mapping[str, int],
    free: Mapping[str, int],
    flow: Mapping[str, Mapping[str, int]],
) -> list[str]:
    """A shortest path group, node, group, … node from something left over to something free, or []."""
    queue = deque([name] for name, amount in left.items() if amount)
    seen_groups, seen_nodes = {path[0] for path in queue}, set()
    while queue:
        path = queue.popleft()
        for node in nodes_of[path[-1]]:
            if node in seen_nodes:
                continue
            seen_nodes.add(node)
            if free[node]:
                return [*path, node]
            for group, given in flow.items():
                if given.get(node) and group not in seen_groups:
                    seen_groups.add(group)
                    queue.append([*path, node, group])
    return []
