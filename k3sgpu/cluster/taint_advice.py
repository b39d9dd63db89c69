"""What to do about taints that keep the operator's pods off a node."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from k3sgpu.cluster.client import Snapshot
from k3sgpu.cluster.comparison import DAEMON_SETS
from k3sgpu.cluster.objects import KubernetesObject, is_owned_by, pods_on_node
from k3sgpu.settings import Taint
from k3sgpu.settings.operator_tolerations import ON_GPU_NODES, missing, tolerations_of, with_tolerations

_NODE_CONTROLLER = "node.kubernetes.io/"
"""The prefix of taints that show a node's condition; the DaemonSet controller lets its pods tolerate them."""
_WORKER_SUFFIX = "node-feature-discovery-worker"


def taint_advice(name: str, snapshot: Snapshot) -> str:
    """Returns the remedy for taints that keep the operator's pods off a node; "" when there are none."""
    node = snapshot.nodes.get(name)
    repelled = dict(_repelled(node, snapshot)) if node else {}
    taints = sorted({taint for _, repelling in repelled.values() for taint in repelling})
    if not taints:
        return ""
    values: dict[str, Any] = {}
    for section, (tolerations, repelling) in repelled.items():
        values = with_tolerations(values, section, [*tolerations], repelling)
    return (
        f"the operator's pods do not tolerate a taint of {name}: {', '.join(one.text for one in taints)}\n"
        f"remove it: kubectl taint node {name} {' '.join(f'{one.key}:{one.effect}-' for one in taints)}\n"
        f"or let them tolerate it: gpuOperator: {{values: {json.dumps(values)}}}"
    )


def _repelled(
    node: KubernetesObject, snapshot: Snapshot
) -> Iterator[tuple[tuple[str, ...], tuple[list[dict[str, Any]], list[Taint]]]]:
    """By section of the chart's values: the tolerations of its pods, and the taints that keep them away."""
    taints = tuple(
        Taint(one["key"], one.get("value") or "", one.get("effect") or "").text
        for one in node.get("spec", {}).get("taints") or []
        if not one["key"].startswith(_NODE_CONTROLLER)
    )
    for section in ON_GPU_NODES:
        name = _daemon_set(section, snapshot)
        here = pods_on_node(snapshot.pods, node["metadata"]["name"])
        if any(is_owned_by(pod, name) for pod in here):
            continue
        tolerations = _tolerations(section, snapshot)
        if repelling := missing(tolerations, taints):
            yield section, (tolerations, repelling)


def _daemon_set(section: tuple[str, ...], snapshot: Snapshot) -> str:
    if section == ("daemonsets",):
        return DAEMON_SETS[0]
    return next((name for name in snapshot.daemon_sets if name.endswith(_WORKER_SUFFIX)), "")


def _tolerations(section: tuple[str, ...], snapshot: Snapshot) -> list[dict[str, Any]]:
    """The tolerations of the DaemonSet, else those of the ClusterPolicy, else the chart's."""
    daemon_set = snapshot.daemon_sets.get(_daemon_set(section, snapshot))
    if daemon_set:
        return list(_at(daemon_set, "spec", "template", "spec").get("tolerations") or [])
    policy = snapshot.policies[0] if snapshot.policies else {}
    return tolerations_of({"daemonsets": _at(policy, "spec", "daemonsets")}, section)


def _at(item: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        item = item.get(key) or {}
    return item
