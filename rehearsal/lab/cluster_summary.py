"""The summary of the cluster that `make up` prints at its end."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from k3sgpu.capacity import Placement
from rehearsal.process import run

Object = Mapping[str, Any]
GPU_PREFIX = "nvidia.com/"
PRODUCT_LABEL = "nvidia.com/gpu.product"
# By kind of workload: the field with the declared number, the field with the reached number, and its name.
WORKLOAD_PROGRESS = {
    "deployments": ("replicas", "readyReplicas", "Running"),
    "jobs": ("completions", "succeeded", "Complete"),
}
KINDS = ("nodes", *WORKLOAD_PROGRESS, "pods")


def read(kubectl: Path, kubeconfig: Path) -> dict[str, list[Object]]:
    """The cluster's objects of all KINDS, by kind. Raises RehearsalError."""
    base = [kubectl, "--kubeconfig", kubeconfig, "--request-timeout=20s", "get", "--output", "json"]
    return {kind: json.loads(run([*base, kind, "--all-namespaces"], timeout=30))["items"] for kind in KINDS}


def render(found: Mapping[str, Sequence[Object]], workloads: Sequence[str]) -> str:
    """Nodes with capacity and allocation of their GPU resources, then the named workloads."""
    taken = allocated(found["pods"])
    rows = []
    for node in found["nodes"]:
        name, status = node["metadata"]["name"], node["status"]
        rows.append(f"{name}: {readiness(node)}, {status['nodeInfo']['kubeletVersion']}")
        for resource, allocatable in sorted(status.get("allocatable", {}).items()):
            if resource.startswith(GPU_PREFIX):
                capacity = status["capacity"].get(resource, "0")
                used = taken[name].get(resource, 0)
                rows.append(f"  {resource}: {capacity} capacity, {allocatable} allocatable, {used} allocated")
        product = node["metadata"]["labels"].get(PRODUCT_LABEL)
        if product:
            rows.append(f"  {PRODUCT_LABEL}: {product}")
    for kind, (wanted, reached, word) in WORKLOAD_PROGRESS.items():
        rows += [
            f"{name}: {one['status'].get(reached, 0)} of {one['spec'][wanted]} {word}"
            for one in found[kind]
            if (name := one["metadata"]["name"]) in workloads
        ]
    return "\n".join(rows)


def readiness(node: Object) -> str:
    """Ready or NotReady, as kubectl prints it."""
    conditions = {condition["type"]: condition["status"] for condition in node["status"]["conditions"]}
    return "Ready" if conditions.get("Ready") == "True" else "NotReady"


def allocated(pods: Sequence[Object]) -> Mapping[str, Mapping[str, int]]:
    """Allocated units by node and resource."""
    taken: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for pod in pods:
        for resource, units in requests(pod).items():
            if holds_resources(pod):
                taken[pod["spec"]["nodeName"]][resource] += units
    return taken


def holds_resources(pod: Object) -> bool:
    """Whether the pod holds its resources: it is bound to a node and has not ended."""
    return "nodeName" in pod["spec"] and pod["status"].get("phase") not in ("Succeeded", "Failed")


def requests(pod: Object) -> Mapping[str, int]:
    """The units of NVIDIA's resources that a pod's containers request, by resource."""
    total: dict[str, int] = defaultdict(int)
    for container in pod["spec"]["containers"]:
        for resource, units in container.get("resources", {}).get("limits", {}).items():
            if resource.startswith(GPU_PREFIX):
                total[resource] += int(units)
    return total


def placements(pods: Sequence[Object]) -> list[Placement]:
    """Every pod that holds slices, for the slice map."""
    return [
        Placement(pod["metadata"]["name"], workload(pod), pod["spec"]["nodeName"], resource, units)
        for pod in pods
        if holds_resources(pod)
        for resource, units in requests(pod).items()
    ]


def workload(pod: Object) -> str:
    """The name of a pod's workload: its label `app`, else its own name."""
    return pod["metadata"].get("labels", {}).get("app", pod["metadata"]["name"])
