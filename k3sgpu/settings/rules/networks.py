"""Rules of the cluster's networks: k3s.clusterCidr and k3s.serviceCidr."""

import ipaddress
import re
from collections.abc import Iterator

from k3sgpu.problem import Problem
from k3sgpu.settings.models.k3s_flags import flag_arguments
from k3sgpu.settings.models.nodes import Node
from k3sgpu.settings.rules.draft import Draft

NODE_MASK = 24
"""The default prefix length of each node's network (kube-controller-manager)."""


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
    for key, network in networks.items():
        inside = [node for node in _hosts(draft) if ipaddress.ip_address(node.node_ip) in network]
        if inside:
            which = "which lies" if len(inside) == 1 else f"one of {len(inside)} that lie"
            yield Problem(
                inside[0].place,
                f"the address {inside[0].node_ip}, {which} in {network}",
                f"an address outside of k3s.{key}",
                f"write another k3s.{key}: a network that nothing else uses",
            )


def cluster_network_has_room(draft: Draft) -> Iterator[Problem]:
    """Require a part of k3s.clusterCidr for each node, by default a /24 (kube-controller-manager)."""
    _, pods = _networks(draft)["clusterCidr"]
    mask, hosts = node_mask(draft), len(_hosts(draft))
    room = 2 ** (mask - pods.prefixlen) if mask >= pods.prefixlen else 0
    if hosts > room:
        prefix = mask - (hosts - 1).bit_length()
        yield Problem(
            "k3s.clusterCidr",
            f"{pods}, which has room for {room} nodes",
            f"room for {hosts} nodes: a /{mask} for the pods of each",
            f"write a network of /{prefix} or larger",
        )


def node_mask(draft: Draft) -> int:
    """The prefix length of each node's network: kube-controller-manager's argument, or its default."""
    args = flag_arguments(draft.settings.k3s.config, "kube-controller-manager-arg")
    text = args.get("node-cidr-mask-size", args.get("node-cidr-mask-size-ipv4", ""))
    return int(text) if re.fullmatch(r"[1-9]|[12][0-9]|3[0-2]", text) else NODE_MASK


def _networks(draft: Draft) -> dict[str, tuple[str, ipaddress.IPv4Network]]:
    """By key: the text and the network with its host bits cleared."""
    k3s = draft.settings.k3s
    texts = {"clusterCidr": k3s.cluster_cidr, "serviceCidr": k3s.service_cidr}
    return {key: (text, ipaddress.IPv4Network(text, strict=False)) for key, text in texts.items()}


def _hosts(draft: Draft) -> list[Node]:
    """The nodes with an address: those of an existing cluster have none."""
    return [node for node in draft.settings.nodes if node.node_ip]
