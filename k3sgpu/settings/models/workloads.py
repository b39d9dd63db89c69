"""The section `workloads`: Deployments and Jobs that use slices.

The default images, commands and presets are those of NVIDIA's documentation and of the article that the
README names.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from k3sgpu.settings.models.base import Model
from k3sgpu.settings.models.containers import (
    BASELINE,
    ENTRIES_LIMIT,
    Arguments,
    CapabilityNames,
    PlainValue,
    PlainVariable,
    SecretDataKey,
    UserId,
    Variable,
)
from k3sgpu.settings.models.grammar import INT32, Seconds
from k3sgpu.settings.models.images import Image
from k3sgpu.settings.models.names import LabelKey, LabelValue, Name, Resource, SecretName
from k3sgpu.settings.models.pools import MOST_MEMORY_MIB
from k3sgpu.settings.models.sharing import NODE_SLICES
from k3sgpu.settings.models.teams import Rank
from k3sgpu.wellknown import GPU_RESOURCE, POOL_LABEL

TESTER = "nvcr.io/nvidia/cloud-native/dcgm:4.6.0-1-ubuntu24.04"
"""The image of dcgmproftester, a load test of a card's tensor cores, one for each CUDA generation."""
TESTER_COMMAND = ("/bin/sh", "-c")
# The CUDA generation must be that of the driver, 12 up to driver 575 and 13 from 580 on, but 12 for every
# card below compute capability 7.5 (main in dcgmproftester/DcgmProfTester.cpp of NVIDIA/DCGM v4.6.0); the
# wrong one exits with 244. The container asks the driver and the card of its node, because pools may differ.
# The toolkit gives it nvidia-smi: the image's NVIDIA_DRIVER_CAPABILITIES has "utility".
_TESTER_SCRIPT = """\
generation=12
if grep -Eq '^NVRM version:.* (5[89]|[6-9][0-9])[0-9][.][0-9]' /proc/driver/nvidia/version; then
    generation=13
fi
if nvidia-smi --query-gpu=compute_cap --format=csv,noheader | grep -Eq '^([1-6][.]|7[.][0-4])'; then
    generation=12
fi
while true; do
    "/usr/bin/dcgmproftester$generation" --no-dcgm-validation -t 1004 -d 300
    sleep 30
done
"""
TESTER_ARGS = (_TESTER_SCRIPT,)
VECTORADD = "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04"
"""The image of a program that adds two vectors on the card, checks the sum and exits."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "gpu-operator-test": {"kind": "Job"},
    "nvidia-plugin-test": {"kind": "Deployment", "replicas": 1, "gpus": 1},
    "nvidia-plugin-test-2": {"kind": "Deployment", "replicas": 2, "gpus": 2},
}
"""By name of a workload: the keys it has unless the stack file sets them."""

MOST_PODS = 10000
"""Of one workload, at the same time: above what a cluster of a hundred machines runs (110 pods on each)."""


def apply_preset(name: Any, workload: Any) -> Any:
    """The workload with the keys of the preset of that name and kind, which its own keys override."""
    preset = PRESETS.get(name, {})
    if not isinstance(workload, Mapping) or workload.get("kind", preset.get("kind")) != preset.get("kind"):
        return workload
    return {**preset, **workload}


def _is_tester(image: str) -> bool:
    """Whether this is NVIDIA's dcgm image, from any registry: a mirror changes all but the name."""
    return re.split(r"[:@]", image.rpartition("/")[2])[0] == "dcgm"


def _default_image(data: dict[str, Any]) -> str:
    return VECTORADD if data["kind"] == "Job" else TESTER


def _default_namespace(data: dict[str, Any]) -> str:
    return data.get("team") or "default"


def _default_command(data: dict[str, Any]) -> tuple[str, ...]:
    """The tester's command for its own image; any other image runs its entry point."""
    return TESTER_COMMAND if _is_tester(data["image"]) else ()


