"""The fit on a running cluster: its nodes, and the pods outside the stack."""

from typing import Any

import pytest

from k3sgpu import capacity
from k3sgpu import settings as s
from tests.data.stack_files import with_


def fit_on_cluster(changes: dict[str, Any], pods: list[dict[str, Any]], **node: Any) -> capacity.Fit:
    """The fit on a cluster whose gpu-1 has six slices and these pods; `node` is more of its spec."""
    parsed = s.parse(with_(changes))
    nodes = [
        {"metadata": {"name": "gpu-1", "labels": {"zone": "a"}}, "spec": node,
         "status": {"allocatable": {"nvidia.com/gpu": "6", "cpu": "2"}}},
        {"metadata": {"name": "server-1"}},
        {"metadata": {"name": "by-hand", "labels": {}}, "status": {"allocatable": {"nvidia.com/gpu": "1"}}},
    ]  # fmt: skip
    return capacity.fit(parsed, capacity.offers(parsed), capacity.node_usage(parsed, nodes, pods))


def pod_on_gpu_1(owner: str, gpus: int, phase: str = "Running", namespace: str = "default") -> dict[str, Any]:
    """On gpu-1."""
    return {
        "metadata": {
            "name": f"{owner}-x", "namespace": namespace,
            "ownerReferences": [{"kind": "ReplicaSet", "name": owner}],
        },
        "spec": {"nodeName": "gpu-1",
                 "containers": [{"resources": {"requests": {"nvidia.com/gpu": str(gpus), "cpu": "1"}}}]},
        "status": {"phase": phase},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("pods", "pending"),
    [
        ([], 0),
        ([pod_on_gpu_1("w-5d9c", 2)], 0),  # the stack's own
        ([pod_on_gpu_1("other-5d9c", 2)], 0),
        ([pod_on_gpu_1("other-5d9c", 3)], 1),
        ([pod_on_gpu_1("w-5d9c", 3, namespace="elsewhere")], 1),
        ([pod_on_gpu_1("other-5d9c", 3, phase="Succeeded")], 0),
    ],
)
def test_pods_outside_the_stack_use_slices(pods: list[dict[str, Any]], pending: int) -> None:
    assert len(fit_on_cluster({}, pods).pending) == pending


def test_nodes_outside_the_stack_are_counted() -> None:
    assert fit_on_cluster({"workloads/w": {"replicas": 7}}, []).fits is True
    (pod,) = fit_on_cluster({"workloads/w": {"replicas": 8}}, []).pending
    assert pod.message == "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."


def test_pods_of_a_node_count_against_its_limit() -> None:
    parsed = s.parse(with_({"workloads/w": {"replicas": 5}}))
    node = {
        "metadata": {"name": "gpu-1"},
        "status": {"allocatable": {"nvidia.com/gpu": "6", "pods": "20"}},
    }
    pods = [pod_on_gpu_1(f"other{n}-5d9c", 0) for n in range(16)]
    usage = capacity.node_usage(parsed, [node], pods)
    fit = capacity.fit(parsed, capacity.offers(parsed), usage)
    assert [pod.message for pod in fit.pending] == [
        "0/2 nodes are available: 1 Insufficient nvidia.com/gpu, 1 Too many pods."
    ]


def test_pods_of_stack_jobs_belong_to_the_stack() -> None:
    pod = pod_on_gpu_1("w", 5)
    pod["metadata"]["ownerReferences"][0]["kind"] = "Job"
    assert len(fit_on_cluster({}, [pod]).pending) == 2  # w is a Deployment: the Job is somebody else's
    assert not fit_on_cluster({"workloads/w": {"kind": "Job"}}, [pod]).pending


def test_labels_taints_and_cordons_of_the_cluster_count() -> None:
    assert fit_on_cluster({"workloads/w/nodeSelector": {"zone": "a"}}, []).fits is True
    assert fit_on_cluster({"workloads/w/nodeSelector": {"zone": "b"}}, []).fits is False
    cordoned = fit_on_cluster({}, [], unschedulable=True)
    assert cordoned.pending[0].message == (
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient nvidia.com/gpu."
    )
    tainted = fit_on_cluster({}, [], taints=[{"key": "a", "effect": "NoExecute"}])
    assert "1 node(s) had untolerated taint(s)" in tainted.pending[0].message
