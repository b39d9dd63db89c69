"""gpuOperator and sharing: how cards become slices. The rules are the device plugin's own (api/config/v1)."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue, StringConstraints, WithJsonSchema, field_validator

from .base import Model
from .names import NO_SHARING, ProfileName, refused

GPU = "nvidia.com/gpu"
NVIDIA_CHARTS = "https://helm.ngc.nvidia.com/nvidia"


def _charts(data: dict[str, Any]) -> str | None:
    """NVIDIA's repository for a bare chart name; a folder and an oci:// reference need none."""
    return None if "/" in data["chart"] or data["chart"].startswith(".") else NVIDIA_CHARTS


class GpuOperator(Model):
    """NVIDIA's GPU Operator: its release, and who brings driver and container toolkit."""

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
    timeout_seconds: int = Field(
        default=1200, ge=1, description="seconds the Helm release may take", examples=[1200]
    )
    ready_timeout_seconds: int = Field(
        default=900, ge=1, description="seconds until every promised GPU must be allocatable", examples=[900]
    )


def _full_resource(text: str) -> str:
    """The plugin puts nvidia.com/ before a bare name, and skips what is no GPU of the node without a word."""
    if text in (GPU, GPU.removeprefix("nvidia.com/")):
        return GPU
    raise refused(
        f"{GPU}, a node's only resource without MIG (NVIDIA's plugin skips any other name without a word)",
        f"write name: {GPU}, or remove this entry",
    )


def _at_least_two(replicas: int) -> int:
    if replicas >= 2:
        return replicas
    raise refused(
        'at least 2: NVIDIA\'s plugin stops with "number of replicas must be >= 2"',
        "to not share, leave the profile empty ({}); to share, write replicas: 2 or more",
    )


class SharedResource(Model):
    """One resource and into how many slices each card of it is cut."""

    name: Annotated[str, AfterValidator(_full_resource), WithJsonSchema({"enum": [GPU, "gpu"]})] = Field(
        description="the resource to share", examples=[GPU]
    )
    replicas: Annotated[
        int, AfterValidator(_at_least_two), WithJsonSchema({"type": "integer", "minimum": 2})
    ] = Field(description="slices of each card, a whole number of at least 2", examples=[6])


class TimeSlicing(Model):
    """Slices take turns on the card. They do not divide its memory, and one can crash another."""

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


class Profile(Model):
    """How the cards of a node are shared; `{}` shares nothing."""

    time_slicing: TimeSlicing | None = Field(
        default=None,
        description="share by time-slicing",
        examples=["{resources: [{name: nvidia.com/gpu, replicas: 6}]}"],
    )


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
