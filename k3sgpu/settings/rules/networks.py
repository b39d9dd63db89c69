"""Rules of the cluster's networks: k3s.clusterCidr and k3s.serviceCidr."""

import ipaddress
from collections.abc import Iterator

from k3sgpu.problem import Problem
from k3sgpu.settings.models.nodes import Node
from k3sgpu.settings.rules.draft import Draft


def networks_are_aligned(draft: Draft) -> Iterator[Problem]:
    """Refuse a network with host bits set, such as 10.42.0.1/16."""
    for key, (text, network) in _networks(draft).items():
        if text != str(network):
            yield Problem(f"k3s.{key}", text, "a network without host bits set", f"write {key}: {network}")


def networks_do_not_overlap(draft: Draft) -> Iterator[Problem]:
    """Require disjoint networks for pods and services, with no host's address in them."""
    networks = {key: network for key, (_, network) in _networks(draft).items()}
    pods, services = networks["clusterCidr"], networks["serviceCidr"]
    if pods.overlaps(services) and draft.intact("k3s"):
        yield Problem(
            "k3s.serviceCidr" if "serviceCidr" in draft.section("k3s") else "k3s.clusterCidr",
            f"{services} for services and {pods} for pods",
            "two networks that do not overlap",
            "write for instance clusterCidr: 10.42.0.0/16 and serviceCidr: 10.43.0.0/16",
        )
    for node in _hosts(draft):
        for key, network in networks.items():
            if ipaddress.ip_address(node.node_ip) in network:
                yield Problem(
                    node.place,
                    f"the address {node.node_ip}, which lies in {network}",
                    f"an address outside of k3s.{key}",
                    f"write another k3s.{key}: a network that nothing else uses",
                )


def cluster_network_has_room(draft: Draft) -> Iterator[Problem]:
    """Require a /24 of k3s.clusterCidr for each node, the default of kube-controller-manager."""
    _, pods = _networks(draft)["clusterCidr"]
    room, hosts = 2 ** (24 - pods.prefixlen), len(_hosts(draft))
    if hosts > room:
        yield Problem(
            "k3s.clusterCidr",
            f"{pods}, which has room for {room} nodes",
            f"room for {hosts} nodes: a /24 for the pods of each",
            f"write a network of /{24 - (hosts - 1).bit_length()} or larger",
        )


def _networks(draft: Draft) -> dict[str, tuple[str, ipaddress.IPv4Network]]:
    """By key: the text and the network with its host bits cleared."""
    k3s = draft.settings.k3s
    texts = {"clusterCidr": k3s.cluster_cidr, "serviceCidr": k3s.service_cidr}
    return {key: (text, ipaddress.IPv4Network(text, strict=False)) for key, text in texts.items()}


def _hosts(draft: Draft) -> list[Node]:
    """The nodes with an address: those of an existing cluster have none."""
    return [node for node in draft.settings.nodes if node.node_ip]
