"""The limit of pods on a node (max-pods), and how many of them belong to k3s and to the operator."""

from k3sgpu.settings import Node, Settings

KUBELET_MAX_PODS = 110
"""The kubelet's default of max-pods (pkg/kubelet/apis/config/v1beta1/defaults.go); k3s does not change it."""


def max_pods(settings: Settings, node: Node) -> int | None:
    """The kubelet's limit on this node; None on a Node of an existing cluster, where it is not known."""
    if settings.kubeconfig:
        return None
    text = node.kubelet_args.get("max-pods", str(KUBELET_MAX_PODS))
    return int(text) if text.isascii() and text.isdigit() else KUBELET_MAX_PODS


def system_pods(settings: Settings, node: Node) -> int:
    """How many pods of k3s and of the operator run on this node for certain: those of their DaemonSets.

    k3s: a load balancer for Traefik. Operator: node feature discovery's worker; on nodes with cards the
    device plugin, feature discovery, the validator, the exporter, and what the settings ask for (assets/ and
    deployments/gpu-operator/values.yaml of NVIDIA/gpu-operator). Its other pods end, and no longer count.
    """
    disabled = {"traefik", "servicelb"} & set(settings.k3s.disable)
    balanced = not settings.kubeconfig and not disabled and not node.taints
    pods = int(balanced)
    if not settings.gpu_operator.enabled:
        return pods
    operator = settings.gpu_operator
    pods += _is_on(settings, "nfd")
    if node.gpu:
        parts = [operator.driver == "operator", operator.toolkit == "operator"]
        parts += [settings.sharing.profiles[node.gpu.profile].mps is not None]
        pods += 3 + _is_on(settings, "dcgmExporter") + sum(parts)
    return pods


def floating_pods(settings: Settings) -> int:
    """How many further pods of k3s and of the operator run for certain, on any nodes.

    k3s: coredns, local-path-provisioner, metrics-server, traefik. Operator: its own Deployment, and the
    master and the garbage collector of node feature discovery.
    """
    packaged = {"coredns", "local-storage", "metrics-server", "traefik"} - set(settings.k3s.disable)
    pods = 0 if settings.kubeconfig else len(packaged)
    return pods + (1 + 2 * _is_on(settings, "nfd") if settings.gpu_operator.enabled else 0)


def _is_on(settings: Settings, part: str) -> bool:
    """Whether the chart installs a part that it installs by default."""
    values = settings.gpu_operator.values.get(part)
    return not isinstance(values, dict) or values.get("enabled", True) is not False
