"""The section `sharing`: how cards become slices.

The limits are those of NVIDIA's device plugin (api/config/v1).
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator

from k3sgpu.gpu_products import MPS_CLIENTS
from k3sgpu.settings.models.base import Model
from k3sgpu.settings.models.grammar import Refused, Text, refusal
from k3sgpu.settings.models.names import (
    LABEL_LIMIT,
    LABEL_VALUE,
    NO_SHARING,
    LabelValue,
    Name,
    ProfileName,
    ProfileReference,
)
from k3sgpu.wellknown import GPU_RESOURCE

MIG_NAME = r"mig-[1-9][0-9]?g\.[1-9][0-9]*gb(?:[.-][a-z]+)*"
"""The resource name of a MIG partition after nvidia.com/: 1g.5gb+me is nvidia.com/mig-1g.5gb.me."""
NAME_LIMIT = 63
MOST_CARDS = 32
"""The cards of one machine that NVIDIA's driver takes (NV_MAX_DEVICES in nvlimits.h of its open modules)."""
MOST_REPLICAS = 1000
"""The plugin itself has no maximum. A process on a card takes some hundred MiB of its memory, so that even
the largest card has no room for a thousand; and the kubelet takes at most 4 MiB of names from a plugin."""
NODE_SLICES = MOST_CARDS * MOST_REPLICAS


def mig_resource(kind: str) -> str:
    """The resource name of partitions of a MIG profile under migStrategy: mixed."""
    return f"nvidia.com/mig-{kind.replace('+', '.')}"


def partition_memory_mib(kind: str) -> int:
    """The memory in MiB that a partition has on any card: 900 per nominal GB, so 4500 for 1g.5gb."""
    return int(kind.partition("g.")[2].partition("gb")[0]) * 900


def _full_name(text: str) -> str:
    """The resource name with its prefix, as the plugin completes it."""
    return text if text.startswith("nvidia.com/") else f"nvidia.com/{text}"


def _several(replicas: int) -> int:
    if replicas >= 2:
        return replicas
    raise refusal(
        'at least 2: NVIDIA\'s plugin stops with "number of replicas must be >= 2"',
        "write replicas: 2 or more; to share nothing, leave the profile empty ({})",
    )


def _time_slices(replicas: int) -> int:
    if replicas <= MOST_REPLICAS:
        return replicas
    raise refusal(
        f"at most {MOST_REPLICAS}: each slice's process takes some hundred MiB of the card's memory",
        "write replicas: 6",
    )


def _mps_clients(replicas: int) -> int:
    if replicas <= MPS_CLIENTS:
        return replicas
    raise refusal(
        f"at most {MPS_CLIENTS}: NVIDIA's MPS control daemon stops with "
        f'"maximum allowed replicas exceeded: {replicas} > {MPS_CLIENTS}"',
        f"write replicas: {MPS_CLIENTS} or fewer, or share by timeSlicing",
    )


def _always_true(flag: bool) -> bool:
    """The plugin sets it itself under MPS (config.NewConfig) and never reads it (rm.ValidateRequest)."""
    if flag:
        return flag
    raise refusal(
        "true: under MPS NVIDIA's plugin always fails a request for more than one slice",
        "remove it",
    )


SharedName = Annotated[
    str,
    Text(
        rf"(?:nvidia\.com/)?(?:gpu|{MIG_NAME})",
        NAME_LIMIT,
        f"{GPU_RESOURCE}, or a MIG partition such as nvidia.com/mig-1g.5gb "
        "(NVIDIA's plugin silently skips any other name)",
        f"write name: {GPU_RESOURCE}, or remove this entry",
    ),
    AfterValidator(_full_name),
]
WholeCard = Annotated[
    str,
    Text(
        r"(?:nvidia\.com/)?gpu",
        NAME_LIMIT,
        f"{GPU_RESOURCE} (NVIDIA's plugin silently skips any other name)",
        f"write name: {GPU_RESOURCE}, or remove this entry",
        (
            Refused(
                rf"(?:nvidia\.com/)?{MIG_NAME}",
                f"{GPU_RESOURCE}: NVIDIA's plugin stops with\n"
                '"sharing using MPS is not supported for MIG devices"',
                "remove this entry, or share partitions by timeSlicing",
            ),
        ),
    ),
    AfterValidator(_full_name),
]
ENTRIES_LIMIT = 100


class SharedResource(Model):
    """One resource and the number of slices of each of its cards or partitions."""

    name: SharedName = Field(
        description="the resource to share, nvidia.com/gpu or that of MIG partitions", examples=[GPU_RESOURCE]
    )
    replicas: Annotated[
        int,
        AfterValidator(_several),
        AfterValidator(_time_slices),
        WithJsonSchema({"type": "integer", "minimum": 2, "maximum": MOST_REPLICAS}),
    ] = Field(
        description=f"the number of slices of each card or partition, 2 to {MOST_REPLICAS}", examples=[6]
    )


class MpsResource(SharedResource):
    """Whole cards and the number of MPS clients that each serves at once."""

    name: WholeCard = Field(
        description="the resource to share, nvidia.com/gpu or that of MIG partitions", examples=[GPU_RESOURCE]
    )
    replicas: Annotated[
        int,
        AfterValidator(_several),
        AfterValidator(_mps_clients),
        WithJsonSchema({"type": "integer", "minimum": 2, "maximum": MPS_CLIENTS}),
    ] = Field(description=f"the number of slices of each card, from 2 to {MPS_CLIENTS}", examples=[4])


