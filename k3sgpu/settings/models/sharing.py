"""gpuOperator and sharing: how cards become slices. The rules are the device plugin's own (api/config/v1)."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue, StringConstraints, WithJsonSchema, field_validator

from k3sgpu.settings.models.base import Model
from k3sgpu.settings.models.names import NO_SHARING, ProfileName, refusal

GPU = "nvidia.com/gpu"
NVIDIA_CHARTS = "https://helm.ngc.nvidia.com/nvidia"


def _charts(data: dict[str, Any]) -> str | None:
    """NVIDIA's repository for a bare chart name; a folder and an oci:// reference need none."""
    return None if "/" in data["chart"] or data["chart"].startswith(".") else NVIDIA_CHARTS


class GpuOperator(Model):
    """NVIDIA's GPU Operator: its release, and who brings driver and container toolkit."""

    enabled: bool = Field(
        default=True, description="false: the bare cluster, no operator and no sharing", examples=["true"]
    )
    version: Annotated[str, StringConstraints(pattern=re.compile(r"^v\d+\.\d+\.\d+$"))] = Field(
        default="v26.3.3", description="the chart's version, vX.Y.Z", examples=["v26.3.3"]
    )
    driver: Literal["host", "operator"] = Field(
        default="host",
        description="host (the machine has NVIDIA's driver) or operator (the operator installs it)",
        examples=["host"],
    )
    toolkit: Literal["host", "operator"] = Field(
        default="host",
        description="host (the machine has NVIDIA's container toolkit) or operator (the operator brings it)",
        examples=["host"],
    )
    chart: str = Field(
        default="gpu-operator",
        min_length=1,
        description="a chart's name, a local folder (./…) or oci://…",
        examples=["gpu-operator"],
    )
    repository: Annotated[str, StringConstraints(pattern=re.compile(r"^https://\S+$"))] | None = Field(
        default_factory=_charts, description="the chart repository, https://…", examples=[NVIDIA_CHARTS]
    )
    values: dict[str, JsonValue] = Field(
        default={}, description="further values of the chart", examples=["{dcgmExporter: {enabled: false}}"]
    )
    remove_crds: bool = Field(
        default=False,
        alias="removeCrds",
        description="true, in an `up` before enabled: false: its CRDs go with it, and with them what anybody "
        "has made of them",
        examples=["true"],
    )
    timeout_seconds: int = Field(
        default=1200, ge=1, description="seconds the Helm release may take", examples=[1200]
    )
    ready_timeout_seconds: int = Field(
        default=900, ge=1, description="seconds until every promised GPU must be allocatable", examples=[900]
    )


MIG_NAME = r"mig-[1-9]\d?g\.[1-9]\d*gb([.-][a-z]+)*"
"""What the plugin makes of a whole MIG partition: 1g.5gb+me is nvidia.com/mig-1g.5gb.me."""
SHAREABLE = {"type": "string", "pattern": rf"^(nvidia\.com/)?(gpu|{MIG_NAME})$"}
NAME_LIMIT = 63
MOST_SLICES = 2**63 - 1
"""The plugin reads the number into an int; sense ends long before."""
MIG_SLICES = 7
"""Into so many parts the processors of a card can be cut; 3g.20gb takes three of them."""
MPS_CLIENTS = 48
"""Clients of one MPS server since Volta (cmd/mps-control-daemon/mps/device.go)."""


def mig_resource(kind: str) -> str:
    """The resource that partitions of a kind are under migStrategy mixed."""
    return f"nvidia.com/mig-{kind.replace('+', '.')}"


def partition_slices(kind: str) -> int:
    """3 for 3g.20gb: how many of a card's seven parts such a partition takes."""
    return int(kind.partition("g.")[0])


def partition_memory_mib(kind: str) -> int:
    """4500 MiB for 1g.5gb: what of a partition's nominal memory is left for certain, whatever the card."""
    return int(kind.partition("g.")[2].partition("gb")[0]) * 900


def _full_resource(text: str) -> str:
    """The plugin puts nvidia.com/ before a bare name, and skips what is no GPU of the node without a word."""
    name = text if text.startswith("nvidia.com/") else f"nvidia.com/{text}"
    if re.fullmatch(rf"nvidia\.com/(gpu|{MIG_NAME})", name) and len(name) <= NAME_LIMIT:
        return name
    raise refusal(
        f"{GPU}, or a MIG partition such as nvidia.com/mig-1g.5gb "
        "(NVIDIA's plugin skips any other name without a word)",
        f"write name: {GPU}, or remove this entry",
    )


def _whole_card(text: str) -> str:
    if _full_resource(text) == GPU:
        return GPU
    raise refusal(
        f'{GPU}: NVIDIA\'s plugin stops with "sharing using MPS is not supported for MIG devices"',
        "remove this entry, or share partitions by timeSlicing",
    )


def _slices(replicas: int) -> int:
    if replicas < 2:
        raise refusal(
            'at least 2: NVIDIA\'s plugin stops with "number of replicas must be >= 2"',
            "to not share, leave the profile empty ({}); to share, write replicas: 2 or more",
        )
    if replicas > MOST_SLICES:
        raise refusal(
            f'at most {MOST_SLICES}: NVIDIA\'s plugin stops with "cannot unmarshal number"',
            "write replicas: 6",
        )
    return replicas


