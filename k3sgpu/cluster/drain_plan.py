"""Which nodes must be free of GPU pods before their configuration changes, and which pods those are."""

from collections.abc import Mapping, Sequence

from k3sgpu.cluster.comparison import GPU_RESOURCE_PATTERN
from k3sgpu.cluster.objects import KubernetesObject, has_ended, labels_of
from k3sgpu.handoff.expected_state import ExpectedState
from k3sgpu.wellknown import CONFIG_LABEL, MIG_STRATEGY_LABEL, MPS_CAPABLE_LABEL

DRAINED_ANNOTATION = "k3s-gpu-sharing/vacated"
"""The annotation of a node that this program has cordoned. Its value is the time of the cordon."""


def nodes_to_drain(expected: ExpectedState, nodes: Mapping[str, KubernetesObject]) -> list[str]:
    """Returns the names of the nodes whose GPUs must be free before their configuration changes.

    Those are the nodes whose new configuration starts, stops or changes MPS, or changes how MIG partitions
    are named. A node that has no configuration yet is not drained: no pod shares its GPUs.
    """
    found = []
    for node in expected["nodes"]:
        current, wanted = labels_of(nodes.get(node["name"], {})), node["labels"]
        if current.get(CONFIG_LABEL) in (None, wanted.get(CONFIG_LABEL)):
            continue
        if _mps_and_mig(current) != _mps_and_mig(wanted) or wanted.get(MPS_CAPABLE_LABEL) == "true":
            found.append(node["name"])
    return found


def _mps_and_mig(labels: Mapping[str, str]) -> tuple[bool, str | None]:
    return labels.get(MPS_CAPABLE_LABEL) == "true", labels.get(MIG_STRATEGY_LABEL)


def pods_holding_gpus(nodes: Sequence[str], pods: Sequence[KubernetesObject]) -> list[KubernetesObject]:
    """Returns those of `pods` that hold a GPU, or a slice of one, on these nodes."""
    return [
        pod
        for pod in pods
        if pod["spec"].get("nodeName") in nodes
        and not has_ended(pod)
        and any(GPU_RESOURCE_PATTERN.fullmatch(name) for name in _limits(pod))
    ]


def _limits(pod: KubernetesObject) -> set[str]:
    """The resources for which a container of the pod has a limit."""
    containers = [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]
    return {name for one in containers for name in (one.get("resources") or {}).get("limits") or {}}


def why_not_evictable(pod: KubernetesObject) -> str | None:
    """Returns why the pod must not be evicted, or None.

    Such a pod would not be created again, or only on this node.
    """
    owners = [owner for owner in pod["metadata"].get("ownerReferences") or [] if owner.get("controller")]
    if not owners:
        return "no controller would make it again: delete it yourself"
    if owners[0]["kind"] == "DaemonSet":
        name = owners[0]["name"]
        return f"DaemonSet {name} would make it again here: keep DaemonSet {name} off this node"
    return None


def pod_line(pod: KubernetesObject, state: str) -> str:
    """Returns a line for the user: the node, the pod, and its state."""
    metadata = pod["metadata"]
    return f"{pod['spec']['nodeName']}: pod {metadata['namespace']}/{metadata['name']}: {state}"


def drained_nodes(nodes: Mapping[str, KubernetesObject]) -> dict[str, str]:
    """Returns, by node, the time when this program cordoned it."""
    annotations = {name: node["metadata"].get("annotations") or {} for name, node in sorted(nodes.items())}
    return {
        name: found[DRAINED_ANNOTATION] for name, found in annotations.items() if DRAINED_ANNOTATION in found
    }


def drained_text(nodes: Mapping[str, KubernetesObject]) -> str:
    """Returns a line for each drained node: it changes whenever a drain has cordoned a node."""
    return "\n".join(f"{name}: cordoned since {since}" for name, since in drained_nodes(nodes).items())
