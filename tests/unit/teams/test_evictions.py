"""Which pods go where guarantees and limits become smaller."""

from typing import Any

import pytest

from k3sgpu.capacity import TeamShare
from k3sgpu.teams.evictions import describe_eviction, evictions
from k3sgpu.teams.team_pods import team_pods

GPU = "nvidia.com/gpu"
RUNNING = {"phase": "Running"}


def share(guaranteed: int, limit: int) -> TeamShare:
    return TeamShare(
        "vision", "rtx", GPU, guaranteed, limit, per_pod=4, per_member=None, accounts=("ana", "bo")
    )


def pod(name: str, age: int, kind: str = "guaranteed-rtx", slices: int = 1, **more: Any) -> dict[str, Any]:
    """A pod that was created `age` minutes ago."""
    created = f"2026-11-30T10:{59 - age:02}:00Z"
    return {
        "metadata": {"name": name, "namespace": "vision", "creationTimestamp": created, **more},
        "spec": {
            "priorityClassName": kind,
            "nodeName": "gpu-1",
            "containers": [{"resources": {"requests": {GPU: str(slices), "cpu": "1"}}}],
        },
        "status": RUNNING,
    }


def evicted(pods: list[dict[str, Any]], *shares: TeamShare) -> list[tuple[str, str]]:
    return [(one.pod.name, one.pod.rank) for one in evictions(shares, team_pods(pods, {"vision"}))]


@pytest.mark.parametrize(
    ("guaranteed", "limit", "expected"),
    [
        (3, 5, []),
        (2, 5, [("g-new", "guaranteed")]),
        (1, 1, [("g-new", "guaranteed"), ("g-mid", "guaranteed"), ("b-new", "burst"), ("b-old", "burst")]),
        (3, 4, [("b-new", "burst")]),
        (2, 2, [("g-new", "guaranteed"), ("b-new", "burst"), ("b-old", "burst")]),
    ],
)
def test_newest_pods_go_first_and_bursts_above_a_limit(
    guaranteed: int, limit: int, expected: list[tuple[str, str]]
) -> None:
    pods = [
        pod("g-old", 50),
        pod("b-old", 40, "burst-rtx"),
        pod("g-mid", 30, "guaranteed-rtx.ana"),
        pod("g-new", 20),
        pod("b-new", 10, "burst-rtx.bo"),
    ]
    assert evicted(pods, share(guaranteed, limit)) == expected


def test_as_few_pods_go_as_leave_no_more_than_allowed() -> None:
    pods = [pod("small", 30), pod("large", 20, slices=3), pod("newest", 10)]
    assert evicted(pods, share(4, 8)) == [("newest", "guaranteed")]
    assert evicted(pods, share(3, 8)) == [("newest", "guaranteed"), ("large", "guaranteed")]


def test_pod_without_a_node_goes_before_newer_ones() -> None:
    waiting = pod("waiting", 30)
    del waiting["spec"]["nodeName"]
    assert evicted([pod("new", 10), waiting, pod("old", 50)], share(2, 2)) == [("waiting", "guaranteed")]


def test_pods_that_hold_no_slices_stay() -> None:
    ended = {**pod("ended", 5), "status": {"phase": "Succeeded"}}
    pods = [
        ended,
        pod("leaving", 4, deletionTimestamp="2026-11-30T11:00:00Z"),
        pod("other", 3, "system-node-critical"),
        pod("without", 2, slices=0),
        pod("elsewhere", 1) | {"metadata": {"name": "elsewhere", "namespace": "default"}},
    ]
    assert evicted(pods, share(0, 0)) == []


def test_pods_in_a_pool_that_the_team_lost_go() -> None:
    assert evicted([pod("left", 5, "burst-old-pool")], share(1, 1)) == [("left", "burst")]


def test_pods_of_a_member_without_an_account_go() -> None:
    pods = [pod("left", 9, "guaranteed-rtx.cy"), pod("stays", 1, "guaranteed-rtx.ana"), pod("team", 2)]
    (gone,) = evictions([share(2, 4)], team_pods(pods, {"vision"}))
    assert describe_eviction(gone) == (
        "vision/left: its slices are cy's, who has none of his own in team vision and pool rtx any more"
    )
