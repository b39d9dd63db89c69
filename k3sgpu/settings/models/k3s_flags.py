"""The keys of k3s's config.yaml and the types of their values, as of k3s v1.36.

Sources: pkg/cli/cmds (agent.go, server.go, log.go) of github.com/k3s-io/k3s, docs.k3s.io/cli/server and
docs.k3s.io/cli/agent. k3s ignores an unknown key: it starts, and only its journal mentions the key. A value
that its flag does not read ends k3s.
"""

from collections.abc import Mapping

from k3sgpu.settings.models.flag_values import types_by_name

_NODE_KEYS = {
    "flag": """
        alsologtostderr debug disable-apiserver-lb disable-default-registry-endpoint docker enable-pprof
        nonroot-devices prefer-bundled-bin protect-kernel-defaults rootless selinux with-node-id
    """,
    "number": "v",
    "port": "lb-server-port",
    "path": """
        flannel-cni-conf flannel-conf image-credential-provider-bin-dir image-credential-provider-config log
        private-registry resolv-conf token-file vpn-auth-file
    """,
    "socket": "container-runtime-endpoint image-service-endpoint",
    "interface": "flannel-iface",
    "runtime": "default-runtime",
    "image": "pause-image",
    "snapshotter": "snapshotter",
    "registries": "airgap-extra-registry",
    "names": "node-external-dns node-internal-dns",
    "arguments": "kube-proxy-arg kubelet-arg",
    "text": "node-external-ip node-ip node-label node-name node-taint server token vmodule vpn-auth",
}
_SERVER_KEYS = {
    "flag": """
        cluster-init disable-agent disable-cloud-controller disable-helm-controller disable-kube-proxy
        disable-network-policy disable-scheduler embedded-registry etcd-disable-snapshots etcd-expose-metrics
        etcd-snapshot-compress flannel-external-ip flannel-ipv6-masq kine-tls secrets-encryption
        supervisor-metrics tls-san-security
    """,
    "number": "etcd-snapshot-retention",
    "port": "advertise-port https-listen-port",
    "path": """
        agent-token-file data-dir datastore-cafile datastore-certfile datastore-keyfile
        default-local-storage-path etcd-snapshot-dir write-kubeconfig
    """,
    "address": "advertise-address bind-address",
    "addresses": "cluster-dns",
    "domain": "cluster-domain",
    "namespace": "servicelb-namespace",
    "port range": "service-node-port-range",
    "image": "helm-job-image",
    "registry": "system-default-registry",
    "egress mode": "egress-selector-mode",
    "encryption provider": "secrets-encryption-provider",
    "datastore": "datastore-endpoint",
    "word": "etcd-snapshot-name write-kubeconfig-group",
    "arguments": """
        etcd-arg kube-apiserver-arg kube-cloud-controller-manager-arg kube-controller-manager-arg
        kube-scheduler-arg
    """,
    "text": """
        agent-token cluster-cidr disable etcd-snapshot-schedule-cron flannel-backend service-cidr tls-san
        write-kubeconfig-mode
    """,
}


NODE_KEYS = frozenset(types_by_name(_NODE_KEYS))
"""Keys that servers and agents read."""
SERVER_KEYS = frozenset(types_by_name(_SERVER_KEYS))
"""Keys that only servers read."""
KEY_TYPES: Mapping[str, str] = {**types_by_name(_NODE_KEYS), **types_by_name(_SERVER_KEYS)}
"""The type of each key's value, a name of `k3s_config_values.CONFIG_TYPES`."""


def key_name(key: str) -> str:
    """The key without the trailing `+` by which config.yaml appends to a list."""
    return key.removesuffix("+")


def items(config: Mapping[str, object], key: str) -> list[object]:
    """The items of a key that may hold a list, with those that are appended."""
    values = [config[name] for name in (key, f"{key}+") if name in config]
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


def flag_arguments(config: Mapping[str, object], key: str) -> dict[str, str]:
    """The arguments NAME=VALUE that a key such as kube-apiserver-arg holds, by name; later ones win."""
    parts = (str(item).partition("=") for item in items(config, key))
    return {name.lstrip("-"): text for name, _, text in parts}
