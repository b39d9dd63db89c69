"""What each node will offer once its cards are shared, and the files that make it so."""

import hashlib
from dataclasses import dataclass

import yaml

from settings import Node, Profile, Settings

GPU = "nvidia.com/gpu"
NO_SHARING = "none"
HOSTNAME = "kubernetes.io/hostname"  # the kubelet's label


@dataclass(frozen=True)
class NodeOffer:
    """What the scheduler will see of a node.

    `cards` are physical, `memory_mib` is MiB of one card, `replicas` slices of each card (1: not shared),
    `resources` what will be allocatable, `labels` those the program sets and kubernetes.io/hostname.
    """

    name: str
    pool: str
    product: str | None
    cards: int
    memory_mib: int | None
    profile: str
    replicas: int
    resources: dict[str, int]
    labels: dict[str, str]

    @property
    def set_labels(self) -> dict[str, str]:
        """The labels that the program itself sets: which sharing file, which accelerator."""
        return {key: value for key, value in self.labels.items() if key != HOSTNAME}

    @property
    def discovered(self) -> dict[str, str]:
        """Labels NVIDIA's feature discovery will set (internal/lm of k8s-device-plugin, seen on an H200).

        Not gpu.memory: cards of one product differ in it by some MiB.
        """
        if not self.product:
            return {}
        shared = self.replicas > 1
        suffix = "-SHARED" if shared and self.resources.get(GPU) else ""
        return {
            "nvidia.com/gpu.product": self.product + suffix,
            "nvidia.com/gpu.count": str(self.cards),
            "nvidia.com/gpu.replicas": str(self.replicas),
            "nvidia.com/gpu.sharing-strategy": "time-slicing" if shared else "none",
        }

    @property
    def all_labels(self) -> dict[str, str]:
        """Every label of the node that follows from the settings."""
        return {"kubernetes.io/os": "linux", **self.labels, **self.discovered}

    @property
    def mib_per_slice(self) -> int | None:
        """MiB left to each slice when all slices of a card take the same. Nothing enforces it."""
        return self.memory_mib // self.replicas if self.memory_mib else None


def offers(settings: Settings) -> tuple[NodeOffer, ...]:
    """The offer of every node, by name."""
    return tuple(_offer(node, settings) for node in settings.nodes)


def _offer(node: Node, settings: Settings) -> NodeOffer:
    labels = {HOSTNAME: node.name}
    if not node.gpu:
        return NodeOffer(node.name, node.pool, None, 0, None, NO_SHARING, 1, {}, labels)
    gpu, profile = node.gpu, settings.sharing.profiles[node.gpu.profile]
    labels["accelerator"] = gpu.product
    labels["nvidia.com/device-plugin.config"] = config_key(gpu.profile, device_plugin_config(profile))
    resources, replicas = {GPU: gpu.count}, 1
    if slicing := profile.time_slicing:
        replicas = next(item.replicas for item in slicing.resources if item.name == GPU)
        resources[GPU] = 0  # a renamed resource leaves its old name behind, with nothing in it
        resources[slicing.slice_name(GPU)] = gpu.count * replicas
    return NodeOffer(
        node.name, node.pool, gpu.product, gpu.count, gpu.memory_mib, gpu.profile, replicas, resources, labels
    )


def device_plugin_config(profile: Profile) -> str:
    """The file of NVIDIA's device plugin for one profile. Profiles that mean the same give the same text."""
    document: dict[str, object] = {"version": "v1"}
    if slicing := profile.time_slicing:
        time_slicing: dict[str, object] = {}
        if slicing.rename_by_default:
            time_slicing["renameByDefault"] = True
        if slicing.fail_requests_greater_than_one:
            time_slicing["failRequestsGreaterThanOne"] = True
        time_slicing["resources"] = [
            {"name": item.name, "replicas": item.replicas} for item in slicing.resources
        ]
        document["sharing"] = {"timeSlicing": time_slicing}
    return yaml.safe_dump(document, sort_keys=False, default_flow_style=False)


def config_key(name: str, text: str) -> str:
    """A profile's key in the plugin's ConfigMap: "<name>-<hash8>", and "none" for none.

    A changed text is a changed key and so a changed node label: all that the plugin's config-manager watches.
    """
    return name if name == NO_SHARING else f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def config_data(settings: Settings) -> dict[str, str]:
    """The data of the plugin's ConfigMap: every profile under its key, in order of the keys."""
    texts = {name: device_plugin_config(profile) for name, profile in settings.sharing.profiles.items()}
    return dict(sorted((config_key(name, text), text) for name, text in texts.items()))
