"""Which slices are free for a member, and how it is told."""

from itertools import product

import pytest

from k3sgpu.cluster.members import free_text
from k3sgpu.cluster.members.pools import PoolView, finds_room, pool_views
from k3sgpu.cluster.members.view import MemberView
from tests.data.member_views import gpu_node, quotas, view
from tests.data.team_pods import team_pod


def only(seen: MemberView) -> PoolView:
    (pool,) = pool_views(seen)
    return pool


def free(seen: MemberView) -> dict[str, tuple[int, int, int, str]]:
    pool = only(seen)
    return {rank: (one.slices, one.surely, one.perhaps, one.bound) for rank, one in pool.free.items()}


def test_free_slices_are_bounded_by_quotas_and_room() -> None:
    assert free(view()) == {
        "guaranteed": (4, 4, 4, "the team's guarantee"),
        "burst": (4, 4, 4, "the limit above the guarantee"),
    }
    assert free(view(used=quotas((3, 2), students=6))) == {
        "guaranteed": (1, 1, 1, "the team's guarantee"),
        "burst": (1, 1, 1, "the room on the nodes"),
    }
    own_bursts = free(view(used=quotas((0, 4))))
    assert own_bursts["guaranteed"] == (4, 4, 4, "the team's guarantee")
    assert own_bursts["burst"] == (0, 0, 0, "the limit above the guarantee")


def test_guaranteed_pods_have_the_room_of_bursts() -> None:
    found = free(view(used=quotas((0, 0), students=6), outside={"nvidia.com/gpu": 3}))
    assert found["guaranteed"] == (4, 4, 4, "the team's guarantee")
    assert found["burst"] == (3, 2, 3, "the room on the nodes")


@pytest.mark.parametrize(
    ("node", "trouble"),
    [
        (gpu_node("gpu-2", ready=False), "it is not Ready (KubeletStopped)"),
        (gpu_node("gpu-2", unschedulable=True), "it is cordoned"),
        (gpu_node("gpu-2", slices=0), "its device plugin offers no nvidia.com/gpu"),
        (
            gpu_node("gpu-2", taints=[{"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"}]),
            "it has the taint node.kubernetes.io/disk-pressure",
        ),
    ],
)
def test_node_that_takes_no_pods_offers_nothing(node: dict, trouble: str) -> None:
    seen = view(nodes=[gpu_node("gpu-1"), node], used=quotas((0, 2), students=3))
    assert [one.trouble for one in only(seen).nodes] == ["", trouble]
    assert free(seen)["burst"][0] == 1


def test_members_own_share_bounds_what_is_free() -> None:
    seen = view("cy", used=quotas(students=1, cy=1), per_member=1)
    assert free(seen)["burst"] == (0, 0, 0, "what one member may use")
    assert only(seen).free["burst"].priority_class == "burst-rtx.cy"


@pytest.mark.parametrize("offered", [(6, 6), (2, 3, 4), (1, 1), (5,)])
def test_pod_finds_room_exactly_when_no_spread_hinders_it(offered: tuple[int, ...]) -> None:
    for size, room in product(range(1, max(offered) + 1), range(sum(offered) + 1)):
        spreads = (one for one in product(*(range(n + 1) for n in offered)) if sum(one) == room)
        assert finds_room(offered, room, size) == all(max(one) >= size for one in spreads)


def test_text_names_classes_bookings_pods_and_the_time_limit() -> None:
    started = {"startTime": "2026-12-01T10:00:00Z", "conditions": [{"type": "Ready", "status": "True"}]}
    limited = {"activeDeadlineSeconds": 3600, "nodeName": "gpu-1"}
    pods = [
        team_pod("train", slices=2, spec=limited, status=started),
        team_pod("old", status={"phase": "Failed"}),
        team_pod("\x1b[2J", "burst-rtx"),
    ]
    seen = view(used=quotas((2, 1), students=1), pods=pods)
    text = free_text.as_text(seen, pool_views(seen))
    assert text.splitlines() == [
        "team vision, member ana",
        "a pod runs for 8 h, or for what its activeDeadlineSeconds says: 24 h (86400 s) at most",
        "",
        "pool rtx, nvidia.com/gpu: 12 slices on 2 of 2 nodes",
        "              FREE FOR YOU  LARGEST POD  PRIORITY CLASS",
        "  guaranteed  2             2            guaranteed-rtx  bounded by the team's guarantee",
        "  burst       3             3            burst-rtx       bounded by the limit above the guarantee",
        "  BOOKED         GUARANTEED  BURST",
        "  team vision    2 of 4      1 of 4",
        "  team students  0 of 0      1 of 6",
        "",
        "pods of team vision",
        "  POD      SLICES  PRIORITY CLASS  NODE   STATE",
        "  train    2       guaranteed-rtx  gpu-1  Running, ends 2026-12-01T11:00:00Z",
        "  \\x1b[2J  1       burst-rtx       -      Running, not Ready",
    ]
    told = free_text.as_json(seen, pool_views(seen))
    assert told["pools"][0]["free"]["burst"]["slices"] == 3
    assert [pod["ends"] for pod in told["pods"]] == ["2026-12-01T11:00:00Z", None]
