"""The settings as a whole: the sections of a stack file, and the nodes that follow from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from k3sgpu.problem import Problem
from k3sgpu.settings.models.base import Model
from k3sgpu.settings.models.machines import Doctor, K3s, Kubeconfig, Login, Pool, Pools, Ssh, expand_file_path
from k3sgpu.settings.models.names import KeyPath, Name
from k3sgpu.settings.models.sharing import GpuOperator, Sharing
from k3sgpu.settings.models.workloads import POOL_LABEL, Verify, VerifySetting, Workload, apply_preset

LOGIN_SECRET_KEYS = ("sshPrivateKey", "sshPrivateKeyPassphrase", "sudoPassword")
"""Those of SECRET_KEYS that it takes to reach a machine."""
SECRET_KEYS = (
    *LOGIN_SECRET_KEYS,
    "clusterKubeconfig",
    "registryCredentials",
    "proxyPassword",
    "s3AccessKey",
    "s3SecretKey",
)
"""Top-level keys that hold secrets. Settings know only whether they are set."""

SSH_PORT = 22
NO_K3S = "v0.0.0+k3s0"


class Sections(Model):
    """The top-level keys of a stack file, without the secrets."""

    ssh: Ssh = Field(default=Ssh(), description="how machines are reached", examples=["{user: root}"])
    k3s: K3s | None = Field(
        default=None, alias="k3s", description="which k3s", examples=["{version: v1.36.2+k3s1}"]
    )
    kubeconfig: Annotated[
        Kubeconfig | None, BeforeValidator(expand_file_path, json_schema_input_type=KeyPath | Kubeconfig)
    ] = Field(
        default=None,
        description="instead of k3s: the cluster that is there already",
        examples=["~/.kube/config"],
    )
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
        description="Deployments and Jobs by name",
        examples=["{nvidia-plugin-test-2: {replicas: 2, gpus: 2}}"],
    )
    verify: VerifySetting = Field(
        default=Verify(),
        description="true (each GPU node has to compute on a slice), strict (a node that fails fails `up`), "
        "false, or a mapping",
        examples=["strict"],
    )
    doctor: Doctor = Field(
        default=Doctor(), description="what of doctor's look is let pass", examples=["{waive: [swap]}"]
    )
    fit: Literal["enforce", "warn", "off"] = Field(
        default="enforce",
        description="what a workload that cannot fit gets: an error, a warning, or nothing",
        examples=["enforce"],
    )
    memory: Literal["enforce", "warn", "off"] = Field(
        default="warn",
        description="what memoryMiB gets that may be more than a card has: an error, a warning, or nothing",
        examples=["warn"],
    )

    @field_validator("workloads", mode="before")
    @classmethod
    def _articles_own(cls, said: Any) -> Any:
        if not isinstance(said, Mapping):
            return said
        return {name: apply_preset(name, workload) for name, workload in said.items()}


@dataclass(frozen=True)
class Gpu:
    """The cards of a node: `count` of `product`, `memory_mib` MiB each, shared by `profile`.

    `mig`: the partitions of each card by MIG profile, empty where it is whole. `driver`: its version or
    its branch, where the pool declares it.
    """

    product: str
    count: int
    memory_mib: int
    profile: str
    mig: Mapping[str, int] = field(default_factory=dict)
    driver: str | None = None


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where an sshd answers, and who logs in there."""

    title: str
    """What to call it in a report."""
    place: str
    """Where it stands in the stack file."""
    address: str
    user: str
    port: int
    host_key: str | None
    """As written in the stack file; None: known_hosts has it."""
    private_key_file: str | None
    """None: the SSH agent's keys, or the secret sshPrivateKey."""
    key_place: str
    """Where private_key_file stands in the stack file."""


