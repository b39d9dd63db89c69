"""The nodes of a running cluster, and what pods outside the stack request there. Pure: API objects in."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from k3sgpu.settings import Settings, Taint


@dataclass(frozen=True)
class NodeUsage:
    """A node of a running cluster; `used` is what pods outside the stack request there, by resource.

    `max_pods` is how many pods the node takes, None if it does not say; `pods` is how many outside the stack
    it has.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    taints: frozenset[Taint] = frozenset()
    unschedulable: bool = False
    allocatable: Mapping[str, int] = field(default_factory=dict)
    used: Mapping[str, int] = field(default_factory=dict)
    max_pods: int | None = None
    pods: int = 0


def node_usage(
    settings: Settings, nodes: Iterable[Mapping[str, Any]], pods: Iterable[Mapping[str, Any]]
) -> dict[str, NodeUsage]:
    """The usage of each node, by name, from the API's Nodes and Pods. Only extended resources count."""
    used: dict[str, Counter[str]] = {}
    numbers: Counter[str] = Counter()
    for pod in pods:
        node = pod.get("spec", {}).get("nodeName")
        finished = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        if node and not finished and not _belongs_to_stack(settings, pod):
            used.setdefault(node, Counter()).update(requested_resources(pod))
            numbers[node] += 1
    named = {node["metadata"]["name"]: node for node in nodes}
    return {name: _usage(node, used.get(name, Counter()), numbers[name]) for name, node in named.items()}


def _usage(node: Mapping[str, Any], used: Mapping[str, int], pods: int) -> NodeUsage:
    spec = node.get("spec", {})
    allocatable = node.get("status", {}).get("allocatable") or {}
    limit = whole_number(allocatable.get("pods"))
    return NodeUsage(
        labels=node["metadata"].get("labels") or {},
        taints=frozenset(
            Taint(taint["key"], taint.get("value", ""), taint["effect"]) for taint in spec.get("taints") or []
        ),
        unschedulable=bool(spec.get("unschedulable")),
        allocatable=_extended_resources(allocatable),
        used=dict(used),
        max_pods=limit,
        pods=pods,
    )


def _belongs_to_stack(settings: Settings, pod: Mapping[str, Any]) -> bool:
    """Whether the pod is a team's, or of a workload of the stack file."""
    return pod["metadata"].get("namespace") in settings.teams or workload_of(settings, pod) is not None


def workload_of(settings: Settings, pod: Mapping[str, Any]) -> str | None:
    """The workload of the stack file that owns the pod; None if none does."""
    metadata = pod["metadata"]
    for owner in metadata.get("ownerReferences") or []:
        name, kind = owner.get("name", ""), "Job"
        if owner.get("kind") == "ReplicaSet":  # <name of the Deployment>-<hash>
            name, kind = name.rpartition("-")[0], "Deployment"
        elif owner.get("kind") != "Job":
            continue
        workload = settings.workloads.get(name)
        if workload and workload.kind == kind and workload.namespace == metadata.get("namespace"):
            return name
    return None


def requested_resources(pod: Mapping[str, Any]) -> dict[str, int]:
    """What the scheduler counts of a Pod, by extended resource.

    All containers that run together, or one init container if it needs more.
    """
    spec = pod["spec"]
    total: Counter[str] = Counter()
    init_containers = spec.get("initContainers") or []
    sidecars = [container for container in init_containers if container.get("restartPolicy") == "Always"]
    for container in [*(spec.get("containers") or []), *sidecars]:
        total.update(_requests(container))
    for container in init_containers:
        for name, count in _requests(container).items():
            total[name] = max(total[name], count)
    return dict(total)


def _requests(container: Mapping[str, Any]) -> dict[str, int]:
    return _extended_resources(container.get("resources", {}).get("requests") or {})


def _extended_resources(quantities: Mapping[str, Any]) -> dict[str, int]:
    """The resources with a domain in their name."""
    found = {name: whole_number(text) for name, text in quantities.items() if "/" in name}
    return {name: number for name, number in found.items() if number is not None}


def whole_number(quantity: object) -> int | None:
    """A quantity that is a whole number; the API may write 2000 as 2k."""
    factors = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
    number = re.fullmatch(r"([0-9]{1,18})([kMG]?)", str(quantity))
    return int(number[1]) * factors[number[2]] if number else None
