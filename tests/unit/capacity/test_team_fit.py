"""Guarantees in the fit: what is refused, by which remedies, and what pods of no team take."""

from typing import Any

import pytest

from k3sgpu import capacity
from k3sgpu import settings as s
from tests.data.stack_files import RESOURCES, with_
from tests.unit.capacity.fits import SECOND_NODE, fit_of, the_problem

Changes = dict[str, Any]
BARE: Changes = {"workloads": {}}


def teams(vision: int, speech: int, vision_pod: int = 1, speech_pod: int = 1) -> Changes:
    return {
        "teams": {
            "vision": {"guaranteed": {"rtx": vision}, "perPod": {"rtx": vision_pod}},
            "speech": {"guaranteed": {"rtx": speech}, "perPod": {"rtx": speech_pod}},
        }
    }


def is_proven(changes: Changes) -> bool:
    return all(room.proven for room in fit_of({**BARE, **changes}).teams)


OVER_ONE_NODE = teams(4, 3)
FRAGMENTED = {**SECOND_NODE, **teams(6, 6, 2, 3)}
TWO_OUTSIDE = {**teams(4, 1), "workloads": {"w": {"gpus": 2}}}


@pytest.mark.parametrize(
    ("changes", "remedy", "enough", "too_little"),
    [
        (OVER_ONE_NODE, "guarantee 6 instead of 7 in sum: 1 slice fewer", teams(3, 3), OVER_ONE_NODE),
        (OVER_ONE_NODE, "sharing.profiles.six: replicas: 7 instead of 6", {f"{RESOURCES}/0/replicas": 7}, {}),
        (OVER_ONE_NODE, "1 more host like gpu-1 (1 more card, 6 slices each)", SECOND_NODE, {}),
        (FRAGMENTED, "guarantee 10 instead of 12 in sum", teams(5, 5, 2, 3), teams(5, 6, 2, 3)),
        (
            FRAGMENTED,
            "perPod of speech, vision in pool rtx: 1 instead of up to 3",
            teams(6, 6),
            teams(6, 6, 2),
        ),
        (FRAGMENTED, "1 more host like gpu-2", {"pools/rtx/hosts/gpu-3": "10.0.0.23"}, {}),
        (TWO_OUTSIDE, "workloads w: 1 slice fewer on these nodes", {"workloads": {"w": {}}}, {}),
        (TWO_OUTSIDE, "guarantee 4 instead of 5 in sum", teams(4, 0), {}),
    ],
)
def test_remedy_is_enough_and_one_step_less_is_not(
    changes: Changes, remedy: str, enough: Changes, too_little: Changes
) -> None:
    assert f"- {remedy}" in the_problem(fit_of({**BARE, **changes})).remedy
    assert is_proven({**changes, **enough})
    assert not is_proven({**changes, **too_little})


def test_refusal_names_promises_and_a_placement_that_blocks() -> None:
    problem = the_problem(fit_of({**BARE, **FRAGMENTED}))
    assert problem.where == "teams" and problem.severity == "error"
    assert problem.found == (
        "12 nvidia.com/gpu of pool rtx guaranteed (speech 6, vision 6):\n"
        "a guaranteed pod of 2 slices can stay Pending while 2 are free,\n"
        "when others have 5 on gpu-1, 5 on gpu-2"
    )
    assert "the pool's 2 nodes offer 12 nvidia.com/gpu" in problem.expected


def test_fit_setting_decides_about_guarantees() -> None:
    assert the_problem(fit_of({**BARE, **OVER_ONE_NODE, "fit": "warn"})).severity == "warning"
    fit = fit_of({**BARE, **OVER_ONE_NODE, "fit": "off"})
    assert not fit.problems and not any(room.proven for room in fit.teams)


def test_kubelets_that_take_few_pods_limit_guarantees() -> None:
    many = {**teams(90, 15), f"{RESOURCES}/0/replicas": 200}
    assert (
        "- pools.rtx.kubeletArgs: {max-pods: 118} instead of 110"
        in the_problem(fit_of({**BARE, **many})).remedy
    )
    assert is_proven({**many, "pools/rtx/kubeletArgs": {"max-pods": "118"}})
    assert not is_proven({**many, "pools/rtx/kubeletArgs": {"max-pods": "117"}})


def test_reserved_slices_keep_no_guarantee() -> None:
    own = teams(3, 2)
    assert is_proven({**own, "pools/rtx/reserved": {"nvidia.com/gpu": 1}})
    assert not is_proven({**own, "pools/rtx/reserved": {"nvidia.com/gpu": 2}})


def test_guarantee_that_waits_for_maintenance_gets_a_warning() -> None:
    down = {**SECOND_NODE, "pools/rtx/hosts/gpu-2": {"address": "10.0.0.22", "maintenance": True}}
    problem = the_problem(fit_of({**BARE, **teams(4, 3), **down}))
    assert problem.severity == "warning" and "- end the maintenance of the pool's hosts" in problem.remedy
    assert the_problem(fit_of({**BARE, **teams(8, 5), **down})).severity == "error"


def test_workloads_of_a_team_are_within_its_guarantee() -> None:
    workload = {"team": "vision", "image": "a/b:v1", "replicas": 4}
    fit = fit_of({**teams(4, 2), "workloads": {"w": workload}, "pools/rtx/taints": ["team=red:NoSchedule"]})
    assert not fit.problems and fit.fits


def test_idle_teams_leave_slices_to_others_up_to_the_limit() -> None:
    own = {
        "teams": {"vision": {"guaranteed": {"rtx": 2}, "limit": {"rtx": 9}}},
        "workloads": {"w": {"gpus": 1}},
    }
    (room,) = fit_of(own).teams
    assert (room.proven, room.guaranteed, room.limit, room.alone) == (True, 2, 9, 5)


def test_nodes_that_are_cordoned_keep_no_guarantee() -> None:
    settings = s.parse(with_({**BARE, **SECOND_NODE, **teams(4, 3)}))
    nodes = [
        {"metadata": {"name": name}, "spec": {"unschedulable": name == "gpu-2"}, "status": {}}
        for name in ("gpu-1", "gpu-2")
    ]
    usage = capacity.node_usage(settings, nodes, [])
    assert all(room.proven for room in capacity.fit(settings, capacity.offers(settings)).teams)
    live = capacity.fit(settings, capacity.offers(settings), usage)
    assert not any(room.proven for room in live.teams)