@dataclass(frozen=True, kw_only=True)
class Node(Endpoint):
    """A machine with all it inherits from its pool and from `ssh`. `name` is its Kubernetes node name.

    A Node of a cluster that is there already has no role, and nobody logs in there.
    """

    name: str
    pool: str
    role: Literal["server", "agent"] | None
    node_ip: str
    external_ip: str | None
    waive: tuple[str, ...]
    gpu: Gpu | None
    reserved: Mapping[str, int] = field(default_factory=dict)
    """By resource, what things outside the stack use of it."""
    maintenance: bool = False
    """Nothing is expected of its cards."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """As the stack file gives them."""
    taints: tuple[str, ...] = ()
    """As key=value:Effect or key:Effect."""
    kubelet_args: Mapping[str, str] = field(default_factory=dict)
    """By name, without dashes."""

    def suits(self, selector: Mapping[str, str]) -> bool:
        """Whether pods with this selector may come here, as far as its labels are known beforehand."""
        own = {"kubernetes.io/hostname": self.name, POOL_LABEL: self.pool}
        labels = {**self.labels, **own, **({"accelerator": self.gpu.product} if self.gpu else {})}
        return all(labels.get(key, value) == value for key, value in selector.items())


@dataclass(frozen=True)
class Settings:
    """A stack file that passed every rule. Made by `parse` and `read_stack_file` only."""

    ssh: Ssh
    k3s: K3s
    """Of no meaning where `kubeconfig` says that the cluster is there already."""
    kubeconfig: Kubeconfig | None
    """The cluster that is there already; None: k3s is installed."""
    pools: Pools
    gpu_operator: GpuOperator
    sharing: Sharing
    workloads: dict[str, Workload]
    verify: Verify
    doctor: Doctor
    fit: Literal["enforce", "warn", "off"]
    memory: Literal["enforce", "warn", "off"]
    secrets: frozenset[str]
    """Names of the secret keys that are set."""
    warnings: tuple[Problem, ...] = ()
    """What is allowed and yet hardly meant."""

    @classmethod
    def of(cls, sections: Sections, secrets: frozenset[str]) -> "Settings":
        """The sections and which secrets are set, under one roof."""
        said: dict[str, Any] = {name: getattr(sections, name) for name in Sections.model_fields}
        said["k3s"] = sections.k3s or K3s(version=NO_K3S)
        return cls(**said, secrets=secrets)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All hosts of all pools except the lost ones, by name."""
        return self._nodes(lost=False)

    @property
    def machines(self) -> tuple[Node, ...]:
        """What of `nodes` this program reaches: none where the cluster is there already."""
        return tuple(node for node in self.nodes if node.role and not self.kubeconfig)

    @property
    def lost(self) -> tuple[Node, ...]:
        """Hosts marked `gone`, which will never answer again, by name."""
        return self._nodes(lost=True)

    def _nodes(self, lost: bool) -> tuple[Node, ...]:
        nodes = [node for name, pool in self.pools.items() for node in self._of_pool(name, pool, lost)]
        return tuple(sorted(nodes, key=lambda node: node.name))

    @property
    def servers(self) -> tuple[Node, ...]:
        """All servers, the initial one first."""
        servers = [node for node in self.nodes if node.role == "server"]
        return tuple(sorted(servers, key=lambda node: (node.name != self.k3s.initial_server, node.name)))

    @property
    def server(self) -> Node:
        """The initial server."""
        return self.servers[0]

    @property
    def login_secrets(self) -> frozenset[str]:
        """Names of those that it takes to reach a machine."""
        return self.secrets & frozenset(LOGIN_SECRET_KEYS)

    @property
    def registration_address(self) -> str:
        """Where agents and the kubeconfig find the API."""
        return self.k3s.registration_address or self.server.address

    @property
    def bastion(self) -> Endpoint | None:
        """The machine through which the others are reached."""
        bastion = self.ssh.bastion
        if bastion is None:
            return None
        login = self._login(("ssh.bastion", bastion), port=bastion.port or SSH_PORT)
        return Endpoint(
            title="ssh.bastion",
            place="ssh.bastion",
            address=bastion.address,
            host_key=bastion.host_key,
            **login,
        )

    def jump(self, end: Endpoint) -> str | None:
        """The bastion that the way to `end` leads through, as ssh -J takes it; None: there is none."""
        bastion = self.bastion
        if bastion is None or end.address == bastion.address:
            return None
        return f"{bastion.user}@{bastion.address}:{bastion.port}"

    def _login(self, *levels: tuple[str, Login], port: int | None = None) -> dict[str, Any]:
        """Who logs in where, from the most to the least special of `levels`, then from `ssh`."""
        every = [*levels, ("ssh", self.ssh)]

        def first(field: str) -> tuple[str, Any]:
            said = ((place, getattr(level, field)) for place, level in every)
            return next(((place, value) for place, value in said if value), ("ssh", None))

        key_place, key_file = first("private_key_file")
        return {
            "user": first("user")[1],
            "port": port or first("port")[1],
            "private_key_file": key_file,
            "key_place": f"{key_place}.privateKeyFile",
        }

    def _of_pool(self, pool_name: str, pool: Pool, lost: bool) -> list[Node]:
        gpu = pool.gpu and Gpu(
            product=pool.gpu.product,
            count=pool.gpu.count,
            memory_mib=pool.gpu.memory_mib,
            profile=pool.gpu.profile or self.sharing.default,
            mig=pool.gpu.mig,
            driver=pool.gpu.driver_version,
        )
        place = f"pools.{pool_name}"
        login = self._login((place, pool))
        there = [
            Node(
                title=f"node {name}",
                place=f"{place}.nodes",
                name=name,
                pool=pool_name,
                role=None,
                address="",
                node_ip="",
                external_ip=None,
                waive=(),
                host_key=None,
                gpu=gpu,
                reserved=pool.reserved,
                maintenance=pool.maintenance,
                labels=pool.labels,
                **login,
            )
            for name in pool.nodes
            if not lost
        ]
        return there + [
            Node(
                title=f"host {name}",
                place=f"pools.{pool_name}.hosts.{name}",
                name=name,
                pool=pool_name,
                role=pool.role or "agent",
                address=host.address,
                node_ip=host.node_ip or host.address,
                external_ip=host.external_ip,
                waive=host.waive,
                host_key=host.host_key,
                gpu=gpu,
                reserved=pool.reserved if host.reserved is None else host.reserved,
                maintenance=host.maintenance or pool.maintenance,
                labels={**pool.labels, **host.labels},
                taints=tuple(dict.fromkeys([*pool.taints, *host.taints])),
                kubelet_args={**self.k3s.kubelet_args, **pool.kubelet_args, **host.kubelet_args},
                **self._login((f"pools.{pool_name}.hosts.{name}", host), (f"pools.{pool_name}", pool)),
            )
            for name, host in pool.hosts.items()
            if host.lost == lost
        ]
