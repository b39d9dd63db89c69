"""Rules of the nodes' labels and taints."""

from collections.abc import Iterator

from k3sgpu.problem import Problem
from k3sgpu.settings.rules.draft import Draft
from k3sgpu.wellknown import (
    ACCELERATOR_LABEL,
    CONFIG_LABEL,
    GPU_RESOURCE,
    HOSTNAME_LABEL,
    MPS_CAPABLE_LABEL,
    POOL_LABEL,
    PRODUCT_LABEL,
)

FEATURE_DISCOVERY_LABELS = (
    PRODUCT_LABEL,
    *(f"{GPU_RESOURCE}.{name}" for name in ("count", "memory", "replicas", "sharing-strategy", "present")),
    MPS_CAPABLE_LABEL,
)
WRITTEN_LABELS = {
    ACCELERATOR_LABEL: "the program, from gpu.product,",
    CONFIG_LABEL: "the program, from gpu.profile,",
    POOL_LABEL: "the program, for workloads with pool,",
    **dict.fromkeys(FEATURE_DISCOVERY_LABELS, "NVIDIA's feature discovery"),
    **dict.fromkeys((HOSTNAME_LABEL, "kubernetes.io/os", "kubernetes.io/arch"), "the kubelet"),
    "node.kubernetes.io/instance-type": "k3s",
    "node-role.kubernetes.io/control-plane": "k3s",
    "node-role.kubernetes.io/etcd": "k3s",
}
"""Labels that a stack file must not set, and what sets them."""
OWNED_DOMAINS = {
    "nvidia.com": "NVIDIA's operator or its feature discovery",
    "feature.node.kubernetes.io": "Node Feature Discovery",
    "kubernetes.io": "the kubelet",
    "beta.kubernetes.io": "the kubelet",
    POOL_LABEL.partition("/")[0]: "the program",
}
"""Domains of labels that a stack file must not set, and what sets these."""
USERS_LABELS = {"nvidia.com/gpu-driver-upgrade.skip"}
"""Labels of these domains that are meant for users (NVIDIA's documentation of driver upgrades)."""


def _writer(label: str) -> str | None:
    """What sets a label; None where only the stack file does."""
    domain, slash, _ = label.rpartition("/")
    owner = OWNED_DOMAINS.get(domain) if slash and label not in USERS_LABELS else None
    return WRITTEN_LABELS.get(label, owner)


def labels_have_one_writer(draft: Draft) -> Iterator[Problem]:
    """Refuse a label that something else sets: its value would change back and forth."""
    for pool_name, pool in draft.settings.pools.items():
        places = [(f"pools.{pool_name}", pool)]
        places += [(f"pools.{pool_name}.hosts.{name}", host) for name, host in pool.hosts.items()]
        for place, owner in places:
            for key, writer in ((key, _writer(key)) for key in owner.labels):
                if writer is None:
                    continue
                yield Problem(
                    f"{place}.labels.{key}",
                    f"the label {key}, which {writer} sets",
                    "labels that nothing else sets",
                    "remove it",
                )


def taints_do_not_conflict(draft: Draft) -> Iterator[Problem]:
    """Refuse two values of a taint with the same key and effect on one node."""
    for node in draft.settings.nodes:
        firsts: dict[str, str] = {}
        for taint in node.taints:
            pair, _, effect = taint.rpartition(":")
            first = firsts.setdefault(f"{pair.partition('=')[0]}:{effect}", taint)
            if first != taint:
                yield Problem(
                    f"{node.place}.taints",
                    f"{first} and {taint}",
                    "one value for a taint's key and effect, including the pool's taints",
                    "remove one of the two",
                )
