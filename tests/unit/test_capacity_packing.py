"""Packing, held against all orders and all placements of small cases."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.packing import Group, pack


def group(name: str, pods: int, request: int, candidates: str) -> Group:
    """Candidates as letters."""
    return Group(name, pods, request, frozenset(candidates))


@pytest.mark.parametrize(
    ("groups", "room", "fits", "pending"),
    [
        ([group("w", 2, 2, "a")], {"a": 6}, True, 0),
        ([group("w", 3, 2, "a")], {"a": 6}, True, 0),
        ([group("w", 4, 2, "a")], {"a": 6}, False, 1),
        ([group("w", 2, 2, "ab")], {"a": 3, "b": 1}, False, 1),  # room for 4, but not for 2 pods of 2
        ([group("w", 1, 7, "ab")], {"a": 6, "b": 6}, False, 1),  # 12 in all, 7 nowhere
        ([group("w", 1, 1, "")], {"a": 6}, False, 1),
        ([group("w", 0, 9, "a")], {"a": 6}, True, 0),
        ([], {"a": 6}, True, 0),
        # two workloads that may go to different nodes: w may take what only v can use
        ([group("v", 6, 1, "a"), group("w", 6, 1, "ab")], {"a": 6, "b": 6}, None, 0),
        ([group("v", 6, 1, "a"), group("w", 6, 1, "b")], {"a": 6, "b": 6}, True, 0),
        ([group("v", 7, 1, "a"), group("w", 5, 1, "ab")], {"a": 6, "b": 6}, False, 1),
        # mixed requests on one node: only the sum counts
        ([group("v", 2, 1, "a"), group("w", 1, 4, "a")], {"a": 6}, True, 0),
        # mixed requests on two nodes: the small pods may split the room the large one needs
        ([group("v", 4, 1, "ab"), group("w", 1, 4, "ab")], {"a": 4, "b": 4}, None, 0),
        ([group("v", 1, 1, "ab"), group("w", 1, 4, "ab")], {"a": 4, "b": 4}, True, 0),
        # 9 of 10 would do if pods could be divided, but a node holds one pod of 3
        ([group("v", 3, 3, "ab"), group("w", 1, 1, "ab")], {"a": 5, "b": 5}, False, 1),
        # nothing found, nor ruled out by numbers alone
        ([group("v", 1, 4, "ab"), group("w", 2, 3, "ab")], {"a": 5, "b": 5}, None, 1),
    ],
)
def test_packing(groups: list[Group], room: dict[str, int], fits: bool | None, pending: int) -> None:
    packing = pack(groups, room)
    assert packing.fits is fits
    assert sum(packing.pending(one) for one in groups) == pending


def test_pods_are_spread_over_nodes_when_there_is_room() -> None:
    assert sorted(pack([group("w", 2, 1, "ab")], {"a": 6, "b": 6}).seats["w"]) == ["a", "b"]


def test_pods_are_packed_tightly_when_spreading_leaves_one_out() -> None:
    groups = [group("v", 1, 4, "ab"), group("w", 2, 3, "ab")]
    assert sum(pack(groups, {"a": 4, "b": 6}).pending(one) for one in groups) == 0


def placements(pods: Sequence[Group], room: Mapping[str, int]) -> Iterator[bool]:
    """For every order and every choice of node: whether all pods found room."""

    @cache
    def outcomes(left: tuple[int, ...], free: tuple[tuple[str, int], ...]) -> frozenset[bool]:
        if not left:
            return frozenset({True})
        found: set[bool] = set()
        for index in set(left):
            pod, rest = pods[index], list(left)
            rest.remove(index)
            usable = [node for node, amount in free if node in pod.candidates and amount >= pod.request]
            if not usable:
                return frozenset({False}) | found
            for node in usable:
                after = tuple((name, amount - pod.request * (name == node)) for name, amount in free)
                found |= outcomes(tuple(rest), after)
        return frozenset(found)

    each = tuple(index for index, one in enumerate(pods) for _ in range(one.pods))
    yield from outcomes(each, tuple(sorted(room.items())))


def can_fit(pods: Sequence[Group], room: Mapping[str, int]) -> bool:
    """Whether any placement holds all pods."""

    @cache
    def fits(left: tuple[int, ...], free: tuple[tuple[str, int], ...]) -> bool:
        if not left:
            return True
        pod = pods[left[0]]
        return any(
            fits(left[1:], tuple((name, amount - pod.request * (name == node)) for name, amount in free))
            for node, amount in free
            if node in pod.candidates and amount >= pod.request
        )

    each = tuple(index for index, one in enumerate(pods) for _ in range(one.pods))
    return fits(each, tuple(sorted(room.items())))


NODES = st.frozensets(st.sampled_from("abc"), min_size=1)
ROOMS = st.fixed_dictionaries({"a": st.integers(0, 5), "b": st.integers(0, 5), "c": st.integers(0, 5)})


def groups_of(requests: st.SearchStrategy[int]) -> st.SearchStrategy[list[Group]]:
    """Up to three groups of up to three pods."""
    one = st.tuples(st.integers(0, 3), requests, NODES)
    return st.lists(one, min_size=1, max_size=3).map(
        lambda several: [Group(f"w{number}", *spec) for number, spec in enumerate(several)]
    )


@settings(max_examples=150, deadline=None)
@given(groups_of(st.integers(1, 4)), ROOMS)
def test_no_answer_is_wrong(groups: list[Group], room: dict[str, int]) -> None:
    packing = pack(groups, room)
    if packing.fits is True:
        assert set(placements(groups, room)) == {True}
    if packing.fits is False:
        assert not can_fit(groups, room)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 3).flatmap(lambda request: groups_of(st.just(request))), ROOMS)
def test_equal_requests_are_decided(groups: list[Group], room: dict[str, int]) -> None:
    packing = pack(groups, room)
    assert (packing.fits is False) == (not can_fit(groups, room))
    if len({one.candidates for one in groups}) == 1:
        assert packing.fits is not None


@given(groups_of(st.integers(1, 4)), ROOMS)
def test_no_seat_is_taken_twice_nor_against_a_selector(groups: list[Group], room: dict[str, int]) -> None:
    packing = pack(groups, room)
    for node, amount in room.items():
        assert sum(one.request * packing.seats[one.name].count(node) for one in groups) <= amount
    for one in groups:
        assert set(packing.seats[one.name]) <= one.candidates
        assert len(packing.seats[one.name]) <= one.pods
    if packing.fits:
        assert all(packing.pending(one) == 0 for one in groups)
