"""What the rehearsal tests put into a cluster beside the stack, and how they look at its nodes."""

import json
from typing import Any

from rehearsal.lab.fixture import StackFixture, wait_until


def deployment(
    name: str, *, replicas: int = 1, resource: str = "nvidia.com/gpu", on: str | None = None
) -> str:
    """Pods that each hold one of a resource, on one node or anywhere; as JSON."""
    labels = {"app": name}
    container = {"name": "main", "image": "none", "resources": {"limits": {resource: "1"}}}
    selector = {"nodeSelector": {"kubernetes.io/hostname": on}} if on else {}
    return json.dumps(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {**selector, "containers": [container]},
                },
            },
        }
    )


def pods(stage: StackFixture, name: str) -> dict[str, dict[str, Any]]:
    """A Deployment's pods, each by the identity that no other ever has."""
    found = stage.get("pods", "--selector", f"app={name}")["items"]
    return {pod["metadata"]["uid"]: pod for pod in found}


def phases(stage: StackFixture, name: str) -> list[str]:
    """What a Deployment's pods are doing, sorted."""
    return sorted(pod["status"]["phase"] for pod in pods(stage, name).values())


def unscheduled(stage: StackFixture, name: str) -> str:
    """The scheduler's words about a Deployment's pods that have no node."""
    conditions = [one for pod in pods(stage, name).values() for one in pod["status"].get("conditions", [])]
    return "; ".join(one.get("message", "") for one in conditions if one["type"] == "PodScheduled")


def may_not_go(stage: StackFixture, name: str) -> None:
    """A disruption budget for a Deployment with one pod, which has to be running."""
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": name}}},
    }
    stage.kubectl("apply", "--filename", "-", stdin=json.dumps(budget))
    healthy = ("get", "pdb", name, "--output", "jsonpath={.status.currentHealthy}")
    wait_until("a budget that counts its pod", lambda: stage.kubectl(*healthy) == "1")


def offered(stage: StackFixture, node: str) -> dict[str, str]:
    """What of a node's resources is NVIDIA's and not 0."""
    allocatable = stage.get("node", node)["status"]["allocatable"]
    return {
        name: count for name, count in allocatable.items() if name.startswith("nvidia.com/") and count != "0"
    }


def label(stage: StackFixture, node: str, name: str) -> str | None:
    """A node's label of NVIDIA's."""
    return stage.get("node", node)["metadata"]["labels"].get(f"nvidia.com/{name}")


def untouched(stage: StackFixture, node: str) -> dict[str, Any]:
    """What changes when a node's plugin or feature discovery starts or reads its file again."""
    on_it = ("--namespace", "gpu-operator", "--field-selector", f"spec.nodeName={node}")
    starts = {
        pod["metadata"]["uid"]: [c["restartCount"] for c in pod["status"].get("containerStatuses", [])]
        for pod in stage.get("pods", *on_it)["items"]
    }
    return {"starts": starts, "read": label(stage, node, "gfd.timestamp")}


def out_of_use(stage: StackFixture, node: str) -> bool:
    """Whether this program has cordoned it. Raises AssertionError where half of that is to be seen."""
    found = stage.get("node", node)
    marked = "k3s-gpu-sharing/vacated" in found["metadata"].get("annotations", {})
    assert marked == found["spec"].get("unschedulable", False)
    return marked
