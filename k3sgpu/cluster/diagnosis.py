"""Why a promise is not kept, as far as the cluster shows it, and what people usually do about it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from k3sgpu.cluster.client import Snapshot
from k3sgpu.cluster.expected_state import (
    DAEMON_SETS,
    POLICY,
    UnmetExpectation,
    condition,
    owned_by,
    pod_state,
    pods_on,
)
from k3sgpu.problem import Problem
from k3sgpu.wellknown import CONFIG_LABEL, CONFIG_MAP

_PLUGIN, _DISCOVERY = DAEMON_SETS

# What the cluster says → what helped others (issues of NVIDIA/gpu-operator, NVIDIA/k8s-device-plugin and
# k3s-io/k3s). The first that fits is told. {ns} and {node} are filled in.
_KNOWN = {
    r'no runtime for "?nvidia"? is configured': (
        "k3s looks for NVIDIA's toolkit only when it starts, and it came later; on {node}:\n"
        "sudo systemctl restart k3s-agent   # on a server: k3s"
    ),
    r"ErrImagePull|ImagePullBackOff|InvalidImageName": (
        "the node cannot pull an image: look at name service, proxy and registry from {node}\n"
        "kubectl -n {ns} get events --field-selector type=Warning"
    ),
    r'configmap "\S+" not found': (
        "the plugin waits for its sharing files: the ConfigMap is missing\n"
        "kubectl -n {ns} get configmaps; pulumi up --refresh brings it"
    ),
    r"config-manager(-init)? CrashLoopBackOff|specified config \S* does not exist": (
        "the label of {node} names a sharing file that the ConfigMap does not have\n"
        "kubectl get node {node} -L "
        + CONFIG_LABEL
        + "; kubectl -n {ns} describe configmap "
        + CONFIG_MAP
        + "\nchanged by hand? pulumi up --refresh writes both"
    ),
    r"CrashLoopBackOff|unable to load config|number of replicas must be": (
        "the plugin does not start with its sharing file:\n"
        f"kubectl -n {{ns}} logs ds/{_PLUGIN} --all-containers --prefix --tail 20"
    ),
    r"driver-validation|toolkit-validation": (
        "the operator waits for a driver: on {node} nvidia-smi must end with status 0\n"
        "python -m k3sgpu doctor hosts says what is missing there"
    ),
    r"NFDLabelsMissing|NoGPUNodes": (
        "the operator sees no NVIDIA card anywhere: node feature discovery has not labelled the nodes\n"
        "kubectl -n {ns} get pods -o wide; kubectl get nodes -L feature.node.kubernetes.io/pci-10de.present"
    ),
    r"none in the cluster, though the operator runs": (
        "somebody has deleted it; forget the operator, so that it is installed over what is there of it:\n"
        "kubectl -n {ns} delete secret -l owner=helm,name=gpu-operator\n"
        "then pulumi up --refresh"
    ),
    r"none in the cluster": (
        "NVIDIA's operator is not installed, or only in part:\n"
        "helm -n {ns} list; kubectl get clusterpolicies.nvidia.com"
    ),
    r"\bnot there\b": (
        "the operator has not made its DaemonSets; its log says why:\n"
        "kubectl -n {ns} logs deploy/gpu-operator --tail 20"
    ),
    r"no pod on this node": (
        "the operator does not count {node} among the GPU nodes, or was told to leave it alone\n"
        "kubectl get node {node} -L nvidia.com/gpu.present,nvidia.com/gpu.deploy.operands,"
        "nvidia.com/gpu.deploy.device-plugin"
    ),
}
_DEAD = "\nits machine is dead for good? Then gone: true to it in the stack file"
_STALE = (
    "the plugin still runs with another sharing file:\n"
    f"kubectl -n {{ns}} rollout restart ds/{_PLUGIN} ds/{_DISCOVERY}"
)
_CUT = (
    "on {node}: nvidia-smi -L shows how its cards are cut; its pool's mig has to say the same\n"
    f"does it? Then {_STALE}"
)
_SILENT = f"kubectl -n {{ns}} logs ds/{_PLUGIN} --all-containers --prefix --tail 20"


def explain_unmet(
    expected: Mapping[str, Any], seen: Snapshot, missing: Sequence[UnmetExpectation], events: Sequence[str]
) -> list[Problem]:
    """One finding a broken promise; labels of a node share one."""
    names = list(dict.fromkeys(one.node for one in missing))
    namespace = expected["namespace"]
    result = []
    for name in names:
        mine = [one for one in missing if one.node == name]
        labels = [one for one in mine if one.check.startswith("label ")]
        others = [one for one in mine if one not in labels]
        about = [one.found for one in missing if one.node in (name, POLICY)]
        evidence = " ".join([*about, *_about(name, seen), *events])
        result += [_finding(one, namespace, evidence, seen) for one in others]
        if labels:
            result.append(_labels(name, labels, namespace, alone=not others))
    return result


def notes(seen: Snapshot, nodes: Sequence[str], events: Sequence[str]) -> list[str]:
    """What stands beside the findings: the operator's own words, pods that are not Ready, last warnings."""
    conditions = [condition(policy, kind) for policy in seen.policies for kind in ("Ready", "Error")]
    told = [
        f"operator, {found.get('type')}={found.get('status')}: {found['message']}"
        for found in conditions
        if found.get("message")
    ]
    for node in nodes:
        told += _about(node, seen)
    told += [f"event: {event}" for event in events]
    return [line[:300] for line in told]


