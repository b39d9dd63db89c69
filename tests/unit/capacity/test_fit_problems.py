"""What the problems of a fit say."""

from tests.data.stack_files import REMOVE
from tests.unit.capacity.fits import NO_MATCH, WHOLE, fit_of, the_problem

RENAMED = {"sharing/profiles/six/timeSlicing/renameByDefault": True}


def test_product_label_of_shared_cards_says_shared() -> None:
    selector = {"workloads/w/nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-H200"}}
    problem = the_problem(fit_of(selector))
    assert problem.where == "workloads.w.nodeSelector"
    assert "nvidia.com/gpu.product=NVIDIA-H200-SHARED" in problem.expected
    assert "accelerator" in problem.remedy
    assert fit_of({"workloads/w/nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-H200-SHARED"}}).fits is True


def test_workload_with_pool_runs_only_there() -> None:
    fit = fit_of({"pools/whole": WHOLE, "workloads/w": {"replicas": 2, "gpus": 1, "pool": "whole"}})
    assert fit.nodes_by_pod == {"w#1": "gpu-9", "w#2": "gpu-9"}
    fit = fit_of({"pools/whole": WHOLE, "workloads/w": {"replicas": 3, "gpus": 1, "pool": "whole"}})
    assert f"0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 {NO_MATCH}." in the_problem(fit).found


def test_pool_without_the_resource_suggests_other_pools() -> None:
    partitions = {"profile": "cut", "mig": {"1g.18gb": 7}}
    changes = {
        "pools/cut": {**WHOLE, "gpu": WHOLE["gpu"] | partitions},
        "sharing/profiles/cut": {"migStrategy": "mixed"},
        "workloads/w": {"pool": "cut"},
    }
    problem = the_problem(fit_of(changes))
    assert problem.where == "workloads.w.pool"
    assert "cut, of which no node offers nvidia.com/gpu" in problem.found
    assert problem.remedy == "write pool: rtx, or remove it"


def test_renamed_resource_must_be_requested_by_its_new_name() -> None:
    problem = the_problem(fit_of(RENAMED))
    assert problem.where == "workloads.w.resource"
    assert "gpu-1: 6 nvidia.com/gpu.shared (profile six)" in problem.expected
    assert "write resource: nvidia.com/gpu.shared" in problem.remedy
    assert fit_of({**RENAMED, "workloads/w/resource": "nvidia.com/gpu.shared"}).fits is True


def test_stack_without_gpus_suggests_adding_one() -> None:
    assert "add gpu:" in the_problem(fit_of({"pools/rtx/gpu": REMOVE})).remedy


def test_all_problems_are_reported_at_once() -> None:
    fit = fit_of({
        "workloads/w/replicas": 4,
        "workloads/astray": {"nodeSelector": {"accelerator": "x"}},
        "workloads/foreign": {"resource": "nvidia.com/gpu.shared"},
    })  # fmt: skip
    assert {problem.where for problem in fit.problems} == {
        "workloads.w",
        "workloads.astray.nodeSelector",
        "workloads.foreign.resource",
    }