def _mps_clients(replicas: int) -> int:
    if replicas <= MPS_CLIENTS:
        return replicas
    raise refusal(
        f"at most {MPS_CLIENTS}: NVIDIA's MPS control daemon stops with "
        f'"maximum allowed replicas exceeded: {replicas} > {MPS_CLIENTS}"',
        f"write replicas: {MPS_CLIENTS} or fewer, or share by timeSlicing",
    )


def _always_true(flag: bool) -> bool:
    """config.NewConfig sets it, and rm.ValidateRequest does not even look."""
    if flag:
        return flag
    raise refusal(
        "true: under MPS NVIDIA's plugin fails greater requests whatever the file says",
        "remove it",
    )


class SharedResource(Model):
    """One resource and into how many slices each card or partition of it is cut."""

    name: Annotated[str, AfterValidator(_full_resource), WithJsonSchema(SHAREABLE)] = Field(
        description="the resource to share", examples=[GPU]
    )
    replicas: Annotated[
        int,
        AfterValidator(_slices),
        WithJsonSchema({"type": "integer", "minimum": 2, "maximum": MOST_SLICES}),
    ] = Field(description="slices of each card, a whole number of at least 2", examples=[6])


class MpsResource(SharedResource):
    """Whole cards, and how many clients each serves at once."""

    name: Annotated[str, AfterValidator(_whole_card), WithJsonSchema({"enum": [GPU, "gpu"]})] = Field(
        description="the resource to share", examples=[GPU]
    )
    replicas: Annotated[
        int,
        AfterValidator(_slices),
        AfterValidator(_mps_clients),
        WithJsonSchema({"type": "integer", "minimum": 2, "maximum": MPS_CLIENTS}),
    ] = Field(description=f"slices of each card, a whole number from 2 to {MPS_CLIENTS}", examples=[4])


class SharedResources(Model):
    """What both ways to share have in common, as in the plugin's ReplicatedResources."""

    rename_by_default: bool = Field(
        default=False, description="true: slices are called nvidia.com/gpu.shared", examples=["false"]
    )
    fail_requests_greater_than_one: bool = Field(
        default=False, description="true: a pod that asks for more than one slice fails", examples=["false"]
    )
    resources: Annotated[tuple[SharedResource, ...], Field(strict=False, min_length=1)] = Field(
        description='what to share, at least one entry (else the plugin stops with "no resources specified")',
        examples=["[{name: nvidia.com/gpu, replicas: 6}]"],
    )

    def slice_name(self, resource: str) -> str:
        """What the slices of `resource` are called in a node's allocatable resources."""
        return f"{resource}.shared" if self.rename_by_default else resource

    def replicas_of(self, resource: str) -> int:
        """Slices of each card or partition; 1 for what is not shared."""
        return next((item.replicas for item in self.resources if item.name == resource), 1)


class TimeSlicing(SharedResources):
    """Slices take turns on the card. They do not divide its memory, and one can crash another."""


class Mps(SharedResources):
    """Slices run at the same time, each with an equal part of memory and processors, through one server."""

    fail_requests_greater_than_one: Annotated[
        bool, AfterValidator(_always_true), WithJsonSchema({"const": True})
    ] = Field(default=True, description="true, which is the plugin's own choice", examples=["true"])
    resources: Annotated[tuple[MpsResource, ...], Field(strict=False, min_length=1)] = Field(
        description='what to share, at least one entry (else the plugin stops with "no resources specified")',
        examples=["[{name: nvidia.com/gpu, replicas: 4}]"],
    )


class Profile(Model):
    """How the cards of a node are shared; `{}` shares nothing."""

    mig_strategy: Literal["single", "mixed"] | None = Field(
        default=None,
        description="how partitions are called: single (all alike: nvidia.com/gpu) or mixed "
        "(nvidia.com/mig-<profile>)",
        examples=["mixed"],
    )
    time_slicing: TimeSlicing | None = Field(
        default=None,
        description="share by time-slicing",
        examples=["{resources: [{name: nvidia.com/gpu, replicas: 6}]}"],
    )
    mps: Mps | None = Field(
        default=None,
        description="share by MPS",
        examples=["{resources: [{name: nvidia.com/gpu, replicas: 4}]}"],
    )

    def devices(self, mig: Mapping[str, int]) -> dict[str, int]:
        """What a card with these partitions is to NVIDIA's plugin before it shares: devices by resource."""
        if not mig or not self.mig_strategy:
            return {GPU: 1}
        if self.mig_strategy == "single":
            return {GPU: sum(mig.values())}
        return {mig_resource(kind): number for kind, number in mig.items()}

    @property
    def shared(self) -> SharedResources | None:
        """What is shared, in whichever way."""
        return self.mps or self.time_slicing

    @property
    def strategy_key(self) -> Literal["mps", "timeSlicing"]:
        """The key under which `shared` is written."""
        return "mps" if self.mps else "timeSlicing"


class Sharing(Model):
    """Profiles that pools name, and the one for GPU nodes that name none."""

    default: str = Field(
        default=NO_SHARING,
        description="the profile of GPU nodes that name none: one of sharing.profiles, or none",
        examples=[NO_SHARING],
    )
    profiles: dict[ProfileName, Profile] = Field(
        default_factory=lambda: {NO_SHARING: Profile()},
        description="profiles by name",
        examples=["{2080ti-12gb: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 6}]}}}"],
    )

    @field_validator("profiles")
    @classmethod
    def _with_none(cls, profiles: dict[str, Profile]) -> dict[str, Profile]:
        return {NO_SHARING: Profile(), **profiles}
