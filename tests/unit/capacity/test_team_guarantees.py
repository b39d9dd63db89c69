"""The proof of guarantees, held against every placement of every set of pods on small pools."""

from dataclasses import dataclass
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k3sgpu.capacity.team_guarantees import NodeRoom, blocked_request


@dataclass(frozen=True)
class Team:
    guaranteed: int
    per_pod: int


def some_pod_can_wait(rooms: list[NodeRoom], teams: list[Team]) -> bool:
    """Whether a sequence of guaranteed pods, each on the worst node, leaves one without a node.

    Pods that left in between change nothing: what the others do is possible without them.
    """
    no_limit = 99

    @cache
    def reachable(free: tuple[tuple[int, int], ...], left: tuple[int, ...]) -> bool:
        for team, rest in zip(teams, left, strict=True):
            for request in range(1, min(team.per_pod, rest) + 1):
                if not any(slices >= request and pods for slices, pods in free):
                    return True
        return any(
            reachable(
                tuple(sorted(((slices - request, pods - 1), *free[:at], *free[at + 1 :]))),
                (*left[:number], left[number] - request, *left[number + 1 :]),
            )
            for number, team in enumerate(teams)
            for request in range(1, min(team.per_pod, left[number]) + 1)
            for at, (slices, pods) in enumerate(free)
            if slices >= request and pods
        )

    start = tuple(sorted((one.slices, no_limit if one.pods is None else one.pods) for one in rooms))
    return reachable(start, tuple(team.guaranteed for team in teams))


ROOMS = st.builds(NodeRoom, st.integers(0, 4), st.one_of(st.none(), st.integers(0, 3)))
TEAMS = st.builds(Team, st.integers(1, 4), st.integers(1, 4))


@settings(max_examples=600, deadline=None)
@given(st.lists(ROOMS, min_size=1, max_size=3), st.lists(TEAMS, min_size=1, max_size=3))
def test_guarantees_are_proven_exactly_where_no_pod_can_wait(
    rooms: list[NodeRoom], teams: list[Team]
) -> None:
    promised = sum(team.guaranteed for team in teams)
    largest = max(min(team.per_pod, team.guaranteed) for team in teams)
    assert (blocked_request(rooms, promised, largest) is not None) == some_pod_can_wait(rooms, teams)


@pytest.mark.parametrize(
    ("rooms", "promised", "largest", "blocked"),
    [
        ([6], 6, 1, None),
        ([6], 7, 1, 1),
        ([6], 6, 6, None),  # on one node nothing is fragmented
        ([6, 6], 12, 1, None),
        ([6, 6], 12, 2, 2),  # five pods of one slice on each node leave one slice each
        ([6, 6], 11, 2, None),
        ([2, 4], 4, 3, None),  # only the larger node serves three slices
        ([2, 4], 5, 3, 3),
        ([], 1, 1, 1),
    ],
)
def test_blocked_request(rooms: list[int], promised: int, largest: int, blocked: int | None) -> None:
    assert blocked_request([NodeRoom(one) for one in rooms], promised, largest) == blocked


def test_kubelet_that_takes_few_pods_is_blocked_by_few_slices() -> None:
    assert blocked_request([NodeRoom(6, 3)], 3, 1) is None
    assert blocked_request([NodeRoom(6, 3)], 4, 1) == 1
