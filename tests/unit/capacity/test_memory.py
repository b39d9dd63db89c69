"""Declared memory against the card's, as each way to share has it."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k3sgpu import capacity
from k3sgpu import settings as s
from k3sgpu.capacity.memory import memory_loads
from k3sgpu.capacity.node_filters import Demand
from k3sgpu.capacity.offers import NodeOffer, ResourceOffer
from k3sgpu.capacity.schedulable_nodes import SchedulableNode
from tests.data.stack_files import RESOURCES, with_
from tests.unit.capacity.fits import fit_of_settings

CARD = 143771
MPS = {"mps": {"resources": [{"name": "nvidia.com/gpu", "replicas": 4}]}}


def fit_of(*workloads: dict[str, Any], **changes: Any) -> capacity.Fit:
    """On a card of six slices; workloads are called a, b, c."""
    named = dict(zip("abc", workloads, strict=False))
    return fit_of_settings(s.parse(with_({"workloads": named, **changes})))


def reported(fit: capacity.Fit) -> list[tuple[str, str, str]]:
    return [(problem.severity, problem.where, problem.found) for problem in fit.problems]


def test_undeclared_memory_is_not_counted() -> None:
    fit = fit_of({"replicas": 6})
    assert fit.memory_loads == () and "declared" not in capacity.render_slice_map(fit)


def test_pods_that_fit_one_card_are_no_problem() -> None:
    fit = fit_of({"replicas": 6, "memoryMiB": CARD // 6})
    assert not fit.problems
    assert f"up to {CARD // 6 * 6} of {CARD} MiB declared on one card of gpu-1" in capacity.render_slice_map(
        fit
    )


def test_overcommitted_card_is_a_warning() -> None:
    fit = fit_of({"replicas": 6, "memoryMiB": 30000})
    assert reported(fit) == [
        ("warning", "workloads.a.memoryMiB", "up to 180000 MiB on one card of gpu-1, where 6 of a may meet")
    ]
    (problem,) = fit.problems
    assert "without a limit" in problem.expected and "memoryMiB: 23961" in problem.remedy
    assert fit.fits is True  # the scheduler does not look at it


def test_load_counts_the_pods_with_the_most_memory() -> None:
    fit = fit_of(
        {"replicas": 4, "memoryMiB": 1000},
        {"replicas": 2, "gpus": 2, "memoryMiB": 40000},
        {"replicas": 2},
        fit="off",
    )
    (load,) = fit.memory_loads
    assert (load.most_mib, load.meeting) == (82000, {"a": 2, "b": 2})


@pytest.mark.parametrize(
    ("setting", "severity"), [("enforce", ["error"]), ("warn", ["warning"]), ("off", [])]
)
def test_memory_setting_changes_only_the_severity(setting: str, severity: list[str]) -> None:
    fit = fit_of({"replicas": 6, "memoryMiB": 30000}, memory=setting)
    assert [problem.severity for problem in fit.problems] == severity
    assert not fit.memory_loads[0].fits


def test_mps_limits_each_client_to_its_part() -> None:
    assert not fit_of({"replicas": 4, "memoryMiB": CARD // 4}, **{"sharing/profiles/six": MPS}).problems
    fit = fit_of({"memoryMiB": CARD // 4 + 1}, **{"sharing/profiles/six": MPS})
    assert reported(fit) == [
        ("warning", "workloads.a.memoryMiB", f"{CARD // 4 + 1} MiB on one card of gpu-1")
    ]
    assert f"({CARD} MiB / 4)" in fit.problems[0].expected


def test_whole_cards_divide_a_pods_memory() -> None:
    whole = {"sharing/profiles/six": {}, "pools/rtx/gpu/count": 2}
    assert not fit_of({"gpus": 2, "memoryMiB": 2 * CARD}, **whole).problems
    fit = fit_of({"memoryMiB": CARD + 1}, **whole)
    assert f"at most {CARD}: it has no more memory" in fit.problems[0].expected


def test_partition_counts_as_its_own_card() -> None:
    cut = {
        "pools/rtx/gpu/mig": {"1g.18gb": 2},
        "sharing/profiles/six": {
            "migStrategy": "mixed",
            "timeSlicing": {"resources": [{"name": "nvidia.com/mig-1g.18gb", "replicas": 2}]},
        },
    }
    pods = {"replicas": 4, "resource": "nvidia.com/mig-1g.18gb"}
    assert not fit_of({**pods, "memoryMiB": 8100}, **cut).problems
    fit = fit_of({**pods, "memoryMiB": 8101}, **cut)
    assert reported(fit)[0][2] == "up to 16202 MiB on one partition of gpu-1, where 2 of a may meet"


def test_equal_nodes_are_reported_once() -> None:
    many = {"pools/rtx/hosts": {f"gpu-{n}": f"10.0.0.2{n}" for n in range(1, 4)}}
    fit = fit_of(
        {"replicas": 6, "memoryMiB": 30000, "nodeSelector": {"kubernetes.io/hostname": "gpu-2"}}, **many
    )
    assert [load.nodes for load in fit.memory_loads] == [("gpu-2",)]
    fit = fit_of({"replicas": 6, "memoryMiB": 30000}, **many)
    (problem,) = fit.problems
    assert "any of gpu-1 to gpu-3 (3 alike)" in problem.found


@pytest.mark.parametrize(("slices", "meeting"), [(6, 4), (5, 3)])
def test_reserved_slices_reduce_the_load(slices: int, meeting: int) -> None:
    changes = {f"{RESOURCES}/0/replicas": slices, "pools/rtx/reserved": {"nvidia.com/gpu": 2}, "fit": "off"}
    fit = fit_of({"replicas": 4, "memoryMiB": 30000}, **changes)
    assert fit.memory_loads[0].meeting == {"a": meeting}


@settings(deadline=None)
@given(
    devices=st.integers(1, 2),
    replicas=st.integers(2, 3),
    pods=st.lists(st.tuples(st.integers(1, 2), st.integers(1, 9)), min_size=1, max_size=3),
)
def test_load_is_the_worst_of_all_allocations(
    devices: int, replicas: int, pods: list[tuple[int, int]]
) -> None:
    """Against every way to hand out the slices, one pod a workload."""
    share = ResourceOffer("r", "r", devices, replicas, 100)
    offer = NodeOffer("n", "p", {}, product="P", cards=devices, resource_offers=(share,))
    demands = [Demand(f"w{n}", 1, asked, "r", {}, memory_mib=mib) for n, (asked, mib) in enumerate(pods)]
    (load,) = memory_loads([offer], [SchedulableNode("n", {}, {"r": share.count})], demands)
    worst = 0
    # What each pod has on device 0 (None: it is not there at all), the rest elsewhere.
    for split in itertools.product(*((None, *range(asked + 1)) for asked, _ in pods)):
        here = sum(part or 0 for part in split)
        rest = sum(asked - part for part, (asked, _) in zip(split, pods, strict=True) if part is not None)
        if here <= replicas and rest <= (devices - 1) * replicas:
            worst = max(worst, sum(mib for part, (_, mib) in zip(split, pods, strict=True) if part))
    assert load.most_mib == worst
