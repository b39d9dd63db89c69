"""The section `gpuOperator`: the release of NVIDIA's GPU Operator and what it installs."""

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from k3sgpu.settings.models.addresses import HOST_PORT, PATH_CHARACTERS, RepositoryUrl, url_text
from k3sgpu.settings.models.base import Model
from k3sgpu.settings.models.grammar import UNPRINTABLE, Seconds, Text
from k3sgpu.settings.models.names import DNS_SUBDOMAIN
from k3sgpu.wellknown import OPERATOR_RELEASE

NVIDIA_CHARTS = "https://helm.ngc.nvidia.com/nvidia"

_CHART_NAME = "[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
Chart = Annotated[
    str,
    url_text(
        rf"(?:{_CHART_NAME}/)?{_CHART_NAME}|(?:\.\.?|~)?/[^{UNPRINTABLE}]*|\.\.?"
        f"|(?:oci|https)://{HOST_PORT}(?:/{PATH_CHARACTERS}+)+",
        "the name of a chart, a local folder (./…), or oci://…",
        "write for instance gpu-operator or ./gpu-operator",
        "log in on this computer (helm registry login), or download the chart (helm pull --untar) and\n"
        "write its folder: chart: ./gpu-operator",
    ),
]
ChartVersion = Annotated[
    str,
    Text(
        r"v[0-9]{1,4}(?:\.[0-9]{1,4}){2}",
        20,
        "the version of the chart, vX.Y.Z",
        "write for instance v26.7.0",
    ),
]

ReleaseName = Annotated[
    str,
    Text(
        DNS_SUBDOMAIN,
        53,
        "the name of a Helm release: lower-case letters, digits, dots and '-', a letter or digit at both\n"
        "ends, at most 53 characters",
        "write the name that helm list --namespace gpu-operator shows",
    ),
]


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
    version: ChartVersion = Field(
        default="v26.7.0", description="the version of the chart, vX.Y.Z", examples=["v26.7.0"]
    )
    release: ReleaseName = Field(
        default=OPERATOR_RELEASE,
        description="the name of its Helm release; another name replaces the operator",
        examples=["gpu-operator-1665737174"],
    )
    adopted: bool = Field(
        default=False,
        description="true: it was installed by hand and is taken over with exactly these values; the program "
        "adds none of its own, so that no pod starts again",
        examples=["true"],
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
    chart: Chart = Field(
        default="gpu-operator",
        description="the name of the chart, a local folder (./…) or oci://…",
        examples=["gpu-operator"],
    )
    repository: RepositoryUrl | None = Field(
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
    protect: bool = Field(
        default=False,
        description="true: a destroy deletes nothing, until this is false and `pulumi up` was run",
        examples=["true"],
    )
    timeout_seconds: Seconds = Field(
        default=1200,
        description="seconds the Helm release may take to install or upgrade",
        examples=[1200],
    )
    ready_timeout_seconds: Seconds = Field(
        default=900,
        description="seconds until every expected GPU slice must be allocatable",
        examples=[900],
    )

    @property
    def mig_strategy(self) -> str | None:
        """The strategy by which an adopted operator overrides the profiles' migStrategy.

        None where it leaves them alone, as the program's own values do. Its chart's default is `single`.
        """
        if not self.adopted:
            return None
        section = self.values.get("mig")
        chosen = section.get("strategy") if isinstance(section, dict) else None
        return ("single" if chosen is None else str(chosen)) or None
