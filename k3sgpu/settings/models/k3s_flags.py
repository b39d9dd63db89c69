"""The keys of k3s's config.yaml, as of k3s v1.36 (docs.k3s.io/cli/server and docs.k3s.io/cli/agent).

k3s ignores an unknown key: it starts, and only its journal mentions the key.
"""

from collections.abc import Mapping

NODE_KEYS = frozenset(
    """
    airgap-extra-registry alsologtostderr container-runtime-endpoint debug default-runtime
    disable-apiserver-lb disable-default-registry-endpoint docker enable-pprof flannel-cni-conf flannel-conf
    flannel-iface image-credential-provider-bin-dir image-credential-provider-config image-service-endpoint
    kube-proxy-arg kubelet-arg lb-server-port log node-external-dns node-external-ip node-internal-dns node-ip
    node-label node-name node-taint nonroot-devices pause-image prefer-bundled-bin private-registry
    protect-kernel-defaults resolv-conf rootless selinux server snapshotter token token-file v vmodule
    vpn-auth vpn-auth-file with-node-id
    """.split()
)
"""Keys that servers and agents read."""

SERVER_KEYS = frozenset(
    """
    advertise-address advertise-port agent-token agent-token-file bind-address cluster-cidr cluster-dns
    cluster-domain cluster-init data-dir datastore-cafile datastore-certfile datastore-endpoint
    datastore-keyfile default-local-storage-path disable disable-agent disable-cloud-controller
    disable-helm-controller disable-kube-proxy disable-network-policy disable-scheduler egress-selector-mode
    embedded-registry etcd-arg etcd-disable-snapshots etcd-expose-metrics etcd-snapshot-compress
    etcd-snapshot-dir etcd-snapshot-name etcd-snapshot-retention etcd-snapshot-schedule-cron flannel-backend
    flannel-external-ip flannel-ipv6-masq helm-job-image https-listen-port kine-tls kube-apiserver-arg
    kube-cloud-controller-manager-arg kube-controller-manager-arg kube-scheduler-arg secrets-encryption
    secrets-encryption-provider service-cidr service-node-port-range servicelb-namespace supervisor-metrics
    system-default-registry tls-san tls-san-security write-kubeconfig write-kubeconfig-group
    write-kubeconfig-mode
    """.split()
)
"""Keys that only servers read."""


def key_name(key: str) -> str:
    """The key without the trailing `+` by which config.yaml appends to a list."""
    return key.removesuffix("+")


def flag_arguments(config: Mapping[str, object], key: str) -> dict[str, str]:
    """The arguments NAME=VALUE that a key such as kube-apiserver-arg holds, by name; later ones win."""
    arguments: dict[str, str] = {}
    for written in (key, f"{key}+"):
        value = config.get(written, [])
        for item in value if isinstance(value, list) else [value]:
            name, _, text = str(item).partition("=")
            arguments[name.lstrip("-")] = text
    return arguments
