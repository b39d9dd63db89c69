"""k3s's configuration file of a node, as plain values."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NotRequired

import yaml
from typing_extensions import ReadOnly, TypedDict

from k3sgpu.wellknown import API_PORT

if TYPE_CHECKING:
    from k3sgpu.settings import Node, Settings

CONTROLLER_ARGUMENTS = "kube-controller-manager-arg"
QUOTA_SYNC = "resource-quota-sync-period=5s"
"""For teams: how often Kubernetes counts again what quotas have used; 5 minutes by default.

When pods end and begin at the same moment, a quota's count can be too low until then, and admits too many
pods (kubernetes/kubernetes#123434), or too high, and refuses pods that are within it.
"""
AGENT_TOKEN_FILE = "/etc/rancher/k3s/agent-token"


class HostConfig(TypedDict):
    """What of a host its node's configuration has. `name` is its key in the stack file."""

    name: ReadOnly[str]
    address: ReadOnly[str]
    """The address for SSH, and of the API in the kubeconfig."""
    node_ip: ReadOnly[str]
    """The address for the other nodes."""
    external_ip: ReadOnly[NotRequired[str | None]]
    labels: ReadOnly[Mapping[str, str]]
    """Of its Node. Other labels of the Node stay."""
    taints: ReadOnly[Sequence[str]]
    """Of its Node, as key=value:Effect or key:Effect. Other taints of the Node stay."""
    kubelet_args: ReadOnly[Sequence[str]]
    """As name=value."""
    flannel_iface: ReadOnly[NotRequired[str | None]]
    """The network interface for the pods' packets. Without one k3s takes the default route's."""


class ClusterConfig(TypedDict):
    """What all nodes have in common."""

    registration_address: ReadOnly[NotRequired[str | None]]
    """The address of several servers, for agents and the kubeconfig. A single one has its own addresses."""
    disable: ReadOnly[Sequence[str]]
    """Packaged components of k3s that are not installed, such as traefik."""
    tls_san: ReadOnly[Sequence[str]]
    config: ReadOnly[Mapping[str, object]]
    """Further keys of k3s's config.yaml, for all nodes."""
    server_config: ReadOnly[Mapping[str, object]]
    """Further keys that only a server understands."""


def host_config(node: "Node") -> HostConfig:
    """The values of a host of the stack file."""
    return {
        "name": node.name,
        "address": node.address,
        "node_ip": node.node_ip,
        "external_ip": node.external_ip,
        "labels": node.labels,
        "taints": node.taints,
        "flannel_iface": node.flannel_iface,
        "kubelet_args": [f"{name}={value}" for name, value in sorted(node.kubelet_args.items())],
    }


def cluster_config(settings: "Settings") -> ClusterConfig:
    """The values of the section `k3s`."""
    k3s = settings.k3s
    return {
        "registration_address": k3s.registration_address,
        "disable": k3s.disable,
        "tls_san": k3s.tls_san,
        "config": k3s.node_config,
        "server_config": _with_quota_sync(k3s.server_config) if settings.teams else k3s.server_config,
    }


def _with_quota_sync(config: Mapping[str, object]) -> dict[str, object]:
    """The keys with QUOTA_SYNC before the arguments of the stack file, of which the last counts."""
    own = config.get(CONTROLLER_ARGUMENTS, [])
    return {**config, CONTROLLER_ARGUMENTS: [QUOTA_SYNC, *(own if isinstance(own, list) else [own])]}


def config_text(config: Mapping[str, object]) -> str:
    """The text of a config.yaml."""
    return yaml.safe_dump(dict(config), sort_keys=True)


def server_config_file(host: HostConfig, args: ClusterConfig) -> dict[str, object]:
    """The server's /etc/rancher/k3s/config.yaml, without secrets."""
    return {
        **args["config"],
        **args["server_config"],
        **_identity(host),
        "agent-token-file": AGENT_TOKEN_FILE,
        "tls-san": list(dict.fromkeys([*_addresses(host, args), *args["tls_san"]])),
        "disable": list(args["disable"]),
        "write-kubeconfig-mode": "0600",
    }


def agent_config_file(host: HostConfig, args: ClusterConfig, server_ip: str) -> dict[str, object]:
    """An agent's /etc/rancher/k3s/config.yaml, without secrets. `server_ip`: of the initial server."""
    return {
        **args["config"],
        **_identity(host),
        "server": f"https://{args.get('registration_address') or server_ip}:{API_PORT}",
        "token-file": AGENT_TOKEN_FILE,
    }


def _identity(host: HostConfig) -> dict[str, object]:
    external, interface = host.get("external_ip"), host.get("flannel_iface")
    return {
        "node-name": host["name"],
        "node-ip": host["node_ip"],
        **({"node-external-ip": external} if external else {}),
        **({"flannel-iface": interface} if interface else {}),
        **({"kubelet-arg": list(host["kubelet_args"])} if host["kubelet_args"] else {}),
        **_at_registration(host),
    }


def _at_registration(host: HostConfig) -> dict[str, object]:
    """Labels and taints that k3s sets when it registers the Node, so that taints apply before any pod is
    scheduled. Later changes are label-nodes.sh's.

    A kubelet may not set labels of Kubernetes' own domains.
    """
    labels = [
        f"{key}={value}"
        for key, value in sorted(host["labels"].items())
        if not key.partition("/")[0].endswith(("kubernetes.io", "k8s.io"))
    ]
    taints = list(host["taints"])
    return {**({"node-label": labels} if labels else {}), **({"node-taint": taints} if taints else {})}


def _addresses(host: HostConfig, args: ClusterConfig) -> list[str]:
    """The addresses under which this server's API is used."""
    own = (host["address"], host["node_ip"], host.get("external_ip"))
    return [address for address in (*own, args.get("registration_address")) if address]