class SharedResources(Model):
    """The keys that time-slicing and MPS have in common (the plugin's ReplicatedResources)."""

    rename_by_default: bool = Field(
        default=False,
        description="true: the slices' resource is nvidia.com/gpu.shared instead of nvidia.com/gpu",
        examples=["false"],
    )
    fail_requests_greater_than_one: bool = Field(
        default=False,
        description="true: the kubelet fails a pod that requests more than one slice",
        examples=["false"],
    )
    resources: Annotated[
        tuple[SharedResource, ...], Field(strict=False, min_length=1, max_length=ENTRIES_LIMIT)
    ] = Field(
        description='resources to share, at least one (else the plugin stops with "no resources specified")',
        examples=["[{name: nvidia.com/gpu, replicas: 6}]"],
    )

    def slice_name(self, resource: str) -> str:
        """The name of the slices of `resource` in a node's allocatable resources."""
        return f"{resource}.shared" if self.rename_by_default else resource

    def replicas_of(self, resource: str) -> int:
        """The number of slices of each card or partition; 1 for a resource that is not shared."""
        return next((item.replicas for item in self.resources if item.name == resource), 1)


class TimeSlicing(SharedResources):
    """Slices take turns on the card. Its memory is not divided, and one slice can crash another."""


class Mps(SharedResources):
    """Slices run at the same time through one MPS server, each with an equal part of memory and compute."""

    fail_requests_greater_than_one: Annotated[
        bool, AfterValidator(_always_true), WithJsonSchema({"const": True})
    ] = Field(default=True, description="true, the only value under MPS", examples=["true"])
    resources: Annotated[
        tuple[MpsResource, ...], Field(strict=False, min_length=1, max_length=ENTRIES_LIMIT)
    ] = Field(
        description='resources to share, at least one (else the plugin stops with "no resources specified")',
        examples=["[{name: nvidia.com/gpu, replicas: 4}]"],
    )


def _without_none(strategy: str) -> str | None:
    """No strategy instead of "none", the plugin's default: profiles that mean the same are the same."""
    return None if strategy == "none" else strategy


MigStrategy = Annotated[Literal["none", "single", "mixed"], AfterValidator(_without_none)]


class Profile(Model):
    """How the cards of a node are shared; `{}` shares nothing."""

    mig_strategy: MigStrategy | None = Field(
        default=None,
        description="the resource name of MIG partitions: single (all are alike, nvidia.com/gpu) or mixed "
        "(nvidia.com/mig-<profile>); default, and none: cards are not partitioned",
        examples=["mixed"],
    )
    time_slicing: TimeSlicing | None = Field(
        default=None,
        description="share cards by time-slicing; not with mps",
        examples=["{resources: [{name: nvidia.com/gpu, replicas: 6}]}"],
    )
    mps: Mps | None = Field(
        default=None,
        description="share cards by MPS; not with timeSlicing",
        examples=["{resources: [{name: nvidia.com/gpu, replicas: 4}]}"],
    )

    def devices(self, mig: Mapping[str, int]) -> dict[str, int]:
        """By resource, the number of devices that a card with these partitions is, before sharing."""
        if not mig or not self.mig_strategy:
            return {GPU_RESOURCE: 1}
        if self.mig_strategy == "single":
            return {GPU_RESOURCE: sum(mig.values())}
        return {mig_resource(kind): number for kind, number in mig.items()}

    @property
    def shared(self) -> SharedResources | None:
        """The shared resources, by MPS or by time-slicing; None where nothing is shared."""
        return self.mps or self.time_slicing

    @property
    def strategy_key(self) -> Literal["mps", "timeSlicing"]:
        """The key of `shared` in the stack file and in the device plugin's configuration."""
        return "mps" if self.mps else "timeSlicing"


ConfigKey = Annotated[
    str,
    Text(
        LABEL_VALUE,
        LABEL_LIMIT,
        "a key of the ConfigMap that can be the value of the node label nvidia.com/device-plugin.config:\n"
        f"at most {LABEL_LIMIT} letters, digits, '.', '_' and '-', with a letter or digit at both ends",
        "write the key as kubectl get configmap shows it",
    ),
]


class AdoptedSharing(Model):
    """Names of a sharing that was configured by hand. They stay, so that the device plugin goes on."""

    config_map: Name = Field(
        description="the ConfigMap with the device plugin's configurations that the ClusterPolicy names",
        examples=["time-slicing-config"],
    )
    default: LabelValue = Field(
        description="the key that the ClusterPolicy names as the default, with the configuration of "
        'sharing.default; "" where it names none',
        examples=["2080ti-12gb"],
    )
    keys: Annotated[dict[ConfigKey, ConfigKey], Field(max_length=1000)] = Field(
        default={},
        description="keys that the program would give (<profile>-<hash>), and the keys in the ConfigMap that "
        "stand for them; no effect once the profile is changed",
        examples=["{2080ti-12gb-26ae1ddb: 2080ti-12gb}"],
    )


class Sharing(Model):
    """Sharing profiles, and the one for GPU pools that name none."""

    default: ProfileReference = Field(
        default=NO_SHARING,
        description="the profile of GPU pools without gpu.profile: one of sharing.profiles, or none",
        examples=[NO_SHARING],
    )
    profiles: Annotated[dict[ProfileName, Profile], Field(max_length=1000)] = Field(
        default_factory=lambda: {NO_SHARING: Profile()},
        description="sharing profiles by name; `none`, which shares nothing, always exists",
        examples=["{2080ti-12gb: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 6}]}}}"],
    )
    adopted: AdoptedSharing | None = Field(
        default=None,
        description="only with gpuOperator.adopted: the names of what was configured by hand",
        examples=["{configMap: time-slicing-config, default: 2080ti-12gb}"],
    )

    @field_validator("profiles")
    @classmethod
    def _add_none(cls, profiles: dict[str, Profile]) -> dict[str, Profile]:
        return {NO_SHARING: Profile(), **profiles}
