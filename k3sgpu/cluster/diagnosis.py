"""Why the cluster is not as expected, from what it says itself, and the remedy that usually helps."""

import re
from collections.abc import Mapping, Sequence

from k3sgpu.cluster.client import Snapshot
from k3sgpu.cluster.comparison import DAEMON_SETS, POLICY, UnmetExpectation
from k3sgpu.cluster.objects import condition, is_owned_by, pod_state, pods_on_node, status_of
from k3sgpu.cluster.taint_advice import taint_advice
from k3sgpu.foreign_text import escape, escape_lines
from k3sgpu.handoff.expected_state import ExpectedState
from k3sgpu.hints import Hint, find_hint
from k3sgpu.problem import Problem
from k3sgpu.wellknown import CONFIG_LABEL, CONFIG_MAP

_PLUGIN, _DISCOVERY = DAEMON_SETS
_MAX_FOUND = 1000
"""Characters; a container's termination message has up to 4096."""
_NO_CARDS = r"NFDLabelsMissing|NoGPUNodes"

# From issues of NVIDIA/gpu-operator, NVIDIA/k8s-device-plugin and k3s-io/k3s. The first match counts.
_HINTS = (
    Hint(
        r'RuntimeHandler "?nvidia"? not supported',
        "{node} does not run its containers by k3s's own containerd, for which alone k3s sets up NVIDIA's\n"
        "runtime: remove docker: true and container-runtime-endpoint from k3s's configuration there",
    ),
    Hint(
        r"unresolvable CDI devices",
        "the list of devices on {node} (CDI, in /etc/cdi and /var/run/cdi) is gone or of another driver\n"
        "toolkit: host, on {node}: sudo nvidia-ctk cdi generate --output=/var/run/cdi/nvidia.yaml\n"
        "toolkit: operator: kubectl -n {namespace} rollout restart ds/nvidia-container-toolkit-daemonset",
    ),
    Hint(
        r"[Tt]oo many open files",
        "{node} has no inotify instance left for the device plugin; on {node}:\n"
        "echo 'fs.inotify.max_user_instances = 8192' | sudo tee /etc/sysctl.d/90-inotify.conf\n"
        "sudo sysctl --system   # the pods start again by themselves",
    ),
    Hint(
        r'no runtime for "?nvidia"? is configured',
        "k3s detects NVIDIA's toolkit only when it starts, and the toolkit was installed later; on {node}:\n"
        "sudo systemctl restart k3s-agent   # on a server: k3s",
    ),
    Hint(
        r"ErrImagePull|ImagePullBackOff|InvalidImageName",
        "the node cannot pull an image: check name service, proxy and registry from {node}\n"
        "kubectl -n {namespace} get events --field-selector type=Warning",
    ),
    Hint(
        r'configmap "\S+" not found',
        "the ConfigMap with the device plugin's configurations is missing; pulumi up --refresh creates it\n"
        "kubectl -n {namespace} get configmaps",
    ),
    Hint(
        r"config-manager(-init)? CrashLoopBackOff|specified config \S* does not exist",
        "the label of {node} names a configuration that the ConfigMap does not have\n"
        f"kubectl get node {{node}} -L {CONFIG_LABEL}; "
        f"kubectl -n {{namespace}} describe configmap {CONFIG_MAP}\n"
        "changed by hand? pulumi up --refresh writes both",
    ),
    Hint(
        r"CrashLoopBackOff|unable to load config|number of replicas must be",
        "the device plugin does not start with its configuration:\n"
        f"kubectl -n {{namespace}} logs ds/{_PLUGIN} --all-containers --prefix --tail 20",
    ),
    Hint(
        r"driver-validation|toolkit-validation",
        "the operator waits for a driver: on {node}, nvidia-smi must end with status 0\n"
        "python -m k3sgpu doctor hosts says what is missing there",
    ),
    Hint(
        _NO_CARDS,
        "the operator finds no NVIDIA card on any node: node feature discovery has not labelled the nodes\n"
        "kubectl -n {namespace} get pods -o wide; "
        "kubectl get nodes -L feature.node.kubernetes.io/pci-10de.present",
    ),
    Hint(
        r"none in the cluster, though the operator runs",
        "the ClusterPolicy was deleted; make Helm forget the operator, so that it is installed again:\n"
        "kubectl -n {namespace} delete secret -l owner=helm,name=gpu-operator\n"
        "then pulumi up --refresh",
    ),
    Hint(
        r"none in the cluster",
        "NVIDIA's operator is not installed, or only in part:\n"
        "helm -n {namespace} list; kubectl get clusterpolicies.nvidia.com",
    ),
    Hint(
        r"no such DaemonSet",
        "the operator has not made its DaemonSets; its log says why:\n"
        "kubectl -n {namespace} logs deploy/gpu-operator --tail 20",
    ),
    Hint(
        r"no pod on this node",
        "the operator does not count {node} among the GPU nodes, or its operands are switched off there\n"
        "kubectl get node {node} -L nvidia.com/gpu.present,nvidia.com/gpu.deploy.operands,"
        "nvidia.com/gpu.deploy.device-plugin",
    ),
)
_NODE_DOWN = 'on {node}: sudo systemctl status "k3s*"; sudo journalctl -n 50 -u "k3s*" --no-pager'
_NODE_LOST = "\nis its machine lost for good? Then set gone: true on the host in the stack file"
_OLD_CONFIGURATION = (
    "the device plugin still runs with another configuration:\n"
    f"kubectl -n {{namespace}} rollout restart ds/{_PLUGIN} ds/{_DISCOVERY}"
)
_OTHER_PARTITIONS = (
    "on {node}: nvidia-smi -L lists the partitions of its cards; mig of its pool must say the same\n"
    f"if it does, {_OLD_CONFIGURATION}"
)
_PLUGIN_LOG = f"kubectl -n {{namespace}} logs ds/{_PLUGIN} --all-containers --prefix --tail 20"


