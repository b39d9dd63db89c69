"""A cluster's nodes as its API shows them, and what runs there outside the stack. Objects in, values out."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from k3sgpu.capacity.scheduling import Taint
from k3sgpu.settings import Settings


@dataclass(frozen=True)
class NodeUsage:
    """A node of a cluster; `used` is what pods outside the stack ask for there."""

    labels: Mapping[str, str] = field(default_factory=dict)
    taints: frozenset[Taint] = frozenset()
    unschedulable: bool = False
    allocatable: Mapping[str, int] = field(default_factory=dict)
    used: Mapping[str, int] = field(default_factory=dict)


def node_usage(
    settings: Settings, nodes: Iterable[Mapping[str, Any]], pods: Iterable[Mapping[str, Any]]
) -> dict[str, NodeUsage]:
    """By name, the nodes; of resources only extended ones, those with a domain."""
    used: dict[str, Counter[str]] = {}
    for pod in pods:
        node = pod.get("spec", {}).get("nodeName")
        ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        if node and not ended and not _ours(settings, pod):
            used.setdefault(node, Counter()).update(_asked(pod))
    return {name: _node(node, used.get(name, Counter())) for node in nodes if (name := _name(node))}


def _node(node: Mapping[str, Any], used: Mapping[str, int]) -> NodeUsage:
    spec = node.get("spec", {})
    return NodeUsage(
        labels=node["metadata"].get("labels") or {},
        taints=frozenset(
            Taint(taint["key"], taint.get("value", ""), taint["effect"]) for taint in spec.get("taints") or []
        ),
        unschedulable=bool(spec.get("unschedulable")),
        allocatable=_extended(node.get("status", {}).get("allocatable") or {}),
        used=dict(used),
    )


def _ours(settings: Settings, pod: Mapping[str, Any]) -> bool:
    """A pod of one of the stack's Jobs, or of its Deployments: their ReplicaSet is called like them, and a
    hash."""
    metadata = pod["metadata"]
    for owner in metadata.get("ownerReferences") or []:
        name, of_kind = owner.get("name", ""), "Job"
        if owner.get("kind") == "ReplicaSet":
            name, of_kind = name.rpartition("-")[0], "Deployment"
        elif owner.get("kind") != "Job":
            continue
        workload = settings.workloads.get(name)
        if workload and workload.kind == of_kind and workload.namespace == metadata.get("namespace"):
            return True
    return False


def _asked(pod: Mapping[str, Any]) -> dict[str, int]:
    """What the scheduler counts: all that run together, or one init container if it asks for more."""
    spec = pod["spec"]
    total: Counter[str] = Counter()
    first = spec.get("initContainers") or []
    sidecars = [container for container in first if container.get("restartPolicy") == "Always"]
    for container in [*(spec.get("containers") or []), *sidecars]:
        total.update(_requests(container))
    for container in first:
        for name, count in _requests(container).items():
            total[name] = max(total[name], count)
    return dict(total)


def _requests(container: Mapping[str, Any]) -> dict[str, int]:
    return _extended(container.get("resources", {}).get("requests") or {})


def _extended(quantities: Mapping[str, Any]) -> dict[str, int]:
    """Extended resources are whole numbers; the API may write 2000 as 2k."""
    steps = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
    found = {}
    for name, text in quantities.items():
        number = re.fullmatch(r"(\d+)([kMG]?)", str(text))
        if "/" in name and number:
            found[name] = int(number[1]) * steps[number[2]]
    return found


def _name(thing: Mapping[str, Any]) -> str:
    return thing["metadata"]["name"]
