"""Whether the workloads fit: verdicts, counts and severities."""

import cProfile
import pstats
from typing import Any

import pytest

from k3sgpu import settings as s
from tests.data.stack_files import GOOD, REMOVE, RESOURCES, with_
from tests.unit.capacity.fits import NO_MATCH, ON_GPU_2, SECOND_NODE, fit_of, fit_of_settings, the_problem

SLICES = f"{RESOURCES}/0/replicas"


def test_article_stack_fits() -> None:
    fit = fit_of({})
    assert fit.fits is True and fit.problems == () and fit.pending == ()
    assert fit.nodes_by_pod == {"w#1": "gpu-1", "w#2": "gpu-1"}


def test_stack_without_workloads_fits() -> None:
    assert fit_of({"workloads": REMOVE}).fits is True


@pytest.mark.parametrize(
    ("changes", "pending", "message"),
    [
        # The article's own message: one card, two pods.
        (
            {"pools/rtx/gpu/profile": "none", "workloads/w/gpus": 1},
            1,
            "0/2 nodes are available: 2 Insufficient nvidia.com/gpu.",
        ),
        ({"workloads/w/replicas": 5}, 2, "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."),
        (
            {"workloads/w/replicas": 4, "workloads/w/nodeSelector": {"accelerator": "NVIDIA-H200"}},
            1,
            f"0/2 nodes are available: 1 Insufficient nvidia.com/gpu, 1 {NO_MATCH}.",
        ),
        (
            {**SECOND_NODE, "workloads/w": {"replicas": 2, "gpus": 4, "nodeSelector": ON_GPU_2}},
            1,
            f"0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 {NO_MATCH}.",
        ),
        (
            {"workloads/w/nodeSelector": {"accelerator": "other"}},
            2,
            f"0/2 nodes are available: 2 {NO_MATCH}.",
        ),
        ({"workloads/w/resource": "nvidia.com/gpu.shared"}, 2,
         "0/2 nodes are available: 2 Insufficient nvidia.com/gpu.shared."),
        # Reasons are sorted as texts, so 10 comes before 2.
        (
            {
                **{f"pools/rtx/hosts/gpu-{n}": f"10.0.1.{n}" for n in range(2, 11)},
                "pools/old": {"role": "agent", "hosts": {"o": "10.0.2.1"},
                              "gpu": {"product": "OLD", "count": 1, "memoryMiB": 1}},
                "workloads/w": {"gpus": 7, "nodeSelector": {"accelerator": "NVIDIA-H200"}},
            },
            1,
            f"0/12 nodes are available: 10 Insufficient nvidia.com/gpu, 2 {NO_MATCH}.",
        ),
    ],
)  # fmt: skip
def test_pending_pods_carry_the_schedulers_message(
    changes: dict[str, Any], pending: int, message: str
) -> None:
    fit = fit_of(changes)
    assert fit.fits is False
    assert [pod.message for pod in fit.pending] == [message] * pending
    problem = the_problem(fit)
    assert problem.severity == "error"
    assert message in problem.found
    assert f"{pending} " in problem.found


def test_fit_in_some_orders_only_is_a_warning() -> None:
    changes = {**SECOND_NODE, "workloads": {"small": {"replicas": 6}, "large": {"gpus": 6}}}
    fit = fit_of(changes)
    assert fit.fits is None and fit.pending == ()
    assert the_problem(fit).severity == "warning" and "in some orders" in the_problem(fit).found


@pytest.mark.parametrize(
    ("setting", "severities"), [("enforce", ["error"]), ("warn", ["warning"]), ("off", [])]
)
def test_fit_setting_changes_only_the_severity(setting: str, severities: list[str]) -> None:
    fit = fit_of({"workloads/w/replicas": 4, "fit": setting})
    assert [problem.severity for problem in fit.problems] == severities
    assert fit.fits is False and len(fit.pending) == 1


def test_job_needs_room_for_its_parallelism() -> None:
    job = {"kind": "Job", "completions": 9, "gpus": 2}
    assert fit_of({"workloads": {"w": {**job, "parallelism": 3}}}).fits is True
    (problem,) = fit_of({"workloads": {"w": {**job, "parallelism": 4}}}).problems
    assert "workloads.w: parallelism: 3 instead of 4" in problem.remedy


def many(nodes: int, slices: int, sizes: tuple[int, ...]) -> s.Settings:
    """Ten pods a node, in eight workloads whose pods ask for one of `sizes`."""
    hosts = {f"gpu-{n}": f"10.9.{n // 200}.{n % 200 + 1}" for n in range(nodes)}
    workloads = {f"w{n}": {"replicas": 10 * nodes // 8, "gpus": sizes[n % len(sizes)]} for n in range(8)}
    pods = {"k3s/clusterCidr": "10.64.0.0/12"}  # a /24 for each node
    return s.parse(with_({**pods, "pools/rtx/hosts": hosts, "workloads": workloads, SLICES: slices}))


@pytest.mark.parametrize(
    ("slices", "sizes", "verdict"),
    [(12, (1,), "any order"), (15, (1, 2), "some orders"), (6, (1, 2, 3), "no order")],
)
def test_work_grows_linearly_with_the_cluster(slices: int, sizes: tuple[int, ...], verdict: str) -> None:
    calls = []
    for nodes in (100, 1000):  # the larger: 10,000 pods
        work = cProfile.Profile()
        fit = work.runcall(fit_of_settings, many(nodes, slices, sizes))
        calls.append(pstats.Stats(work).total_calls)  # pyright: ignore[reportAttributeAccessIssue]
        assert fit.verdict == verdict and len(fit.placements) + len(fit.pending) == 10 * nodes
    assert calls[1] < 20 * calls[0]  # ten times the nodes and pods


def test_good_file_has_the_expected_workload() -> None:
    assert GOOD["workloads"] == {"w": {"replicas": 2, "gpus": 2}}
