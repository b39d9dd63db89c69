"""Which nodes pods may use: labels, taints and tolerations."""

import pytest

from components import gpu_workload
from k3sgpu.capacity.taints import GPU_TOLERATION
from tests.unit.capacity.fits import fit_of, the_problem

ANY = {"tolerations": [{"operator": "Exists"}]}
TAINT = {
    "pools/rtx/taints": ["team=red:NoSchedule"],
    "pools/control/taints": ["team=red:NoSchedule"],
    "gpuOperator/values": {"operator": ANY, "node-feature-discovery": {"master": ANY, "gc": ANY}},
}


@pytest.mark.parametrize("key", ["kubernetes.io/os", "kubernetes.io/hostname", "nvidia.com/gpu.replicas"])
def test_predictable_label_decides_the_fit(key: str) -> None:
    value = {"kubernetes.io/os": "linux", "kubernetes.io/hostname": "gpu-1", "nvidia.com/gpu.replicas": "6"}[
        key
    ]
    assert fit_of({"workloads/w/nodeSelector": {key: value}}).fits is True
    assert fit_of({"workloads/w/nodeSelector": {key: "other"}}).fits is False


def test_unknown_label_is_not_decided() -> None:
    fit = fit_of({"workloads/w/nodeSelector": {"zone": "a"}})
    assert fit.fits is None
    assert the_problem(fit).severity == "warning" and "w selects on zone" in the_problem(fit).found


def test_unknown_label_cannot_add_room() -> None:
    assert fit_of({"workloads/w/nodeSelector": {"zone": "a"}, "workloads/w/replicas": 4}).fits is False


def test_label_of_the_stack_file_is_known() -> None:
    label = {f"pools/{pool}/labels": {"zone": "a"} for pool in ("rtx", "control")}
    assert fit_of({**label, "workloads/w/nodeSelector": {"zone": "a"}}).fits is True
    assert fit_of({**label, "workloads/w/nodeSelector": {"zone": "b"}}).fits is False


def test_taint_of_the_stack_file_repels_pods() -> None:
    fit = fit_of(TAINT)
    problem = the_problem(fit)
    assert {pod.message for pod in fit.pending} == {
        "0/2 nodes are available: 2 node(s) had untolerated taint(s)."
    }
    assert "gpu-1: taint team=red:NoSchedule" in problem.expected and "the pool's taints" in problem.remedy


@pytest.mark.parametrize("taint", ["nvidia.com/gpu=present:NoSchedule", "a:PreferNoSchedule"])
def test_tolerated_and_soft_taints_do_not_repel(taint: str) -> None:
    assert fit_of({"pools/rtx/taints": [taint]}).fits is True


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        ({"key": "team", "value": "red"}, True),
        ({"key": "team", "operator": "Exists", "effect": "NoSchedule"}, True),
        ({"key": "team", "value": "blue"}, False),
        ({"key": "team", "value": "red", "effect": "NoExecute"}, False),
        ({"key": "crew", "operator": "Exists"}, False),
    ],
)
def test_matching_toleration_admits_pods(toleration: dict[str, str], fits: bool) -> None:
    assert fit_of({**TAINT, "workloads/w/tolerations": [toleration]}).fits is fits


def test_tainted_nodes_are_left_to_the_tolerating_workload() -> None:
    alone = {"replicas": 3, "gpus": 2, "tolerations": [{"key": "team", "operator": "Exists"}]}
    fit = fit_of({**TAINT, "workloads": {"red": alone, "w": {"replicas": 1}}})
    assert {placement.workload for placement in fit.placements} == {"red"}
    assert [pod.workload for pod in fit.pending] == ["w"]


def test_pods_get_the_toleration_that_fit_assumes() -> None:
    (toleration,) = gpu_workload.TOLERATIONS
    assert toleration == {"key": GPU_TOLERATION.key, "operator": "Exists", "effect": GPU_TOLERATION.effect}
