"""What each node will offer once its cards are shared, and the files that make it so."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import yaml

from k3sgpu.settings import (
    NO_SHARING,
    Gpu,
    Node,
    Profile,
    Settings,
    mig_resource,
    partition_memory_mib,
)
from k3sgpu.wellknown import ACCELERATOR_LABEL, CONFIG_LABEL, GPU_RESOURCE, HOSTNAME_LABEL, POOL_LABEL

SharingStrategy = Literal["time-slicing", "mps"]
"""How feature discovery spells the two ways to share."""


@dataclass(frozen=True)
class ResourceOffer:
    """One resource of a node: `devices` cards or MIG partitions, each on offer `replicas` times as `name`.

    `resource` is its name without sharing. `memory_mib` is of one device; of a partition the part of its
    nominal memory that is left for certain.
    """

    resource: str
    name: str
    devices: int
    replicas: int
    memory_mib: int
    partition: str | None = None

    @property
    def count(self) -> int:
        """What will be allocatable."""
        return self.devices * self.replicas

    @property
    def mib_per_slice(self) -> int:
        """MiB for each slice when all slices of a device take alike. Of the two ways only MPS sees to it."""
        return self.memory_mib // self.replicas

    def labels(self, product: str, strategy: SharingStrategy) -> dict[str, str]:
        """What feature discovery says of it."""
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
    """What the scheduler will see of a node.

    `cards` are physical, `memory_mib` is MiB of one card, `shares` what they are on offer as, `way` how what
    is shared is shared, `labels` those the program sets and kubernetes.io/hostname. Nobody counts on a node
    in `maintenance`.
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

    @property
    def resources(self) -> dict[str, int]:
        """What will be allocatable. A renamed resource leaves its old name behind, with nothing in it."""
        return {
            **dict.fromkeys((share.resource for share in self.resource_offers), 0),
            **{share.name: share.count for share in self.resource_offers},
        }

    @property
    def replicas(self) -> int:
        """The largest number of slices of a card or partition (1: nothing is shared)."""
        return max((share.replicas for share in self.resource_offers), default=1)

    @property
    def program_labels(self) -> dict[str, str]:
        """The labels that the program itself sets: which sharing file, which accelerator, which pool."""
        return {key: value for key, value in self.labels.items() if key != HOSTNAME_LABEL}

    @property
    def discovered_labels(self) -> dict[str, str]:
        """Labels NVIDIA's feature discovery will set (internal/lm of k8s-device-plugin, seen on an H200).

        Not gpu.memory: cards of one product differ in it by some MiB.
        """
        if not self.product:
            return {}
        labels = {
            # Cards that are cut up count as well; a share with the name of whole cards says it better.
            f"{GPU_RESOURCE}.product": self.product,
            f"{GPU_RESOURCE}.count": str(self.cards),
            f"{GPU_RESOURCE}.replicas": "0",
            f"{GPU_RESOURCE}.sharing-strategy": "none",
            "nvidia.com/mps.capable": "true" if self.strategy == "mps" else "false",
        }
        if self.mig_strategy:
            labels["nvidia.com/mig.strategy"] = self.mig_strategy
        for share in self.resource_offers:
            labels |= share.labels(self.product, self.strategy)
        return labels

    @property
    def all_labels(self) -> dict[str, str]:
        """Every label of the node that follows from the settings."""
        return {"kubernetes.io/os": "linux", **self.labels, **self.discovered_labels}

    @property
    def effective(self) -> "NodeOffer":
        """What of it plans may count on: in maintenance, nothing."""
        return replace(self, resource_offers=()) if self.maintenance else self

    def resource_offer(self, resource: str) -> ResourceOffer | None:
        """The share that is on offer under this name."""
        return next((share for share in self.resource_offers if share.name == resource), None)

    def with_replicas(self, resource: str, replicas: int) -> "NodeOffer":
        """The same node with another number of slices of one resource."""
        shares = (
            replace(one, replicas=replicas) if one.name == resource else one for one in self.resource_offers
        )
        return replace(self, resource_offers=tuple(shares))


def offers(settings: Settings) -> tuple[NodeOffer, ...]:
    """The offer of every node, by name."""
    keys = {
        name: config_key(name, device_plugin_config(profile))
        for name, profile in settings.sharing.profiles.items()
    }
    return tuple(_offer(node, settings, keys) for node in settings.nodes)


def _pool_label(node: Node, settings: Settings) -> dict[str, str]:
    named = any(workload.pool == node.pool for workload in settings.workloads.values())
    return {POOL_LABEL: node.pool} if named else {}


def _offer(node: Node, settings: Settings, keys: Mapping[str, str]) -> NodeOffer:
    if not node.gpu or not settings.gpu_operator.enabled:
        return NodeOffer(node.name, node.pool, {HOSTNAME_LABEL: node.name}, maintenance=node.maintenance)
    gpu, profile = node.gpu, settings.sharing.profiles[node.gpu.profile]
    return NodeOffer(
        name=node.name,
        pool=node.pool,
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
        mig_strategy=profile.mig_strategy,
        strategy="mps" if profile.mps else "time-slicing",
        maintenance=node.maintenance,
        resource_offers=tuple(
            _share(resource, number, gpu, profile) for resource, number in profile.devices(gpu.mig).items()
        ),
    )


def _share(resource: str, number: int, gpu: Gpu, profile: Profile) -> ResourceOffer:
    replicas = profile.shared.replicas_of(resource) if profile.shared else 1
    kinds = [
        kind for kind in gpu.mig if profile.mig_strategy and resource in (GPU_RESOURCE, mig_resource(kind))
    ]
    return ResourceOffer(
        resource=resource,
        name=profile.shared.slice_name(resource) if profile.shared and replicas > 1 else resource,
        devices=gpu.count * number,
        replicas=replicas,
        memory_mib=partition_memory_mib(kinds[0]) if kinds else gpu.memory_mib,
        partition=kinds[0] if kinds else None,
    )


def device_plugin_config(profile: Profile) -> str:
    """The file of NVIDIA's device plugin for one profile. Profiles that mean the same give the same text."""
    document: dict[str, object] = {"version": "v1"}
    if profile.mig_strategy:
        document["flags"] = {"migStrategy": profile.mig_strategy}
    if shared := profile.shared:
        options: dict[str, object] = {}
        if shared.rename_by_default:
            options["renameByDefault"] = True
        if shared.fail_requests_greater_than_one:
            options["failRequestsGreaterThanOne"] = True
        options["resources"] = [{"name": item.name, "replicas": item.replicas} for item in shared.resources]
        document["sharing"] = {profile.strategy_key: options}
    return yaml.safe_dump(document, sort_keys=False, default_flow_style=False)


def config_key(name: str, text: str) -> str:
    """A profile's key in the plugin's ConfigMap: "<name>-<hash8>", and "none" for none.

    A changed text is a changed key and so a changed node label: all that the plugin's config-manager watches.
    """
    return name if name == NO_SHARING else f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def config_map_data(settings: Settings) -> dict[str, str]:
    """The data of the plugin's ConfigMap: every profile under its key, in order of the keys."""
    texts = {name: device_plugin_config(profile) for name, profile in settings.sharing.profiles.items()}
    return dict(sorted((config_key(name, text), text) for name, text in texts.items()))
