"""Rules of the cluster's source: installed on hosts (`k3s`) or existing (`kubeconfig`), and its pools."""

from collections.abc import Iterator, Mapping
from typing import Any

from k3sgpu.problem import Problem
from k3sgpu.settings.model_paths import fields
from k3sgpu.settings.models.pools import Pool
from k3sgpu.settings.models.sections import SECRET_KEYS
from k3sgpu.settings.rules.draft import Draft

CLUSTER_SECRET = "clusterKubeconfig"
HOST_FIELDS = ("role", "hosts", "user", "port", "private_key_file", "taints", "flannel_iface", "kubelet_args")
"""Fields of a pool that configure hosts, which an existing cluster does not let this program do."""


def cluster_has_one_source(draft: Draft) -> Iterator[Problem]:
    """Require either k3s or kubeconfig, and refuse settings of hosts beside kubeconfig."""
    k3s, kubeconfig = "k3s" in draft.raw, "kubeconfig" in draft.raw
    if not k3s and not kubeconfig:
        yield Problem(
            "k3s",
            "nothing: the key is missing, and so is kubeconfig",
            "which k3s release to install, or the kubeconfig of an existing cluster",
            "add `k3s: {version: v1.36.2+k3s1}`, or `kubeconfig: ~/.kube/config`",
        )
    if k3s and kubeconfig:
        yield Problem(
            "kubeconfig",
            "kubeconfig beside k3s",
            "one of the two: k3s to install a cluster, or kubeconfig to use an existing one",
            "remove k3s to use the existing cluster, or kubeconfig to install k3s",
        )
    for section in ("ssh", "doctor"):
        if kubeconfig and not k3s and draft.raw.get(section):  # Pulumi passes an empty mapping
            yield Problem(
                section,
                f"{section} beside kubeconfig",
                "no settings of hosts: those of an existing cluster are never touched",
                f"remove {section}",
            )


def secrets_have_a_use(draft: Draft) -> Iterator[Problem]:
    """Refuse secrets of hosts and of k3s beside kubeconfig: nothing reads them."""
    if "kubeconfig" in draft.raw and "k3s" not in draft.raw:
        for secret in sorted(draft.settings.secrets & {*SECRET_KEYS} - {CLUSTER_SECRET}):
            yield Problem(
                "kubeconfig",
                f"the secret {secret} beside kubeconfig",
                "no secrets of hosts and of k3s: those of an existing cluster are never touched",
                f"run: pulumi config rm {secret}",
            )


def kubeconfig_has_one_source(draft: Draft) -> Iterator[Problem]:
    """Require exactly one source of the kubeconfig: a file or a secret."""
    kubeconfig, secret = draft.settings.kubeconfig, CLUSTER_SECRET in draft.settings.secrets
    if kubeconfig is None:
        if secret and "kubeconfig" not in draft.raw:
            yield Problem(
                "kubeconfig",
                f"nothing: the key is missing, and the secret {CLUSTER_SECRET} is set",
                "kubeconfig instead of k3s: the secret is that of an existing cluster",
                f"add `kubeconfig: {{}}`, or run: pulumi config rm {CLUSTER_SECRET}",
            )
    elif kubeconfig.file and secret:
        yield Problem(
            "kubeconfig.file",
            f"a file and the secret {CLUSTER_SECRET}",
            "one source of the kubeconfig",
            f"remove file, or run: pulumi config rm {CLUSTER_SECRET}",
        )
    elif not kubeconfig.file and not secret and draft.intact("kubeconfig"):
        yield Problem(
            "kubeconfig.file",
            "nothing: the key is missing",
            f"the path of its kubeconfig, or the secret {CLUSTER_SECRET}",
            f"add `file: ~/.kube/config`, or run: pulumi config set --secret {CLUSTER_SECRET} < FILE",
        )


def pools_match_cluster(draft: Draft) -> Iterator[Problem]:
    """Require role and hosts in pools beside k3s, and nodes in pools beside kubeconfig."""
    existing = "kubeconfig" in draft.raw and "k3s" not in draft.raw
    for name, pool in draft.settings.pools.items():
        raw = _raw(draft, name)
        yield from _check_nodes_pool(name, pool, raw) if existing else _check_hosts_pool(name, pool, raw)


def _check_hosts_pool(name: str, pool: Pool, raw: Mapping[str, Any]) -> Iterator[Problem]:
    if "nodes" in raw and pool.nodes:
        yield Problem(
            f"pools.{name}.nodes",
            "nodes, and k3s is installed by this stack file",
            "role and hosts; nodes is for an existing cluster, with kubeconfig",
            "write hosts: {gpu-1: 10.0.0.21} instead",
        )
    else:
        yield from _missing(name, raw, "role", "hosts")


def _check_nodes_pool(name: str, pool: Pool, raw: Mapping[str, Any]) -> Iterator[Problem]:
    if "hosts" not in raw:
        yield from _missing(name, raw, "nodes")
    for field in HOST_FIELDS:
        key = Pool.model_fields[field].alias or field
        if key in raw:
            instead = f"nodes: [{', '.join(pool.hosts)}] instead" if key == "hosts" and pool.hosts else ""
            yield Problem(
                f"pools.{name}.{key}",
                f"{key} beside kubeconfig",
                "the names of Nodes, and their cards: the hosts of an existing cluster are never touched",
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
