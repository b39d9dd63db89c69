"""Which nodes have to be free of GPU pods, and which pods those are. Plain values in and out."""

from collections.abc import Mapping, Sequence
from typing import Any

from k3sgpu.cluster.expected_state import GPU_RESOURCE
from k3sgpu.wellknown import CONFIG_LABEL

Object = Mapping[str, Any]

MPS, MIG = "nvidia.com/mps.capable", "nvidia.com/mig.strategy"
DRAINED_ANNOTATION = "k3s-gpu-sharing/vacated"
"""Annotation of a node that this program has cordoned: since when."""
OVER = ("Succeeded", "Failed")


def nodes_to_drain(expected: Object, nodes: Mapping[str, Object]) -> list[str]:
    """Nodes that get another file, and by it begin, end or change MPS, or name partitions otherwise."""
    found = []
    for told in expected["nodes"]:
        live, wanted = _labels(nodes.get(told["name"], {})), told["labels"]
        if live.get(CONFIG_LABEL) in (None, wanted.get(CONFIG_LABEL)):
            continue
        if _way(live) != _way(wanted) or wanted.get(MPS) == "true":
            found.append(told["name"])
    return found


def _way(labels: Mapping[str, str]) -> tuple[bool, str | None]:
    return labels.get(MPS) == "true", labels.get(MIG)


def _labels(thing: Object) -> Mapping[str, str]:
    return thing.get("metadata", {}).get("labels") or {}


def pods_holding_gpus(names: Sequence[str], pods: Sequence[Object]) -> list[Object]:
    """Pods on these nodes that hold a GPU or a slice of one."""
    return [
        pod
        for pod in pods
        if pod["spec"].get("nodeName") in names
        and (pod.get("status") or {}).get("phase") not in OVER
        and any(GPU_RESOURCE.fullmatch(name) for name in _asked(pod))
    ]


def _asked(pod: Object) -> set[str]:
    containers = [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]
    return {name for one in containers for name in (one.get("resources") or {}).get("limits") or {}}


def why_not_evictable(pod: Object) -> str | None:
    """Why eviction would be wrong: the pod would not come again, or would come again here."""
    owners = [owner for owner in pod["metadata"].get("ownerReferences") or [] if owner.get("controller")]
    if not owners:
        return "belongs to no controller and would not come again: delete it yourself"
    if owners[0]["kind"] == "DaemonSet":
        return f"would come again here: take DaemonSet {owners[0]['name']} off this node"
    return None


def describe_pod(pod: Object, why: str) -> str:
    """A pod, where it is, and why it is there."""
    meta = pod["metadata"]
    return f"{pod['spec']['nodeName']}: pod {meta['namespace']}/{meta['name']}: {why}"


def drained_nodes(nodes: Mapping[str, Object]) -> dict[str, str]:
    """By node: since when it is out of use."""
    notes = {name: node["metadata"].get("annotations") or {} for name, node in sorted(nodes.items())}
    return {name: found[DRAINED_ANNOTATION] for name, found in notes.items() if DRAINED_ANNOTATION in found}


def drained_text(nodes: Mapping[str, Object]) -> str:
    """What the graph sees: another text whenever nodes were taken out of use, none while all are in use."""
    return "\n".join(f"{name}: out of use since {since}" for name, since in drained_nodes(nodes).items())
