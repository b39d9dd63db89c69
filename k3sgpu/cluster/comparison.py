"""The comparison of a snapshot of the cluster with its expected state.

That the ClusterPolicy is `ready` proves nothing: the operator reports it before it has found a GPU node, and
while it replaces the device plugin. So a node meets the expected state when the node itself shows it and the
newest pods of the two DaemonSets behind it are Ready there.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from k3sgpu.cluster.client import Snapshot
from k3sgpu.cluster.objects import (
    KubernetesObject,
    condition,
    is_owned_by,
    labels_of,
    pod_state,
    pods_on_node,
    status_of,
)
from k3sgpu.foreign_text import escape
from k3sgpu.handoff.expected_state import ExpectedNode, ExpectedState
from k3sgpu.wellknown import MPS_CAPABLE_LABEL

# Their names are fixed in the operator's manifests (NVIDIA/gpu-operator assets/).
DAEMON_SETS = ("nvidia-device-plugin-daemonset", "gpu-feature-discovery")
MPS_DAEMON_SET = "nvidia-device-plugin-mps-control-daemon"
GPU_RESOURCE_PATTERN = re.compile(r"nvidia\.com/(gpu|mig-.+)(\.shared)?")
"""Resources of NVIDIA's device plugin. Other names under nvidia.com/ belong to other programs."""
POLICY = "ClusterPolicy"


@dataclass(frozen=True)
class UnmetExpectation:
    """One thing that is not (yet) as expected."""

    node: str
    """The node's name, or POLICY."""
    check: str
    """`node`, `status`, `label NAME`, `DaemonSet NAME`, or the name of a resource."""
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.node}: {self.check}: found {escape(self.found)}, expected {self.expected}"


def unmet_expectations(expected: ExpectedState, snapshot: Snapshot) -> list[UnmetExpectation]:
    """Returns everything that is not as expected: the operator first, then node by node."""
    unmet = list(_check_policy(snapshot)) if has_gpus(expected) else []
    for node in expected["nodes"]:
        unmet += _check_node(node, snapshot)
    return unmet


def has_gpus(expected: ExpectedState) -> bool:
    """Whether any node is expected to offer a GPU; where none is, the operator does not matter."""
    return any(_has_gpus(node) for node in expected["nodes"])


def _has_gpus(node: ExpectedNode) -> bool:
    return any(node["resources"].values())


def active_policies(snapshot: Snapshot) -> list[KubernetesObject]:
    """The ClusterPolicies that the operator does not ignore: it follows the oldest one."""
    return [policy for policy in snapshot.policies if status_of(policy).get("state") != "ignored"]


def operator_pods(snapshot: Snapshot) -> list[KubernetesObject]:
    """The operator's own pods. Its chart sets this label there, and on no operand."""
    component = "app.kubernetes.io/component"
    return [pod for pod in snapshot.pods if labels_of(pod).get(component) == "gpu-operator"]


def _check_policy(snapshot: Snapshot) -> Iterator[UnmetExpectation]:
    active = active_policies(snapshot)
    if not active:
        operator = ", though the operator runs" if operator_pods(snapshot) else ""
        yield UnmetExpectation(POLICY, "status", f"none in the cluster{operator}", "one that is ready")
        return
    state = status_of(active[0]).get("state") or "not set"
    ready = condition(active[0], "Ready")
    # With other reasons (NoGPUNodes, NFDLabelsMissing) Ready is True although nothing was rolled out.
    if state != "ready" or ready.get("status") != "True" or ready.get("reason") != "Reconciled":
        found = f"{state}, Ready={ready.get('status', 'not set')} ({ready.get('reason', 'no reason')})"
        yield UnmetExpectation(POLICY, "status", found, "ready, Ready=True (Reconciled)")


def _check_node(expected: ExpectedNode, snapshot: Snapshot) -> Iterator[UnmetExpectation]:
    name = expected["name"]
    if not (node := snapshot.nodes.get(name)):
        others = ", ".join(list(snapshot.nodes)[:10]) or "no node"
        yield UnmetExpectation(name, "node", f"not in the cluster (it has: {others})", "Ready")
        return
    if expected.get("maintenance"):
        return
    ready = condition(node, "Ready")
    if ready.get("status") != "True":
        why = ready.get("message") or ready.get("reason") or "no condition"
        yield UnmetExpectation(name, "node", f"not Ready: {why}", "Ready")
        return  # its pods are not Ready either, and what it offers is out of date
    yield from _check_resources(expected, status_of(node).get("allocatable", {}))
    labels = labels_of(node)
    for label, value in sorted(expected["labels"].items()):
        if labels.get(label) != value:
            yield UnmetExpectation(name, f"label {label}", labels.get(label, "not set"), value)
    if _has_gpus(expected):
        mps = expected["labels"].get(MPS_CAPABLE_LABEL) == "true"
        yield from _check_daemon_sets(name, (*DAEMON_SETS, MPS_DAEMON_SET) if mps else DAEMON_SETS, snapshot)


def _check_resources(expected: ExpectedNode, allocatable: Mapping[str, object]) -> Iterator[UnmetExpectation]:
    name, resources = expected["name"], expected["resources"]
    for resource, count in sorted(resources.items()):
        found = str(allocatable.get(resource) or 0)
        if found != str(count):
            yield UnmetExpectation(name, resource, found, str(count))
    if _has_gpus(expected):
        for resource, count in sorted(allocatable.items()):
            if resource not in resources and GPU_RESOURCE_PATTERN.fullmatch(resource) and str(count) != "0":
                yield UnmetExpectation(name, resource, str(count), "0: its GPUs go by another name")


def _check_daemon_sets(node: str, names: Sequence[str], snapshot: Snapshot) -> Iterator[UnmetExpectation]:
    for name in names:
        check = f"DaemonSet {name}"
        if not (daemon_set := snapshot.daemon_sets.get(name)):
            yield UnmetExpectation(node, check, "no such DaemonSet", "its pod Ready")
            continue
        pods = [pod for pod in pods_on_node(snapshot.pods, node) if is_owned_by(pod, name)]
        if not pods:
            yield UnmetExpectation(node, check, "no pod on this node", "its pod Ready")
        elif states := [state for pod in pods if (state := _outdated(daemon_set, pod))]:
            yield UnmetExpectation(node, check, "; ".join(states), "only its newest pod, Ready")


def _outdated(daemon_set: KubernetesObject, pod: KubernetesObject) -> str:
    """Why this pod is not the DaemonSet's newest pod in Ready state; empty when it is."""
    metadata = daemon_set["metadata"]
    if metadata.get("generation", 0) > status_of(daemon_set).get("observedGeneration", 0):
        return "a change whose rollout has not begun"
    newest = metadata.get("annotations", {}).get("deprecated.daemonset.template.generation")
    mine = labels_of(pod).get("pod-template-generation")
    if newest and mine and newest != mine:
        return "a pod from before the last change"
    if pod["metadata"].get("deletionTimestamp"):
        return "a pod that is terminating"
    return "" if condition(pod, "Ready").get("status") == "True" else pod_state(pod)
