"""The top-level keys of a stack file. A new section: its model in a module of its own, its key here."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from k3sgpu.settings.models.base import Model
from k3sgpu.settings.models.doctor import Doctor
from k3sgpu.settings.models.gpu_operator import GpuOperator
from k3sgpu.settings.models.k3s import K3s
from k3sgpu.settings.models.kubeconfig import Kubeconfig, expand_file_path
from k3sgpu.settings.models.names import KubeconfigPath, Name
from k3sgpu.settings.models.pools import Pools
from k3sgpu.settings.models.sharing import Sharing
from k3sgpu.settings.models.ssh import Ssh
from k3sgpu.settings.models.teams import MOST_TEAMS, Team
from k3sgpu.settings.models.verify import Verify, VerifySetting
from k3sgpu.settings.models.workloads import Workload, apply_preset

LOGIN_SECRET_KEYS = ("sshPrivateKey", "sshPrivateKeyPassphrase", "sudoPassword")
"""The secret keys that are needed to log in to a host."""
SECRET_KEYS = (
    *LOGIN_SECRET_KEYS,
    "clusterKubeconfig",
    "registryCredentials",
    "proxyPassword",
    "s3AccessKey",
    "s3SecretKey",
    "vpnAuth",
    "datastoreEndpoint",
)
"""The top-level keys that hold secrets. Settings only know whether they are set."""

Mode = Literal["enforce", "warn", "off"]


class Sections(Model):
    """The top-level keys of a stack file, without the secrets."""

    ssh: Ssh = Field(default=Ssh(), description="how hosts are reached over SSH", examples=["{user: root}"])
    k3s: K3s | None = Field(
        default=None,
        alias="k3s",
        description="which k3s release to install, and its configuration",
        examples=["{version: v1.36.2+k3s1}"],
    )
    kubeconfig: Annotated[
        Kubeconfig | None,
        BeforeValidator(expand_file_path, json_schema_input_type=KubeconfigPath | Kubeconfig),
    ] = Field(
        default=None,
        description="instead of k3s: the kubeconfig of an existing cluster to use",
        examples=["~/.kube/config"],
    )
    pools: Pools = Field(
        description="the hosts, in pools of hosts configured alike",
        examples=["{control: {role: server, hosts: {server-1: 10.0.0.11}}}"],
    )
    gpu_operator: GpuOperator = Field(
        default=GpuOperator(),
        description="NVIDIA's GPU Operator: its release and values",
        examples=["{version: v26.7.0}"],
    )
    sharing: Sharing = Field(
        default=Sharing(),
        description="how cards are shared, as profiles that pools select",
        examples=["{profiles: {}}"],
    )
    workloads: Annotated[dict[Name, Workload], Field(max_length=1000)] = Field(
        default={},
        description="Deployments and Jobs that use slices, by name",
        examples=["{nvidia-plugin-test-2: {replicas: 2, gpus: 2}}"],
    )
    teams: Annotated[dict[Name, Team], Field(max_length=MOST_TEAMS)] = Field(
        default={},
        description="people who share the cards: by team its members, the slices that it can always have and "
        "those that it may have",
        examples=["{vision: {members: [ana, bo], guaranteed: {rtx: 4}, limit: {rtx: 8}}}"],
    )
    verify: VerifySetting = Field(
        default=Verify(),
        description="a Job on each GPU node that computes on a slice: true, strict (a failure makes "
        "`pulumi up` fail), false, or a mapping",
        examples=["strict"],
    )
    doctor: Doctor = Field(
        default=Doctor(), description="which checks of hosts to skip", examples=["{waive: [swap]}"]
    )
    fit: Mode = Field(
        default="enforce",
        description="what happens when workloads do not fit the slices: enforce (an error), warn (a "
        "warning) or off",
        examples=["enforce"],
    )
    memory: Mode = Field(
        default="warn",
        description="what happens when the workloads' memoryMiB may exceed a card's memory: enforce (an "
        "error), warn (a warning) or off",
        examples=["warn"],
    )

    @field_validator("workloads", mode="before")
    @classmethod
    def _apply_presets(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {name: apply_preset(name, workload) for name, workload in value.items()}
