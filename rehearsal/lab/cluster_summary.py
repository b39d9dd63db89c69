"""What `make up` ends with: what the article ends with, read from the cluster that now runs."""

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
# By kind of workload: how many pods are wanted, how many have come so far, and how far that is.
PROGRESS = {
    "deployments": ("replicas", "readyReplicas", "Running"),
    "jobs": ("completions", "succeeded", "Complete"),
}
KINDS = ("nodes", *PROGRESS, "pods")


def read(kubectl: Path, kubeconfig: Path) -> dict[str, list[Object]]:
    """By kind, each of KINDS: what the cluster has of it. Raises RehearsalError."""
    base = [kubectl, "--kubeconfig", kubeconfig, "--request-timeout=20s", "get", "--output", "json"]
    return {kind: json.loads(run([*base, kind, "--all-namespaces"], timeout=30))["items"] for kind in KINDS}


def summary(found: Mapping[str, Sequence[Object]], workloads: Sequence[str]) -> str:
    """Nodes, what their cards offer, the workloads called `workloads`, and what is taken."""
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
    for kind, (wanted, reached, word) in PROGRESS.items():
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
    """By node and resource: the units that its pods hold."""
    taken: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for pod in pods:
        for resource, units in requests(pod).items():
            if on_node(pod):
                taken[pod["spec"]["nodeName"]][resource] += units
    return taken


def on_node(pod: Object) -> bool:
    """Whether the pod holds what it asked for: it has a node, and has not ended."""
    return "nodeName" in pod["spec"] and pod["status"].get("phase") not in ("Succeeded", "Failed")


def requests(pod: Object) -> Mapping[str, int]:
    """By resource: what all containers of a pod ask for of NVIDIA's."""
    total: dict[str, int] = defaultdict(int)
    for container in pod["spec"]["containers"]:
        for resource, units in container.get("resources", {}).get("limits", {}).items():
            if resource.startswith(GPU_PREFIX):
                total[resource] += int(units)
    return total


def placements(pods: Sequence[Object]) -> list[Placement]:
    """Who sits where, for the slice map: every pod that holds slices."""
    return [
        Placement(pod["metadata"]["name"], workload(pod), pod["spec"]["nodeName"], resource, units)
        for pod in pods
        if on_node(pod)
        for resource, units in requests(pod).items()
    ]


def workload(pod: Object) -> str:
    """What a pod is called after: its label `app`, else itself."""
    return pod["metadata"].get("labels", {}).get("app", pod["metadata"]["name"])