def _about(node: str, seen: Snapshot, most: int = 4) -> list[str]:
    """The operator's pods on a node that are neither Ready nor done."""
    return [
        f"pod {pod['metadata']['name']} on {node}: {pod_state(pod)}"
        for pod in pods_on(node, seen.pods)
        if condition(pod, "Ready").get("status") != "True"
        and (pod.get("status") or {}).get("phase") != "Succeeded"
    ][:most]


def _finding(one: UnmetExpectation, namespace: str, evidence: str, seen: Snapshot) -> Problem:
    return Problem(
        one.node, one.found, one.expected, _remedy(one, namespace, evidence, seen), check=one.check
    )


def _labels(name: str, labels: Sequence[UnmetExpectation], namespace: str, alone: bool) -> Problem:
    remedy = (
        _filled(_STALE, namespace, name)
        if alone
        else "feature discovery sets them with the resources: see above"
    )
    return Problem(
        name,
        ", ".join(f"{one.check.removeprefix('label ')}={one.found}" for one in labels),
        ", ".join(f"{one.check.removeprefix('label ')}={one.expected}" for one in labels),
        remedy,
        check="labels",
    )


def _remedy(one: UnmetExpectation, namespace: str, evidence: str, seen: Snapshot) -> str:
    if one.check == "node":
        look = f'on {one.node}: sudo systemctl status "k3s*"; sudo journalctl -n 50 -u "k3s*" --no-pager'
        return look + (_DEAD if one.found.startswith("not Ready") else "")
    if one.node != POLICY and "none in the cluster" in evidence:
        return f"see {POLICY}: without one the operator makes nothing on a node"
    for pattern, advice in _KNOWN.items():
        if re.search(pattern, evidence):
            return _filled(advice, namespace, one.node)
    if one.node == POLICY:
        return "kubectl describe clusterpolicy"
    if one.check.startswith("DaemonSet "):
        owned = [pod for pod in pods_on(one.node, seen.pods) if owned_by(one.check.split()[1], pod)]
        what = f"pod {owned[0]['metadata']['name']}" if owned else one.check.replace("DaemonSet", "ds")
        return f"kubectl -n {namespace} describe {what}"
    if "/mig-" in one.check:
        return _filled(_CUT, namespace, one.node)
    return _filled(_SILENT if one.found == "0" else _STALE, namespace, one.node)


def _filled(advice: str, namespace: str, node: str) -> str:
    return advice.format(ns=namespace, node=node)
