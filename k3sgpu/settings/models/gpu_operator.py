"""The section `gpuOperator`: the release of NVIDIA's GPU Operator and what it installs."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, StringConstraints

from k3sgpu.settings.models.base import Model

NVIDIA_CHARTS = "https://helm.ngc.nvidia.com/nvidia"


def _default_repository(data: dict[str, Any]) -> str | None:
    """NVIDIA's repository for a bare chart name; None for a local folder or an oci:// reference."""
    return None if "/" in data["chart"] or data["chart"].startswith(".") else NVIDIA_CHARTS


class GpuOperator(Model):
    """NVIDIA's GPU Operator: its release, and whether it installs driver and container toolkit."""

    enabled: bool = Field(
        default=True,
        description="false: do not install the operator; the cluster then offers no GPUs",
        examples=["true"],
    )
    version: Annotated[str, StringConstraints(pattern=re.compile(r"^v\d+\.\d+\.\d+$"))] = Field(
        default="v26.7.0", description="the version of the chart, vX.Y.Z", examples=["v26.7.0"]
    )
    driver: Literal["host", "operator"] = Field(
        default="host",
        description="host (NVIDIA's driver is installed on the hosts) or operator (the operator installs it)",
        examples=["host"],
    )
    toolkit: Literal["host", "operator"] = Field(
        default="host",
        description="host (NVIDIA's container toolkit is installed on the hosts) or operator (the operator "
        "installs it)",
        examples=["host"],
    )
    chart: str = Field(
        default="gpu-operator",
        min_length=1,
        description="the name of the chart, a local folder (./…) or oci://…",
        examples=["gpu-operator"],
    )
    repository: Annotated[str, StringConstraints(pattern=re.compile(r"^https://\S+$"))] | None = Field(
        default_factory=_default_repository,
        description="the chart repository, https://…; default: NVIDIA's for a bare chart name, else none",
        examples=[NVIDIA_CHARTS],
    )
    values: dict[str, JsonValue] = Field(
        default={},
        description="further Helm values of the chart; not those that the program sets",
        examples=["{dcgmExporter: {enabled: false}}"],
    )
    remove_crds: bool = Field(
        default=False,
        alias="removeCrds",
        description="true: removing the operator also deletes its CRDs and every object of these kinds; run "
        "`pulumi up` with it before enabled: false",
        examples=["true"],
    )
    timeout_seconds: int = Field(
        default=1200,
        ge=1,
        description="seconds the Helm release may take to install or upgrade",
        examples=[1200],
    )
    ready_timeout_seconds: int = Field(
        default=900,
        ge=1,
        description="seconds until every expected GPU slice must be allocatable",
        examples=[900],
    )
