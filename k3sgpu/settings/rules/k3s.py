"""Rules about what k3s is told: networks, snapshots, proxy, and the secrets that belong to them."""

import ipaddress
from collections.abc import Callable, Iterator

from k3sgpu.problem import Problem
from k3sgpu.settings.models.k3s_files import proxy_user
from k3sgpu.settings.rules.draft import Draft


def networks_are_apart(draft: Draft) -> Iterator[Problem]:
    """Pods, services and machines each have addresses of their own, and the pods of every node have 256."""
    k3s, settings = draft.settings.k3s, draft.settings
    pods, services = (
        ipaddress.ip_network(text, strict=False) for text in (k3s.cluster_cidr, k3s.service_cidr)
    )
    for key, text, network in (
        ("clusterCidr", k3s.cluster_cidr, pods),
        ("serviceCidr", k3s.service_cidr, services),
    ):
        if text != str(network):
            yield Problem(
                f"k3s.{key}",
                text,
                "a network, with no bit of a single address set",
                f"write {key}: {network}",
            )
    if pods.overlaps(services) and draft.intact("k3s"):
        yield Problem(
            "k3s.serviceCidr" if "serviceCidr" in draft.section("k3s") else "k3s.clusterCidr",
            f"{services} for services and {pods} for pods",
            "two networks that do not overlap",
            "write for instance clusterCidr: 10.42.0.0/16 and serviceCidr: 10.43.0.0/16",
        )
    machines = [node for node in settings.nodes if node.node_ip]  # those of a given cluster have no address
    for node in machines:
        for key, network in (("clusterCidr", pods), ("serviceCidr", services)):
            if ipaddress.ip_address(node.node_ip) in network:
                yield Problem(
                    node.place,
                    f"the address {node.node_ip}, which lies in {network}",
                    f"an address outside of k3s.{key}",
                    f"write another k3s.{key}: one that nothing else in your network uses",
                )
    room = 2 ** (24 - pods.prefixlen)
    if len(machines) > room:
        yield Problem(
            "k3s.clusterCidr",
            f"{pods}, which has room for {room} nodes",
            f"room for {len(machines)} nodes: a /24 for the pods of each",
            f"write a network of /{24 - (len(machines) - 1).bit_length()} or larger",
        )


def snapshots_are_etcds(draft: Draft) -> Iterator[Problem]:
    """One server has k3s's default database, of which k3s takes no snapshots by itself."""
    servers = [node for node in draft.settings.nodes if node.role == "server"]
    if draft.settings.k3s.snapshots and len(servers) == 1 and draft.intact("pools"):
        yield Problem(
            "k3s.snapshots",
            "snapshots, with one server",
            "three servers or five: snapshots are etcd's, and a single server has another database",
            "remove k3s.snapshots; docs/guides/operations.md says how a single server's database is copied",
        )


def secrets_have_a_use(draft: Draft) -> Iterator[Problem]:
    """A secret that nothing reads was meant for something."""
    k3s, secrets = draft.settings.k3s, draft.settings.secrets
    if not draft.intact("k3s"):
        return
    proxies = [url for url in (k3s.proxy.http, k3s.proxy.https) if url] if k3s.proxy else []
    if "proxyPassword" in secrets and not any(map(proxy_user, proxies)):
        yield Problem(
            "k3s.proxy",
            "no proxy with a login name, and yet the secret proxyPassword",
            "http://USER@HOST:PORT, for which the password is",
            "write the login name into k3s.proxy, or: pulumi config rm proxyPassword",
        )
    if any(map(proxy_user, proxies)) and "proxyPassword" not in secrets:
        yield Problem(
            "k3s.proxy",
            "a login name, and no secret proxyPassword",
            "both or none",
            "pulumi config set --secret proxyPassword",
        )
    keys = {"s3AccessKey", "s3SecretKey"}
    store = k3s.snapshots and k3s.snapshots.s3
    if keys & secrets and not store:
        yield Problem(
            "k3s.snapshots.s3",
            f"nothing, and yet the secret {sorted(keys & secrets)[0]}",
            "the bucket that these keys open",
            f"write k3s.snapshots.s3, or: pulumi config rm {sorted(keys & secrets)[0]}",
        )
    elif len(keys & secrets) == 1:
        (missing,) = keys - secrets
        yield Problem(
            missing,
            "nothing: the secret is missing",
            "s3AccessKey and s3SecretKey, or neither where the machines themselves may use the bucket",
            f"pulumi config set --secret {missing}",
        )


def one_way_for_the_release(draft: Draft) -> Iterator[Problem]:
    """What this computer brings is looked for where it puts it, and nowhere else."""
    for key in ("mirror", "installScriptUrl"):
        if draft.settings.k3s.air_gap and draft.section("k3s").get(key):
            yield Problem(
                f"k3s.{key}",
                f"{draft.section('k3s')[key]}, beside airGap: {draft.settings.k3s.air_gap}",
                "one of them: airGap brings the whole release from this computer",
                f"remove {key}, or airGap",
            )


K3S_RULES: tuple[Callable[[Draft], Iterator[Problem]], ...] = (
    networks_are_apart,
    snapshots_are_etcds,
    secrets_have_a_use,
    one_way_for_the_release,
)