def _default_args(data: dict[str, Any]) -> tuple[str, ...]:
    return TESTER_ARGS if _is_tester(data["image"]) and data["command"] == TESTER_COMMAND else ()


def _default_security_context(data: dict[str, Any]) -> "SecurityContext":
    """SYS_ADMIN for the tester: it reads the card's performance counters, which need it."""
    add = ("SYS_ADMIN",) if _is_tester(data["image"]) else ()
    return SecurityContext(capabilities=Capabilities(add=add))


class Capabilities(Model):
    """Linux capabilities added to or dropped from the container runtime's defaults."""

    add: CapabilityNames = Field(
        default=(),
        description="Linux capabilities to add to the container runtime's defaults",
        examples=["[SYS_ADMIN]"],
    )
    drop: CapabilityNames = Field(
        default=(), description="Linux capabilities to drop; ALL drops all", examples=["[ALL]"]
    )


class SecurityContext(Model):
    """The container's securityContext. A key left out is as the image and the container runtime have it."""

    run_as_user: UserId | None = Field(
        default=None,
        description="the UID inside the container; default: the image's user",
        examples=[1000],
    )
    run_as_group: UserId | None = Field(
        default=None,
        description="the GID inside the container; default: the image's group",
        examples=[1000],
    )
    run_as_non_root: bool | None = Field(
        default=None,
        description="true: the kubelet refuses to start the container as root",
        examples=["true"],
    )
    privileged: bool | None = Field(
        default=None,
        description="true: the container gets all devices of the host, including all GPUs",
        examples=["false"],
    )
    allow_privilege_escalation: bool | None = Field(
        default=None,
        description="false: a process cannot get more privileges than its parent",
        examples=["false"],
    )
    read_only_root_filesystem: bool | None = Field(
        default=None,
        description="true: the container cannot write to its root file system",
        examples=["true"],
    )
    capabilities: Capabilities = Field(
        default=Capabilities(),
        description="Linux capabilities to add and to drop",
        examples=["{add: [SYS_ADMIN]}"],
    )

    @property
    def is_baseline(self) -> bool:
        """Whether the Pod Security Standard `baseline` admits such a container."""
        return not self.privileged and BASELINE.issuperset(self.capabilities.add)


class Toleration(Model):
    """A taint that the pods tolerate; nvidia.com/gpu:NoSchedule is tolerated by all workloads."""

    key: LabelKey = Field(description="the key of the taint", examples=["dedicated"])
    operator: Literal["Equal", "Exists"] = Field(
        default="Equal",
        description="Equal (tolerate the taint with this value) or Exists (with any value)",
        examples=["Exists"],
    )
    value: LabelValue = Field(
        default="", description="the value of the taint, with operator: Equal", examples=["gpu"]
    )
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None,
        description="the effect of the taint; default: any effect",
        examples=["NoSchedule"],
    )


class SecretKey(Model):
    """An entry of a Kubernetes Secret in the workload's namespace."""

    name: SecretName = Field(description="the name of the Secret", examples=["hub"])
    key: SecretDataKey = Field(description="the key in the Secret's data", examples=["token"])


