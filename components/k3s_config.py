"""k3s's configuration file of a node, as plain values."""

from components.k3s_args import HostArgs, K3sClusterArgs
from k3sgpu.wellknown import API_PORT

AGENT_TOKEN_FILE = "/etc/rancher/k3s/agent-token"


def server_config_file(host: HostArgs, args: K3sClusterArgs) -> dict[str, object]:
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


def agent_config_file(host: HostArgs, args: K3sClusterArgs) -> dict[str, object]:
    """An agent's /etc/rancher/k3s/config.yaml, without secrets."""
    return {
        **args["config"],
        **_identity(host),
        "server": f"https://{args.get('registration_address') or args['servers'][0]['node_ip']}:{API_PORT}",
        "token-file": AGENT_TOKEN_FILE,
    }


def _identity(host: HostArgs) -> dict[str, object]:
    external, interface = host.get("external_ip"), host.get("flannel_iface")
    return {
        "node-name": host["name"],
        "node-ip": host["node_ip"],
        **({"node-external-ip": external} if external else {}),
        **({"flannel-iface": interface} if interface else {}),
        **({"kubelet-arg": list(host["kubelet_args"])} if host["kubelet_args"] else {}),
        **_at_registration(host),
    }


def _at_registration(host: HostArgs) -> dict[str, object]:
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


def _addresses(host: HostArgs, args: K3sClusterArgs) -> list[str]:
    """The addresses under which this server's API is used."""
    own = (host["address"], host["node_ip"], host.get("external_ip"))
    return [address for address in (*own, args.get("registration_address")) if address]