def explain_unmet(
    expected: ExpectedState,
    snapshot: Snapshot,
    unmet: Sequence[UnmetExpectation],
    events: Sequence[str],
    logs: Mapping[str, Sequence[str]],
) -> list[Problem]:
    """Returns a problem with a remedy for each unmet expectation; labels of a node share one.

    `events`: the last Warning events of the operator's namespace. `logs`: by node, the last lines of
    containers that ended with an error.
    """
    namespace = expected["namespace"]
    problems = []
    for node in dict.fromkeys(one.node for one in unmet):
        labels = [one for one in unmet if one.node == node and one.check.startswith("label ")]
        others = [one for one in unmet if one.node == node and one not in labels]
        found = [one.found for one in unmet if one.node in (node, POLICY)]
        evidence = " ".join([*found, *_pods_not_ready(node, snapshot), *events, *logs.get(node, ())])
        problems += [
            Problem(
                node,
                escape_lines(one.found, _MAX_FOUND),
                one.expected,
                _remedy(one, namespace, evidence, snapshot),
                check=one.check,
            )
            for one in others
        ]
        if labels:
            problems.append(_labels_problem(node, labels, namespace, alone=not others))
    return problems


def notes(
    snapshot: Snapshot, nodes: Sequence[str], events: Sequence[str], logs: Mapping[str, Sequence[str]]
) -> list[str]:
    """Returns the notes below the problems: the operator's conditions, pods that are not Ready, their logs,
    and Warning events."""
    conditions = [condition(policy, kind) for policy in snapshot.policies for kind in ("Ready", "Error")]
    lines = [
        f"operator, {found.get('type')}={found.get('status')}: {found['message']}"
        for found in conditions
        if found.get("message")
    ]
    for node in nodes:
        lines += _pods_not_ready(node, snapshot)
        lines += [f"log of {line}" for line in logs.get(node, ())]
    lines += [f"event: {event}" for event in events]
    return [escape(line) for line in lines]


def _pods_not_ready(node: str, snapshot: Snapshot, most: int = 4) -> list[str]:
    """The operator's pods on a node that are neither Ready nor completed."""
    return [
        f"pod {pod['metadata']['name']} on {node}: {pod_state(pod)}"
        for pod in pods_on_node(snapshot.pods, node)
        if condition(pod, "Ready").get("status") != "True" and status_of(pod).get("phase") != "Succeeded"
    ][:most]


def _labels_problem(node: str, labels: Sequence[UnmetExpectation], namespace: str, alone: bool) -> Problem:
    """The labels of a node that are not as expected; `alone` when nothing else is wrong with it."""
    remedy = "GPU feature discovery sets them together with the resources: see above"
    if alone:
        remedy = _OLD_CONFIGURATION.format(namespace=namespace)
    return Problem(
        node,
        ", ".join(f"{one.check.removeprefix('label ')}={one.found}" for one in labels),
        ", ".join(f"{one.check.removeprefix('label ')}={one.expected}" for one in labels),
        remedy,
        check="labels",
    )


def _remedy(one: UnmetExpectation, namespace: str, evidence: str, snapshot: Snapshot) -> str:
    values = {"namespace": namespace, "node": one.node}
    if one.check == "node":
        return _NODE_DOWN.format(**values) + (_NODE_LOST if one.found.startswith("not Ready") else "")
    if one.node != POLICY and "none in the cluster" in evidence:
        return f"see {POLICY}: without one the operator makes nothing on a node"
    if advice := _taint_advice(one, evidence, snapshot):
        return advice
    if hint := find_hint(_HINTS, evidence, **values):
        return hint.advice
    if one.node == POLICY:
        return "kubectl describe clusterpolicy"
    if one.check.startswith("DaemonSet "):
        return f"kubectl -n {namespace} describe {_daemon_set_or_pod(one, snapshot)}"
    if "/mig-" in one.check:
        return _OTHER_PARTITIONS.format(**values)
    return (_PLUGIN_LOG if one.found == "0" else _OLD_CONFIGURATION).format(**values)


def _taint_advice(one: UnmetExpectation, evidence: str, snapshot: Snapshot) -> str:
    """The remedy for taints that keep the operator's pods away; "" when there are none.

    Without node feature discovery's pod on any GPU node, the operator finds no card in the cluster.
    """
    if one.node != POLICY:
        return taint_advice(one.node, snapshot)
    finds_none = re.search(_NO_CARDS, evidence)
    advices = (taint_advice(node, snapshot) for node in snapshot.nodes) if finds_none else ()
    return next(filter(None, advices), "")


def _daemon_set_or_pod(one: UnmetExpectation, snapshot: Snapshot) -> str:
    """What to describe: the DaemonSet's pod on the node where there is one, else the DaemonSet."""
    name = one.check.removeprefix("DaemonSet ")
    pods = [pod for pod in pods_on_node(snapshot.pods, one.node) if is_owned_by(pod, name)]
    return f"pod {pods[0]['metadata']['name']}" if pods else f"ds {name}"
