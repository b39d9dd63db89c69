"""Packing, held against all orders and all placements of small cases."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k3sgpu.capacity.packing.pack import PodGroup, has_placement, pack
from k3sgpu.capacity.packing.placements import pods_on_roomiest


def group(name: str, pods: int, request: int, candidates: str) -> PodGroup:
    """Candidates as letters."""
    return PodGroup(name, pods, request, frozenset(candidates))


ANY, SOME, NO, OPEN = "any order", "some orders", "no order", "not decided"


@pytest.mark.parametrize(
    ("groups", "room", "verdict", "min_pending", "max_pending"),
    [
        ([group("w", 2, 2, "a")], {"a": 6}, ANY, 0, 0),
        ([group("w", 3, 2, "a")], {"a": 6}, ANY, 0, 0),
        ([group("w", 4, 2, "a")], {"a": 6}, NO, 1, 1),
        ([group("w", 2, 2, "ab")], {"a": 3, "b": 1}, NO, 1, 1),  # room for 4, but not for 2 pods of 2
        ([group("w", 1, 7, "ab")], {"a": 6, "b": 6}, NO, 1, 1),  # 12 in all, 7 nowhere
        ([group("w", 1, 1, "")], {"a": 6}, NO, 1, 1),
        ([group("w", 0, 9, "a")], {"a": 6}, ANY, 0, 0),
        ([], {"a": 6}, ANY, 0, 0),
        # two workloads that may go to different nodes: w may take what only v can use
        ([group("v", 6, 1, "a"), group("w", 6, 1, "ab")], {"a": 6, "b": 6}, SOME, 0, 6),
        ([group("v", 6, 1, "a"), group("w", 6, 1, "b")], {"a": 6, "b": 6}, ANY, 0, 0),
        ([group("v", 7, 1, "a"), group("w", 5, 1, "ab")], {"a": 6, "b": 6}, NO, 1, 6),
        # v and w could each fill a without u, but not both fill a and b
        ([group("u", 1, 1, "ab"), group("v", 2, 1, "a"), group("w", 1, 1, "b")], {"a": 3, "b": 2}, ANY, 0, 0),
        # mixed requests on one node: only the sum counts
        ([group("v", 2, 1, "a"), group("w", 1, 4, "a")], {"a": 6}, ANY, 0, 0),
        # mixed requests on two nodes: the small pods may split the room the large one needs
        ([group("v", 4, 1, "ab"), group("w", 1, 4, "ab")], {"a": 4, "b": 4}, SOME, 0, 1),
        ([group("v", 1, 1, "ab"), group("w", 1, 4, "ab")], {"a": 4, "b": 4}, ANY, 0, 0),
        # 9 of 10 would do if pods could be divided, but a node holds one pod of 3
        ([group("v", 3, 3, "ab"), group("w", 1, 1, "ab")], {"a": 5, "b": 5}, NO, 1, 1),
        # the small ones may take everything
        ([group("v", 1, 6, "a"), group("w", 6, 1, "a")], {"a": 6}, NO, 1, 6),
        # nothing found, nor ruled out by numbers alone
        ([group("v", 1, 4, "ab"), group("w", 2, 3, "ab")], {"a": 5, "b": 5}, OPEN, 0, 1),
        # w goes to a or b, nobody knows to which of them
        ([PodGroup("w", 2, 1, frozenset("ab"), certain=False)], {"a": 6, "b": 6}, OPEN, 0, 2),
        ([PodGroup("w", 7, 1, frozenset("a"), certain=False)], {"a": 6}, NO, 1, 7),
    ],
)
def test_verdict_and_bounds(
    groups: list[PodGroup], room: dict[str, int], verdict: str, min_pending: int, max_pending: int
) -> None:
    packing = pack(groups, room)
    assert (packing.verdict(groups), packing.min_pending, packing.max_pending) == (
        verdict,
        min_pending,
        max_pending,
    )


def test_pods_are_spread_over_nodes_when_there_is_room() -> None:
    assert pack([group("w", 2, 1, "ab")], {"a": 6, "b": 6}).placements["w"] == {"a": 1, "b": 1}


def one_by_one(pods: int, request: int, room: Mapping[str, int]) -> dict[str, int]:
    """What pods_on_roomiest says at once, pod by pod."""
    free, placed = dict(room), dict.fromkeys(room, 0)
    for _ in range(pods):
        node = min(free, key=lambda name: (-free[name], name))
        if free[node] < request:
            break
        free[node] -= request
        placed[node] += 1
    return {node: number for node, number in placed.items() if number}


@given(st.integers(0, 30), st.integers(1, 4), st.dictionaries(st.sampled_from("abcd"), st.integers(0, 12)))
def test_pods_go_to_the_node_with_the_most_room(pods: int, request: int, room: dict[str, int]) -> None:
    assert pods_on_roomiest(pods, request, room) == (one_by_one(pods, request, room) if room else {})


def test_numbers_cost_no_time() -> None:
    huge = 10**18
    packing = pack([group("v", huge, 2, "ab"), group("w", huge, 3, "bc")], dict.fromkeys("abc", 2 * huge))
    assert packing.placements["v"].keys() == {"a", "b"}
    assert packing.max_pending < huge


def test_pods_are_packed_tightly_when_spreading_leaves_one_out() -> None:
    groups = [group("v", 1, 4, "ab"), group("w", 2, 3, "ab")]
    assert sum(pack(groups, {"a": 4, "b": 6}).pending(one) for one in groups) == 0


def all_outcomes(groups: Sequence[PodGroup], room: Mapping[str, int]) -> frozenset[int]:
    """For every order and every choice of node: how many pods stay Pending."""

    @cache
    def outcomes(left: tuple[int, ...], free: tuple[tuple[str, int], ...]) -> frozenset[int]:
        if not any(left):
            return frozenset({0})
        found: set[int] = set()
        for number, one in enumerate(groups):
            if not left[number]:
                continue
            rest = tuple(pods - (index == number) for index, pods in enumerate(left))
            usable = [node for node, amount in free if node in one.candidates and amount >= one.request]
            for node in usable:
                after = tuple((name, amount - one.request * (name == node)) for name, amount in free)
                found |= outcomes(rest, after)
            if not usable:
                found |= {pending + 1 for pending in outcomes(rest, free)}
        return frozenset(found)

    return outcomes(tuple(one.pods for one in groups), tuple(sorted(room.items())))


NODES = st.frozensets(st.sampled_from("abc"), min_size=1)
ROOMS = st.fixed_dictionaries({"a": st.integers(0, 5), "b": st.integers(0, 5), "c": st.integers(0, 5)})


def groups_of(requests: st.SearchStrategy[int]) -> st.SearchStrategy[list[PodGroup]]:
    """Up to three groups of up to three pods."""
    one = st.tuples(st.integers(0, 3), requests, NODES)
    return st.lists(one, min_size=1, max_size=3).map(
        lambda several: [PodGroup(f"w{number}", *spec) for number, spec in enumerate(several)]
    )


@settings(max_examples=200, deadline=None)
@given(groups_of(st.integers(1, 4)), ROOMS)
def test_bounds_hold_for_all_orders(groups: list[PodGroup], room: dict[str, int]) -> None:
    packing, outcomes = pack(groups, room), all_outcomes(groups, room)
    assert packing.min_pending <= min(outcomes) and max(outcomes) <= packing.max_pending
    assert packing.verdict(groups) != "some orders" or 0 in outcomes
    assert has_placement(groups, room) <= (0 in outcomes)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3).flatmap(lambda request: groups_of(st.just(request))), ROOMS)
def test_bounds_are_exact_for_equal_requests(groups: list[PodGroup], room: dict[str, int]) -> None:
    packing, outcomes = pack(groups, room), all_outcomes(groups, room)
    assert (packing.min_pending, packing.max_pending) == (min(outcomes), max(outcomes))
    assert packing.verdict(groups) != "not decided"
    assert has_placement(groups, room) == (0 in outcomes)
    assert sum(packing.pending(one) for one in groups) == packing.min_pending


def test_many_shapes_are_still_bounded() -> None:
    letters = "abcdefghijkl"
    groups = [group(f"w{first}{second}", 2, 1, first + second) for first, second in pairwise(letters)]
    packing = pack(groups, dict.fromkeys(letters, 1))
    assert packing.min_pending == 10 and packing.max_pending >= 11  # 22 pods, room for 12


@settings(max_examples=60, deadline=None)
@given(groups_of(st.integers(1, 3)), ROOMS)
def test_bounds_hold_for_uncertain_candidates(groups: list[PodGroup], room: dict[str, int]) -> None:
    first, *others = groups
    packing = pack([replace(first, certain=False), *others], room)
    for truth in (frozenset[str](), first.candidates, frozenset(sorted(first.candidates)[:1])):
        outcomes = all_outcomes([replace(first, candidates=truth), *others], room)
        assert packing.min_pending <= min(outcomes) and max(outcomes) <= packing.max_pending


@settings(deadline=None)
@given(groups_of(st.integers(1, 4)), ROOMS)
def test_placement_respects_room_and_candidates(groups: list[PodGroup], room: dict[str, int]) -> None:
    packing = pack(groups, room)
    for node, amount in room.items():
        assert sum(one.request * packing.placements[one.name].get(node, 0) for one in groups) <= amount
    for one in groups:
        assert set(packing.placements[one.name]) <= one.candidates
        assert packing.pending(one) >= 0
    if packing.verdict(groups) in (ANY, SOME):
        assert all(packing.pending(one) == 0 for one in groups)