class Workload(Model):
    """Pods that each request slices: a Deployment keeps them running, a Job runs them to completion."""

    kind: Literal["Deployment", "Job"] = Field(
        default="Deployment",
        description="Deployment (keeps its pods running) or Job (runs its pods to completion)",
        examples=["Job"],
    )
    replicas: int = Field(
        default=1, ge=0, le=MOST_PODS, description="the number of pods of a Deployment", examples=[1]
    )
    completions: int = Field(
        default=1, ge=1, le=INT32, description="the number of pods of a Job that must succeed", examples=[1]
    )
    parallelism: int = Field(
        default=1,
        ge=1,
        le=MOST_PODS,
        description="the number of pods of a Job that run at the same time",
        examples=[1],
    )
    retries: int = Field(
        default=0,
        ge=0,
        le=INT32,
        description="the number of pods of a Job that may fail before the Job fails",
        examples=[0],
    )
    timeout_seconds: Seconds = Field(
        default=600,
        description="seconds a Job may take, including the time its pods are Pending",
        examples=[600],
    )
    gpus: int = Field(
        default=1,
        ge=1,
        le=NODE_SLICES,
        description="the number of slices (or whole cards) that each pod requests",
        examples=[1],
    )
    memory_mib: int | None = Field(
        default=None,
        alias="memoryMiB",
        ge=1,
        le=MOST_MEMORY_MIB,
        description="the GPU memory in MiB that each pod uses at most; checked, but not enforced",
        examples=[4096],
    )
    resource: Resource = Field(
        default=GPU_RESOURCE,
        description="the resource that each pod requests, nvidia.com/gpu or that of MIG partitions",
        examples=[GPU_RESOURCE],
    )
    team: Name | None = Field(
        default=None,
        description="the team whose namespace and slices the pods use, one of teams; default: no team",
        examples=["vision"],
    )
    priority: Rank | None = Field(
        default=None,
        description="with team: guaranteed (the pods count against the team's guarantee and are never "
        "preempted) or burst (they give way to guaranteed pods); default: guaranteed where the team has a "
        "guarantee in the pool",
        examples=["burst"],
    )
    namespace: Name = Field(
        default_factory=_default_namespace,
        description="the namespace of the pods, created unless it is default",
        examples=["default"],
    )
    image: Image = Field(
        default_factory=_default_image,
        description="the container image; default: NVIDIA's vectoradd for a Job, dcgm for a Deployment",
        examples=[VECTORADD],
    )
    command: Arguments = Field(
        default_factory=_default_command,
        description="the container's command, a list; default: the load test in the dcgm image, else the "
        "image's entry point",
        examples=['["/bin/sh", "-c"]'],
    )
    args: Arguments = Field(
        default_factory=_default_args,
        description="the arguments of the command, a list; default: the load test in the dcgm image",
        examples=['["nvidia-smi -l 30"]'],
    )
    env: Annotated[dict[PlainVariable, PlainValue], Field(max_length=ENTRIES_LIMIT)] = Field(
        default={}, description="environment variables that are not secret", examples=['{EPOCHS: "3"}']
    )
    secret_env: Annotated[dict[Variable, SecretKey], Field(max_length=ENTRIES_LIMIT)] = Field(
        default={},
        description="environment variables from existing Kubernetes Secrets",
        examples=["{HF_TOKEN: {name: hub, key: token}}"],
    )
    pool: Name | None = Field(
        default=None,
        description="the pool on whose nodes the pods run, one of pools; default: any",
        examples=["rtx"],
    )
    node_selector: Annotated[dict[LabelKey, LabelValue], Field(max_length=100)] = Field(
        default={},
        description="labels that a node must have to run the pods",
        examples=["{accelerator: NVIDIA-GeForce-RTX-2080-Ti}"],
    )
    tolerations: Annotated[tuple[Toleration, ...], Field(strict=False, max_length=100)] = Field(
        default=(),
        description="further taints of nodes that the pods tolerate",
        examples=["[{key: dedicated, operator: Exists}]"],
    )
    security_context: SecurityContext = Field(
        default_factory=_default_security_context,
        description="the container's securityContext; default: SYS_ADMIN added in the dcgm image",
        examples=["{runAsUser: 1000, capabilities: {drop: [ALL]}}"],
    )

    @property
    def selector(self) -> dict[str, str]:
        """All labels that a node must have, including its pool's."""
        return {**self.node_selector, **({POOL_LABEL: self.pool} if self.pool else {})}

    @property
    def pods(self) -> int:
        """The largest number of pods at the same time."""
        return self.replicas if self.kind == "Deployment" else min(self.parallelism, self.completions)
