"""NetworkPolicies: a team's pods are reached by their own team only, and do not reach the hosts."""

import re
from typing import Any

from k3sgpu.settings import Settings
from k3sgpu.teams.manifest import Manifest, manifest

METADATA_SERVICE = "169.254.169.254/32"
"""Where machines of a cloud find their credentials."""
DNS = {
    "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
    "ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")],
}


def network_policies(team: str, settings: Settings) -> tuple[Manifest, ...]:
    """The policies of a team's namespace. They hold where the network enforces them, as k3s's does."""
    own: dict[str, Any] = {"podSelector": {}}
    outside = {"ipBlock": {"cidr": "0.0.0.0/0", "except": _closed_networks(settings)}}
    return (
        manifest(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            "ingress-from-team",
            team,
            spec={"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [own]}]},
        ),
        manifest(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            "egress-not-to-hosts",
            team,
            spec={
                "podSelector": {},
                "policyTypes": ["Egress"],
                "egress": [{"to": [own]}, DNS, {"to": [outside]}],
            },
        ),
    )


def _closed_networks(settings: Settings) -> list[str]:
    """The hosts' addresses; the pods' network, in which every host has an address, too; cloud metadata."""
    nodes = (*settings.nodes, *settings.lost)
    addresses = {
        address for node in nodes for address in (node.address, node.node_ip, node.external_ip) if address
    }
    registration = settings.k3s.registration_address or ""
    if re.fullmatch(r"[0-9.]+", registration):
        addresses.add(registration)
    pods = [] if settings.kubeconfig else [settings.k3s.cluster_cidr]
    return sorted({f"{address}/32" for address in addresses} | {*pods, METADATA_SERVICE})
