"""The rules for a cluster: what was promised against what its API shows.

ClusterPolicy's `ready` alone proves nothing: it is said before any GPU node is found, and goes on being
said while the device plugin is replaced. So a promise counts as kept when the node itself shows it and
the two DaemonSets behind it run in their newest form there.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from k3sgpu.cluster.client import Snapshot

# Their names are fixed in the operator's manifests (NVIDIA/gpu-operator assets/).
DAEMON_SETS = ("nvidia-device-plugin-daemonset", "gpu-feature-discovery")
MPS_DAEMON_SET = "nvidia-device-plugin-mps-control-daemon"
# What the device plugin calls cards and partitions; other names under nvidia.com/ are other programs'.
GPU_RESOURCE = re.compile(r"nvidia\.com/(gpu|mig-.+)(\.shared)?")
POLICY = "ClusterPolicy"


@dataclass(frozen=True)
class UnmetExpectation:
    """A promise that does not hold (yet): where, which, what was last seen, what is wanted."""

    node: str
    check: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.node} {self.check} found {self.found}, want {self.expected}"


def unmet_expectations(expected: Mapping[str, Any], seen: Snapshot) -> list[UnmetExpectation]:
    """Every promise that does not hold in `seen`, nodes in the promise's order, the operator first."""
    found = list(_policy(seen)) if has_gpus(expected) else []
    for told in expected["nodes"]:
        found += _node(told, seen)
    return found


def has_gpus(expected: Mapping[str, Any]) -> bool:
    """Some node is promised to offer something; without that the operator is nobody's business here."""
    return any(_offers(node) for node in expected["nodes"])


def _offers(told: Mapping[str, Any]) -> bool:
    return any(told["resources"].values())


def _policy(seen: Snapshot) -> Iterator[UnmetExpectation]:
    active = [policy for policy in seen.policies if _status(policy).get("state") != "ignored"]
    if not active:
        beside = ", though the operator runs" if _operator_runs(seen) else ""
        yield UnmetExpectation(POLICY, "status", f"none in the cluster{beside}", "one that is ready")
        return
    state = _status(active[0]).get("state") or "not set"
    ready = condition(active[0], "Ready")
    said = f"{state}, Ready={ready.get('status', 'not set')} ({ready.get('reason', 'no reason')})"
    # Other reasons of a true Ready (NoGPUNodes, NFDLabelsMissing) mean that nothing was rolled out.
    if state != "ready" or ready.get("status") != "True" or ready.get("reason") != "Reconciled":
        yield UnmetExpectation(POLICY, "status", said, "ready, Ready=True (Reconciled)")


def _operator_runs(seen: Snapshot) -> bool:
    """Its chart calls its own pod so, and none of those that it makes."""
    component = "app.kubernetes.io/component"
    return any(pod["metadata"].get("labels", {}).get(component) == "gpu-operator" for pod in seen.pods)


def _node(told: Mapping[str, Any], seen: Snapshot) -> Iterator[UnmetExpectation]:
    name = told["name"]
    if not (node := seen.nodes.get(name)):
        there = ", ".join(list(seen.nodes)[:10]) or "no node"
        yield UnmetExpectation(name, "node", f"not in the cluster (there: {there})", "Ready")
        return
    if told.get("maintenance"):
        return
    ready = condition(node, "Ready")
    if ready.get("status") != "True":
        why = ready.get("message") or ready.get("reason") or "no condition"
        yield UnmetExpectation(name, "node", f"not Ready: {why}", "Ready")
        return  # nor are its pods, and nobody keeps what it offers up to date
    allocatable = _status(node).get("allocatable", {})
    for resource, wanted in sorted(told["resources"].items()):
        shown = allocatable.get(resource)
        if str(shown or 0) != str(wanted):
            yield UnmetExpectation(name, resource, str(shown or 0), str(wanted))
    for resource, shown in sorted(allocatable.items()) if _offers(told) else ():
        if resource not in told["resources"] and GPU_RESOURCE.fullmatch(resource) and str(shown) != "0":
            yield UnmetExpectation(name, resource, str(shown), "0, the cards go by another name")
    labels = node.get("metadata", {}).get("labels", {})
    for label, wanted in sorted(told["labels"].items()):
        if labels.get(label) != wanted:
            yield UnmetExpectation(name, f"label {label}", labels.get(label, "not set"), wanted)
    if _offers(told):
        mps = told["labels"].get("nvidia.com/mps.capable") == "true"
        yield from _rolled_out(name, (*DAEMON_SETS, MPS_DAEMON_SET) if mps else DAEMON_SETS, seen)


def _rolled_out(node: str, names: Sequence[str], seen: Snapshot) -> Iterator[UnmetExpectation]:
    for name in names:
        check = f"DaemonSet {name}"
        if not (daemon_set := seen.daemon_sets.get(name)):
            yield UnmetExpectation(node, check, "not there", "its pod Ready")
            continue
        pods = [pod for pod in pods_on(node, seen.pods) if owned_by(name, pod)]
        if not pods:
            yield UnmetExpectation(node, check, "no pod on this node", "its pod Ready")
        elif states := [state for pod in pods if (state := _behind(daemon_set, pod))]:
            yield UnmetExpectation(node, check, "; ".join(states), "its newest pod Ready, no other")


def _behind(daemon_set: Mapping[str, Any], pod: Mapping[str, Any]) -> str:
    """Why this pod is not what the DaemonSet wants by now; empty when it is."""
    meta = daemon_set["metadata"]
    if meta.get("generation", 0) > _status(daemon_set).get("observedGeneration", 0):
        return "a change that has not begun to roll out"
    newest = meta.get("annotations", {}).get("deprecated.daemonset.template.generation")
    mine = pod["metadata"].get("labels", {}).get("pod-template-generation")
    if newest and mine and newest != mine:
        return "a pod of the form before the last change"
    if pod["metadata"].get("deletionTimestamp"):
        return "a pod that is leaving"
    return "" if condition(pod, "Ready").get("status") == "True" else pod_state(pod)


def pods_on(node: str, pods: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [pod for pod in pods if pod.get("spec", {}).get("nodeName") == node]


def owned_by(name: str, pod: Mapping[str, Any]) -> bool:
    return any(owner.get("name") == name for owner in pod["metadata"].get("ownerReferences", []))


def pod_state(pod: Mapping[str, Any]) -> str:
    """What a pod is doing, in the words kubectl uses where there are any."""
    status = _status(pod)
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or []:
            state = container.get("state", {})
            ended = state.get("terminated") or {}
            about = state.get("waiting") or (ended if ended.get("exitCode") else None)
            if about and about.get("reason") not in (None, "PodInitializing"):
                # What a container said when it ended, where its pod lets it say something.
                last = (container.get("lastState") or {}).get("terminated") or {}
                said = [about["reason"], *(one["message"] for one in (about, last) if one.get("message"))]
                return f"{container['name']} {': '.join(said)}"
    initial = status.get("initContainerStatuses") or []
    running = [container["name"] for container in initial if "running" in container.get("state", {})]
    return f"{status.get('phase', 'Unknown')}, " + (f"still in {running[0]}" if running else "not Ready")


def condition(thing: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """The condition of that type in the object's status, empty when there is none."""
    conditions = _status(thing).get("conditions") or []
    return next((found for found in conditions if found.get("type") == kind), {})


def _status(thing: Mapping[str, Any]) -> Mapping[str, Any]:
    return thing.get("status") or {}
