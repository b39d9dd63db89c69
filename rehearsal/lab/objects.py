"""Objects that tests and the proof create beside the stack, and reads of the cluster's pods and nodes."""

import json
from collections.abc import Mapping
from typing import Any

from rehearsal.lab.fixture import StackFixture, wait_until
from rehearsal.lab.machine_records import RunningMachine


def container(resource: str = "nvidia.com/gpu", count: int = 1, image: str = "none") -> dict[str, Any]:
    """A container that requests `count` of a resource."""
    return {"name": "main", "image": image, "resources": {"limits": {resource: str(count)}}}


def deployment(
    name: str,
    *,
    replicas: int = 1,
    resource: str = "nvidia.com/gpu",
    count: int = 1,
    on: str | None = None,
    image: str = "none",
) -> str:
    """A Deployment, as JSON, whose pods each request `count` of a resource, on one node or on any."""
    labels = {"app": name}
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
                    "spec": {**selector, "containers": [container(resource, count, image)]},
                },
            },
        }
    )


def pods(cluster: StackFixture, name: str) -> dict[str, dict[str, Any]]:
    """A Deployment's pods by UID."""
    found = cluster.get("pods", "--selector", f"app={name}")["items"]
    return {pod["metadata"]["uid"]: pod for pod in found}


def phases(cluster: StackFixture, name: str) -> list[str]:
    """The phases of a Deployment's pods, sorted."""
    return sorted(pod["status"]["phase"] for pod in pods(cluster, name).values())


def unscheduled(cluster: StackFixture, name: str) -> str:
    """The scheduler's messages about a Deployment's pods that have no node."""
    conditions = [one for pod in pods(cluster, name).values() for one in pod["status"].get("conditions", [])]
    return "; ".join(one.get("message", "") for one in conditions if one["type"] == "PodScheduled")


def forbid_eviction(cluster: StackFixture, name: str) -> None:
    """Makes a PodDisruptionBudget that forbids to evict the one running pod of a Deployment."""
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": name}}},
    }
    cluster.kubectl("apply", "--filename", "-", stdin=json.dumps(budget))
    healthy = ("get", "pdb", name, "--output", "jsonpath={.status.currentHealthy}")
    wait_until("a budget that counts its pod", lambda: cluster.kubectl(*healthy) == "1")


def offered(cluster: StackFixture, node: str) -> dict[str, str]:
    """NVIDIA's resources that a node has allocatable, without those that are 0."""
    allocatable = cluster.get("node", node)["status"]["allocatable"]
    return {
        name: count for name, count in allocatable.items() if name.startswith("nvidia.com/") and count != "0"
    }


def label(cluster: StackFixture, node: str, name: str) -> str | None:
    """The value of a node's label nvidia.com/<name>."""
    return cluster.get("node", node)["metadata"]["labels"].get(f"nvidia.com/{name}")


def plugin_state(cluster: StackFixture, node: str) -> dict[str, Any]:
    """Values that change when a node's device plugin or feature discovery restarts or reloads its file."""
    on_it = ("--namespace", "gpu-operator", "--field-selector", f"spec.nodeName={node}")
    starts = {
        pod["metadata"]["uid"]: [c["restartCount"] for c in pod["status"].get("containerStatuses", [])]
        for pod in cluster.get("pods", *on_it)["items"]
    }
    return {"starts": starts, "read": label(cluster, node, "gfd.timestamp")}


def cordoned_by_drain(cluster: StackFixture, node: str) -> bool:
    """Whether the program's drain has cordoned a node: annotation and cordon must agree."""
    found = cluster.get("node", node)
    marked = "k3s-gpu-sharing/vacated" in found["metadata"].get("annotations", {})
    assert marked == found["spec"].get("unschedulable", False)
    return marked


def k3s_starts(cluster: StackFixture, machines: Mapping[str, RunningMachine]) -> dict[str, str]:
    """By running machine: an id that changes with each start of k3s; empty when k3s does not run."""
    show = "systemctl show --property InvocationID --value 'k3s*'"
    return {name: cluster.run_on(machine, show) for name, machine in machines.items() if machine.running}
