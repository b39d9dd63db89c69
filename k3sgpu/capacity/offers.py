"""What each node will have allocatable once its cards are shared: resources, their numbers, and labels."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from k3sgpu.capacity.device_plugin import config_keys
from k3sgpu.capacity.pod_limits import max_pods, system_pods
from k3sgpu.settings import NO_SHARING, Gpu, Node, Profile, Settings, mig_resource, partition_memory_mib
from k3sgpu.wellknown import (
    ACCELERATOR_LABEL,
    CONFIG_LABEL,
    GPU_RESOURCE,
    HOSTNAME_LABEL,
    MIG_STRATEGY_LABEL,
    MPS_CAPABLE_LABEL,
    POOL_LABEL,
    PRODUCT_LABEL,
)

SharingStrategy = Literal["time-slicing", "mps"]
"""The two ways to share a card, as GPU Feature Discovery spells them."""


@dataclass(frozen=True)
class ResourceOffer:
    """One resource that a node offers: each of `devices` cards or MIG partitions `replicas` times.

    `resource` is the name without sharing, `name` the name that pods request. `memory_mib` is the memory of
    one device; for a partition a lower bound of its usable memory, which is less than its nominal memory.
    """

    resource: str
    name: str
    devices: int
    replicas: int
    memory_mib: int
    partition: str | None = None

    @property
    def count(self) -> int:
        """How many slices will be allocatable."""
        return self.devices * self.replicas

    @property
    def mib_per_slice(self) -> int:
        """MiB for each slice if all slices of a device use the same amount. Only MPS enforces it."""
        return self.memory_mib // self.replicas

    def discovered_labels(self, product: str, strategy: SharingStrategy) -> dict[str, str]:
        """The labels that GPU Feature Discovery sets for this resource."""
        shared = self.replicas > 1
        parts = [product, f"MIG-{self.partition.replace('+', '.')}" if self.partition else ""]
        parts.append("SHARED" if shared and self.name == self.resource else "")
        return {
            f"{self.resource}.product": "-".join(part for part in parts if part),
            f"{self.resource}.count": str(self.devices),
            f"{self.resource}.replicas": str(self.replicas),
            f"{self.resource}.sharing-strategy": strategy if shared else "none",
        }


@dataclass(frozen=True)
class NodeOffer:
    """What a node will have allocatable.

    `reserved` and the use of other pods are subtracted later, in schedulable_nodes.py.
    `cards` are physical cards of `memory_mib` MiB each; `resource_offers` is what they are offered as;
    `strategy` says how the shared ones are shared. `labels` are those that the program sets, and the
    kubelet's host name. `max_pods` is the kubelet's limit, None where it is not known; `system_pods` of them
    belong to k3s and to the operator.
    """

    name: str
    pool: str
    labels: dict[str, str]
    product: str | None = None
    cards: int = 0
    memory_mib: int | None = None
    profile: str = NO_SHARING
    mig_strategy: str | None = None
    strategy: SharingStrategy = "time-slicing"
    maintenance: bool = False
    resource_offers: tuple[ResourceOffer, ...] = ()
    max_pods: int | None = None
    system_pods: int = 0

    @property
    def resources(self) -> dict[str, int]:
        """What will be allocatable, by name. The old name of a renamed resource stays, with 0."""
        return {
            **dict.fromkeys((one.resource for one in self.resource_offers), 0),
            **{one.name: one.count for one in self.resource_offers},
        }

    @property
    def max_replicas(self) -> int:
        """The largest number of slices of a card or partition; 1 if nothing is shared."""
        return max((one.replicas for one in self.resource_offers), default=1)

    @property
    def program_labels(self) -> dict[str, str]:
        """The labels that this program sets: configuration, accelerator, and pool."""
        return {key: value for key, value in self.labels.items() if key != HOSTNAME_LABEL}

    @property
    def discovered_labels(self) -> dict[str, str]:
        """The labels that GPU Feature Discovery sets (internal/lm of k8s-device-plugin; seen on an H200).

        Without gpu.memory: it differs by some MiB between cards of one product.
        """
        if not self.product:
            return {}
        labels = {
            # For cards that are all cut into partitions; the offer of whole cards overwrites these.
            PRODUCT_LABEL: self.product,
            f"{GPU_RESOURCE}.count": str(self.cards),
            f"{GPU_RESOURCE}.replicas": "0",
            f"{GPU_RESOURCE}.sharing-strategy": "none",
            MPS_CAPABLE_LABEL: "true" if self.strategy == "mps" else "false",
        }
        if self.mig_strategy:
            labels[MIG_STRATEGY_LABEL] = self.mig_strategy
        for one in self.resource_offers:
            labels |= one.discovered_labels(self.product, self.strategy)
        return labels

    @property
    def all_labels(self) -> dict[str, str]:
        """Every label of the node that follows from the settings."""
        return {"kubernetes.io/os": "linux", **self.labels, **self.discovered_labels}

    @property
    def effective(self) -> "NodeOffer":
        """The offer that the fit counts on: without resources while the node is in maintenance."""
        return replace(self, resource_offers=()) if self.maintenance else self

    def resource_offer(self, name: str) -> ResourceOffer | None:
        """The offer of the resource that pods request under this name."""
        return next((one for one in self.resource_offers if one.name == name), None)

    def with_replicas(self, name: str, replicas: int) -> "NodeOffer":
        """The same node with another number of slices of one resource."""
        changed = (
            replace(one, replicas=replicas) if one.name == name else one for one in self.resource_offers
        )
        return replace(self, resource_offers=tuple(changed))


def offers(settings: Settings) -> tuple[NodeOffer, ...]:
    """The offer of every node, in the order of `settings.nodes`."""
    keys = config_keys(settings)
    return tuple(_node_offer(node, settings, keys) for node in settings.nodes)


def _node_offer(node: Node, settings: Settings, keys: Mapping[str, str]) -> NodeOffer:
    bare = NodeOffer(
        name=node.name,
        pool=node.pool,
        labels={HOSTNAME_LABEL: node.name},
        maintenance=node.maintenance,
        max_pods=max_pods(settings, node),
        system_pods=system_pods(settings, node),
    )
    if not node.gpu or not settings.gpu_operator.enabled:
        return bare
    gpu, profile = node.gpu, settings.sharing.profiles[node.gpu.profile]
    return replace(
        bare,
        labels={
            HOSTNAME_LABEL: node.name,
            ACCELERATOR_LABEL: gpu.product,
            CONFIG_LABEL: keys[gpu.profile],
            **_pool_label(node, settings),
        },
        product=gpu.product,
        cards=gpu.count,
        memory_mib=gpu.memory_mib,
        profile=gpu.profile,
        mig_strategy=_mig_strategy(profile, settings.gpu_operator.mig_strategy),
        strategy="mps" if profile.mps else "time-slicing",
        resource_offers=tuple(
            _resource_offer(resource, number, gpu, profile)
            for resource, number in profile.devices(gpu.mig).items()
        ),
    )


def _mig_strategy(profile: Profile, override: str | None) -> str | None:
    """The strategy in use: the profile's, or what an adopted operator has in its place."""
    strategy = profile.mig_strategy if override is None else override
    return None if strategy == "none" else strategy


def _pool_label(node: Node, settings: Settings) -> dict[str, str]:
    """The pool's label, only if a workload or a team names the pool."""
    named = any(workload.pool == node.pool for workload in settings.workloads.values()) or any(
        node.pool in team.pools for team in settings.teams.values()
    )
    return {POOL_LABEL: node.pool} if named else {}


def _resource_offer(resource: str, devices_per_card: int, gpu: Gpu, profile: Profile) -> ResourceOffer:
    shared = profile.shared
    replicas = shared.replicas_of(resource) if shared else 1
    partitions = gpu.mig if profile.mig_strategy else ()
    partition = next((kind for kind in partitions if resource in (GPU_RESOURCE, mig_resource(kind))), None)
    return ResourceOffer(
        resource=resource,
        name=shared.slice_name(resource) if shared and replicas > 1 else resource,
        devices=gpu.count * devices_per_card,
        replicas=replicas,
        memory_mib=partition_memory_mib(partition) if partition else gpu.memory_mib,
        partition=partition,
    )
