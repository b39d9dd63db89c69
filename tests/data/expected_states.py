"""A promise, and a cluster that keeps it, as the API lists it."""

from typing import Any

from k3sgpu.cluster.expected_state import DAEMON_SETS

PLUGIN, DISCOVERY = DAEMON_SETS
EXPECTED: dict[str, Any] = {
    "timeoutSeconds": 60,
    "namespace": "gpu-operator",
    "configMap": "time-slicing-config",
    "nodes": [
        {
            "name": "gpu-1",
            "resources": {"nvidia.com/gpu": 6},
            "labels": {"nvidia.com/gpu.replicas": "6", "nvidia.com/gpu.product": "NVIDIA-H200-SHARED"},
        },
        {"name": "server-1", "resources": {}, "labels": {}},
    ],
}
NO_GPU = {**EXPECTED, "nodes": EXPECTED["nodes"][1:]}
OPERATOR = {
    "metadata": {
        "name": "gpu-operator-5d8b7c-x2z4q",
        "labels": {"app": "gpu-operator", "app.kubernetes.io/component": "gpu-operator"},
    },
    "status": {"phase": "Running"},
}


def conditions(**statuses: tuple[str, str]) -> list[dict[str, str]]:
    return [
        {"type": kind, "status": status, "reason": reason, "message": f"about {kind}"}
        for kind, (status, reason) in statuses.items()
    ]


def node(name: str, **status: Any) -> dict[str, Any]:
    ready = conditions(Ready=("True", "KubeletReady"))
    return {
        "metadata": {"name": name, "labels": {}},
        "status": {"conditions": ready, "allocatable": {}, **status},
    }


def daemon_set(name: str) -> dict[str, Any]:
    annotations = {"deprecated.daemonset.template.generation": "2"}
    return {
        "metadata": {"name": name, "generation": 2, "annotations": annotations},
        "status": {"observedGeneration": 2},
    }


def pod(owner: str, on: str = "gpu-1", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"{owner}-abcde",
            "labels": {"pod-template-generation": "2"},
            "ownerReferences": [{"kind": "DaemonSet", "name": owner}],
        },
        "spec": {"nodeName": on},
        "status": {"phase": "Running", "conditions": conditions(Ready=("True", "")), **status},
    }


def cluster() -> dict[str, Any]:
    """A cluster that keeps EXPECTED."""
    gpu_1 = node("gpu-1", allocatable={"nvidia.com/gpu": "6", "cpu": "4"})
    gpu_1["metadata"]["labels"] = dict(EXPECTED["nodes"][0]["labels"])
    policy = {
        "metadata": {"name": "cluster-policy"},
        "status": {"state": "ready", "conditions": conditions(Ready=("True", "Reconciled"))},
    }
    return {
        "nodes": [gpu_1, node("server-1")],
        "clusterpolicies": [policy],
        "daemonsets": [daemon_set(name) for name in DAEMON_SETS],
        "pods": [pod(name) for name in DAEMON_SETS],
        "events": [],
    }


def gpu_1(state: dict[str, Any]) -> dict[str, Any]:
    return state["nodes"][0]


def fewer(state: dict[str, Any]) -> None:
    gpu_1(state)["status"]["allocatable"]["nvidia.com/gpu"] = "1"
