"""An expected state, and a cluster that meets it, as the API lists it."""

from collections.abc import Callable
from typing import Any

from k3sgpu.cluster.client import Snapshot
from k3sgpu.cluster.comparison import DAEMON_SETS
from k3sgpu.handoff.expected_state import ExpectedState

PLUGIN, DISCOVERY = DAEMON_SETS
EXPECTED: ExpectedState = {
    "timeoutSeconds": 60,
    "drainTimeoutSeconds": 5,
    "namespace": "gpu-operator",
    "nodes": [
        {
            "name": "gpu-1",
            "resources": {"nvidia.com/gpu": 6},
            "labels": {"nvidia.com/gpu.replicas": "6", "nvidia.com/gpu.product": "NVIDIA-H200-SHARED"},
        },
        {"name": "server-1", "resources": {}, "labels": {}},
    ],
}
NO_GPU: ExpectedState = {**EXPECTED, "nodes": EXPECTED["nodes"][1:]}
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
    """A cluster that meets EXPECTED."""
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


def snapshot(state: dict[str, Any]) -> Snapshot:
    """The same cluster, as the client reads it."""
    return Snapshot(
        nodes={item["metadata"]["name"]: item for item in state["nodes"]},
        policies=state["clusterpolicies"],
        daemon_sets={item["metadata"]["name"]: item for item in state["daemonsets"]},
        pods=state["pods"],
    )


def plugin_pod(**status: Any) -> Callable[[dict[str, Any]], object]:
    return lambda state: state["pods"].__setitem__(0, pod(PLUGIN, **status))


def waiting(
    reason: str, message: str = "", last: str = "", container: str = "nvidia-device-plugin"
) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    ended = {"terminated": {"exitCode": 1, "message": last}} if last else {}
    return {
        "conditions": [],
        "containerStatuses": [{"name": container, "state": state, "lastState": ended}],
    }


def in_init(container: str) -> dict[str, Any]:
    running = [{"name": container, "state": {"running": {}}}]
    return {"phase": "Pending", "conditions": [], "initContainerStatuses": running}


def operator_says(state: str, ready: tuple[str, str]) -> Callable[[dict[str, Any]], object]:
    return lambda s: s["clusterpolicies"][0]["status"].update(state=state, conditions=conditions(Ready=ready))
