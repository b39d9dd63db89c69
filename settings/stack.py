"""The settings as a whole: the sections of a stack file, and the nodes that follow from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from pydantic import Field

from .base import Model
from .machines import K3s, Pool, Pools, Ssh
from .names import Name
from .problem import Problem
from .sharing import GpuOperator, Sharing
from .workloads import Workload

SECRET_KEYS = ("sshPrivateKey", "sudoPassword")
"""Top-level keys that hold secrets. Settings know only whether they are set."""


class Sections(Model):
    """The top-level keys of a stack file, without the secrets."""

    ssh: Ssh = Field(default=Ssh(), description="how machines are reached", examples=["{user: root}"])
    k3s: K3s = Field(alias="k3s", description="which k3s", examples=["{version: v1.36.2+k3s1}"])
    pools: Pools = Field(
        description="the machines, in pools of one kind",
        examples=["{control: {role: server, hosts: {server-1: 10.0.0.11}}}"],
    )
    gpu_operator: GpuOperator = Field(
        default=GpuOperator(), description="NVIDIA's operator", examples=["{version: v26.3.3}"]
    )
    sharing: Sharing = Field(
        default=Sharing(), description="how cards are shared", examples=["{profiles: {}}"]
    )
    workloads: dict[Name, Workload] = Field(
        default={},
        description="Deployments by name",
        examples=["{nvidia-plugin-test-2: {replicas: 2, gpus: 2}}"],
    )
    fit: Literal["enforce", "warn", "off"] = Field(
        default="enforce",
        description="what a workload that cannot fit gets: an error, a warning, or nothing",
        examples=["enforce"],
    )


@dataclass(frozen=True)
class Gpu:
    """The cards of a node: `count` of `product`, `memory_mib` MiB each, shared by `profile`.

    `mig`: the partitions of each card by MIG profile, empty where it is whole.
    """

    product: str
    count: int
    memory_mib: int
    profile: str
    mig: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Node:
    """A machine with all it inherits from its pool and from `ssh`. `name` is its Kubernetes node name."""

    name: str
    pool: str
    role: Literal["server", "agent"]
    address: str
    user: str
    port: int
    host_key: str | None
    private_key_file: str | None
    gpu: Gpu | None
    reserved: Mapping[str, int] = field(default_factory=dict)
    """By resource, what things outside the stack use of it."""


@dataclass(frozen=True)
class Settings:
    """A stack file that passed every rule. Made by `parse` and `read_stack_file` only."""

    ssh: Ssh
    k3s: K3s
    pools: Pools
    gpu_operator: GpuOperator
    sharing: Sharing
    workloads: dict[str, Workload]
    fit: Literal["enforce", "warn", "off"]
    secrets: frozenset[str]
    """Names of the secret keys that are set."""
    warnings: tuple[Problem, ...] = ()
    """What is allowed and yet hardly meant."""

    @classmethod
    def of(cls, sections: Sections, secrets: frozenset[str]) -> "Settings":
        """The sections and which secrets are set, under one roof."""
        return cls(**{name: getattr(sections, name) for name in Sections.model_fields}, secrets=secrets)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All machines of all pools, by name."""
        nodes = [node for name, pool in self.pools.items() for node in self._of_pool(name, pool)]
        return tuple(sorted(nodes, key=lambda node: node.name))

    @property
    def server(self) -> Node:
        """The one server."""
        return next(node for node in self.nodes if node.role == "server")

    def _of_pool(self, pool_name: str, pool: Pool) -> list[Node]:
        gpu = pool.gpu and Gpu(
            product=pool.gpu.product,
            count=pool.gpu.count,
            memory_mib=pool.gpu.memory_mib,
            profile=pool.gpu.profile or self.sharing.default,
            mig=pool.gpu.mig,
        )
        return [
            Node(
                name=name,
                pool=pool_name,
                role=pool.role,
                address=host.address,
                user=host.user or self.ssh.user,
                port=host.port or self.ssh.port,
                host_key=host.host_key,
                private_key_file=host.private_key_file or self.ssh.private_key_file,
                gpu=gpu,
                reserved=pool.reserved if host.reserved is None else host.reserved,
            )
            for name, host in pool.hosts.items()
        ]
