"""Rules of the cluster: made of machines (k3s) or there already (kubeconfig), and which pools go with it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from k3sgpu.problem import Problem
from k3sgpu.settings.model_paths import fields
from k3sgpu.settings.models.machines import Pool
from k3sgpu.settings.rules.draft import Draft

CLUSTER_SECRET = "clusterKubeconfig"
OF_MACHINES = ("role", "hosts", "user", "port", "private_key_file", "taints")
"""Keys of a pool that say something of machines, which a cluster that is there keeps to itself."""


def one_cluster(draft: Draft) -> Iterator[Problem]:
    """Machines become a cluster, or a cluster is there."""
    k3s, kubeconfig = "k3s" in draft.raw, "kubeconfig" in draft.raw
    if not k3s and not kubeconfig:
        yield Problem(
            "k3s",
            "nothing: the key is missing, and so is kubeconfig",
            "which k3s the machines get, or the kubeconfig of a cluster that is there already",
            "add `k3s: {version: v1.36.2+k3s1}`, or `kubeconfig: ~/.kube/config`",
        )
    if k3s and kubeconfig:
        yield Problem(
            "kubeconfig",
            "kubeconfig beside k3s",
            "one of the two: a cluster that is there already, or machines that become one",
            "remove k3s to work on the cluster that is there, or kubeconfig to install k3s",
        )
    for section in ("ssh", "doctor"):
        if kubeconfig and not k3s and draft.raw.get(section):  # the engine gives an empty one
            yield Problem(
                section,
                f"{section} beside kubeconfig",
                "nothing about machines: those of a cluster that is there already are never touched",
                f"remove {section}",
            )


def kubeconfig_once(draft: Draft) -> Iterator[Problem]:
    """One way to the kubeconfig: a file, or a secret."""
    given, secret = draft.settings.kubeconfig, CLUSTER_SECRET in draft.settings.secrets
    if given is None:
        if secret and "kubeconfig" not in draft.raw:
            yield Problem(
                "kubeconfig",
                f"nothing: the key is missing, and the secret {CLUSTER_SECRET} is set",
                "kubeconfig instead of k3s, which says that the cluster is there already",
                f"add `kubeconfig: {{}}`, or run: pulumi config rm {CLUSTER_SECRET}",
            )
    elif given.file and secret:
        yield Problem(
            "kubeconfig.file",
            f"a file and the secret {CLUSTER_SECRET}",
            "one way to the kubeconfig",
            f"remove file, or run: pulumi config rm {CLUSTER_SECRET}",
        )
    elif not given.file and not secret and draft.intact("kubeconfig"):
        yield Problem(
            "kubeconfig.file",
            "nothing: the key is missing",
            f"the path of its kubeconfig, or the secret {CLUSTER_SECRET}",
            f"add `file: ~/.kube/config`, or run: pulumi config set --secret {CLUSTER_SECRET} < FILE",
        )


def pools_go_with_the_cluster(draft: Draft) -> Iterator[Problem]:
    """Pools of machines have role and hosts, pools of Nodes that are there have their names."""
    there = "kubeconfig" in draft.raw and "k3s" not in draft.raw
    for name, pool in draft.settings.pools.items():
        raw = _raw(draft, name)
        yield from _of_nodes(name, pool, raw) if there else _of_hosts(name, pool, raw)


def _of_hosts(name: str, pool: Pool, raw: Mapping[str, Any]) -> Iterator[Problem]:
    if "nodes" in raw and pool.nodes:
        yield Problem(
            f"pools.{name}.nodes",
            "nodes, and k3s is installed by this stack file",
            "role and hosts: names alone do for a cluster that is there already, with kubeconfig",
            "write hosts: {gpu-1: 10.0.0.21} instead",
        )
    else:
        yield from _missing(name, raw, "role", "hosts")


def _of_nodes(name: str, pool: Pool, raw: Mapping[str, Any]) -> Iterator[Problem]:
    if "hosts" not in raw:
        yield from _missing(name, raw, "nodes")
    for field in OF_MACHINES:
        key = Pool.model_fields[field].alias or field
        if key in raw:
            instead = f"nodes: [{', '.join(pool.hosts)}] instead" if key == "hosts" and pool.hosts else ""
            yield Problem(
                f"pools.{name}.{key}",
                f"{key} beside kubeconfig",
                "the names of Nodes, and their cards: no machine of a cluster that is there is touched",
                f"write {instead}" if instead else f"remove {key}",
            )


def _missing(name: str, raw: Mapping[str, Any], *keys: str) -> Iterator[Problem]:
    for key in keys:
        if key not in raw:
            field = fields(Pool)[key]
            yield Problem(
                f"pools.{name}.{key}",
                "nothing: the key is missing",
                field.description or "",
                f"add `{key}: {field.examples[0] if field.examples else ''}`",
            )


def _raw(draft: Draft, pool: str) -> Mapping[str, Any]:
    pools = draft.raw["pools"]
    return next(value for key, value in pools.items() if str(key) == pool)


def nodes_once(draft: Draft) -> Iterator[Problem]:
    """A Node is of one kind."""
    firsts: dict[str, str] = {}
    for pool_name, pool in draft.settings.pools.items():
        for index, name in enumerate(pool.nodes):
            place = f"pools.{pool_name}.nodes[{index}]"
            first = firsts.setdefault(name, place)
            if first != place:
                yield Problem(
                    place,
                    f"the node {name}, which {first} has already",
                    "each node once",
                    "remove one of the two",
                )


CLUSTER_RULES: tuple[Callable[[Draft], Iterator[Problem]], ...] = (
    one_cluster,
    kubeconfig_once,
    pools_go_with_the_cluster,
    nodes_once,
)
