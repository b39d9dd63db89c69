"""The section `pools`: hosts configured alike, or Nodes of an existing cluster."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from k3sgpu.settings.models.addresses import Address
from k3sgpu.settings.models.base import Model
from k3sgpu.settings.models.doctor import WaivedChecks
from k3sgpu.settings.models.grammar import Text
from k3sgpu.settings.models.k3s_files import KubeletArgs
from k3sgpu.settings.models.names import (
    Interface,
    LabelKey,
    LabelValue,
    MigProfile,
    Name,
    NodeName,
    Product,
    ProfileReference,
    Resource,
    Taint,
)
from k3sgpu.settings.models.sharing import MOST_CARDS, NODE_SLICES
from k3sgpu.settings.models.ssh import HostKey, Login
from k3sgpu.settings.models.teams import PerSlice

MOST_MEMORY_MIB = 4 * 1024 * 1024
"""4 TiB, several times the memory of the largest announced card."""

DriverVersion = Annotated[
    str,
    Text(
        r"[1-9][0-9]{2}(?:\.[0-9]{1,4}(?:\.[0-9]{1,4})?)?",
        20,
        "the version of the driver as nvidia-smi shows it, or its branch alone",
        'write for instance "580"',
    ),
]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=100)]
Slices = Annotated[int, Field(ge=0, le=NODE_SLICES)]
Reserved = Annotated[dict[Resource, Slices], Field(max_length=100)]
Taints = Annotated[tuple[Taint, ...], Field(strict=False, max_length=100)]
Permission = Annotated[
    str,
    Text(
        "[0-9a-f]{64}",
        64,
        "64 lower-case hex digits that `python -m k3sgpu adopt` wrote",
        "run it again, or remove the key",
    ),
]
MOST_HOSTS = 1000
"""In one pool. Kubernetes itself is built for 5,000 nodes (kubernetes.io/docs/setup/best-practices)."""


class PoolGpu(Model):
    """The cards in each host of a pool: all hosts of a pool have the same."""

    product: Product = Field(
        description="the product as in the node label nvidia.com/gpu.product, without -SHARED and -MIG-...",
        examples=["NVIDIA-GeForce-RTX-2080-Ti"],
    )
    count: int = Field(
        ge=1,
        le=MOST_CARDS,
        description="the number of physical cards in each host",
        examples=[1],
    )
    memory_mib: int = Field(
        alias="memoryMiB",
        ge=1,
        le=MOST_MEMORY_MIB,
        description="the memory of one card in MiB, as nvidia-smi shows it",
        examples=[11264],
    )
    profile: ProfileReference | None = Field(
        default=None,
        description="the sharing profile: one of sharing.profiles, or none; default: sharing.default",
        examples=["none"],
    )
    driver_version: DriverVersion | None = Field(
        default=None,
        description="the version of the cards' driver as nvidia-smi shows it, or its branch alone, in "
        "quotes; with it images of a newer CUDA get a warning",
        examples=['"580"'],
    )
    mig: Annotated[dict[MigProfile, Annotated[int, Field(ge=1, le=100)]], Field(max_length=20)] = Field(
        default={},
        description="the existing MIG partitions of each card: their number, at least 1, by MIG profile",
        examples=["{1g.5gb: 7}"],
    )
    per_slice: PerSlice = Field(
        default=PerSlice(),
        description="with teams: the CPU and memory that a guaranteed pod can request for each slice, and "
        "that a container requests unless it says otherwise",
        examples=["{cpuMillis: 2000, memoryMiB: 8192}"],
    )


class Host(Login):
    """One host. What is left out is inherited from its pool, then from `ssh`."""

    address: Address = Field(description="the host's IPv4 address", examples=["10.0.0.11"])
    node_ip: Address | None = Field(
        default=None,
        description="the IPv4 address at which the other nodes reach this host; default: address",
        examples=["10.0.0.11"],
    )
    external_ip: Address | None = Field(
        default=None,
        description="the public IPv4 address of this host (k3s's node-external-ip); default: none",
        examples=["203.0.113.11"],
    )
    flannel_iface: Interface | None = Field(
        default=None,
        description="the network interface by which pods of this host reach those of others (k3s's "
        "flannel-iface); default: the pool's",
        examples=["eth1"],
    )
    waive: WaivedChecks = Field(
        default=(),
        description="checks to skip on this host, by the name that doctor reports",
        examples=["[swap]"],
    )
    lost: bool = Field(
        default=False,
        alias="gone",
        description="true: this host will never answer again; the next `pulumi up` deletes its Node, then "
        "remove the host from the stack file",
        examples=["true"],
    )
    host_key: HostKey | None = Field(
        default=None,
        description="the host's public host key, as in its /etc/ssh/ssh_host_ed25519_key.pub; default: the "
        "entry in ssh.knownHostsFile",
        examples=["ssh-ed25519 AAAA..."],
    )
    adopt: Permission | None = Field(
        default=None,
        description="the permission to take over the k3s that was installed on this host by hand, as "
        "`python -m k3sgpu adopt STACK HOST...` writes it: half of the hash of its unit and configuration "
        "files, and half of the hash of the configuration that replaces them; without effect after the "
        "first `pulumi up`",
        examples=["(64 hex digits)"],
    )
    reserved: Reserved | None = Field(
        default=None,
        description="by resource, how many of this host's slices others use; instead of the pool's",
        examples=["{nvidia.com/gpu: 1}"],
    )
    labels: Labels = Field(
        default={},
        description="labels of this node, in addition to the pool's",
        examples=["{zone: a}"],
    )
    taints: Taints = Field(
        default=(),
        description="taints of this node, in addition to the pool's",
        examples=["[team=red:NoSchedule]"],
    )
    kubelet_args: KubeletArgs = Field(
        default={},
        description="arguments of this node's kubelet; they override the pool's",
        examples=["{max-pods: 200}"],
    )
    maintenance: bool = Field(
        default=False,
        description="true: exclude this host's cards from the capacity check and the readiness gate",
        examples=["true"],
    )


def _expand_address(value: Any) -> Any:
    """Expand the short form `gpu-1: 10.0.0.21` to `gpu-1: {address: 10.0.0.21}`."""
    return {"address": value} if isinstance(value, str) else value


HostSetting = Annotated[Host, BeforeValidator(_expand_address, json_schema_input_type=Address | Host)]


class Pool(Login):
    """Hosts configured alike: with role and hosts, or for an existing cluster with nodes."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["role", "hosts"]}, {"required": ["nodes"]}]}
    )

    role: Literal["server", "agent"] | None = Field(
        default=None,
        description="server (runs the control plane, and pods) or agent (runs pods)",
        examples=["agent"],
    )
    hosts: Annotated[dict[NodeName, HostSetting], Field(min_length=1, max_length=MOST_HOSTS)] = Field(
        default={},
        description="the hosts by node name, `name: address` or `name: {address: …, port: …}`",
        examples=["{gpu-1: 10.0.0.21}"],
    )
    nodes: Annotated[tuple[NodeName, ...], Field(strict=False, min_length=1, max_length=MOST_HOSTS)] = Field(
        default=(),
        description="with kubeconfig, instead of role and hosts: the existing Nodes of this pool, by name",
        examples=["[gpu-1]"],
    )
    maintenance: bool = Field(
        default=False,
        description="true: exclude this pool's cards from the capacity check and the readiness gate",
        examples=["true"],
    )
    flannel_iface: Interface | None = Field(
        default=None,
        description="the network interface by which pods of these hosts reach those of others (k3s's "
        "flannel-iface); default: the default route's",
        examples=["eth1"],
    )
    gpu: PoolGpu | None = Field(
        default=None,
        description="the cards in each host of this pool; default: none",
        examples=["{product: NVIDIA-GeForce-RTX-2080-Ti, count: 1, memoryMiB: 11264}"],
    )
    reserved: Reserved = Field(
        default={},
        description="by resource, how many slices of each of these hosts others use",
        examples=["{nvidia.com/gpu: 1}"],
    )
    labels: Labels = Field(default={}, description="labels of each of these nodes", examples=["{zone: a}"])
    taints: Taints = Field(
        default=(), description="taints of each of these nodes", examples=["[team=red:NoSchedule]"]
    )
    kubelet_args: KubeletArgs = Field(
        default={},
        description="arguments of these nodes' kubelets; they override k3s.kubeletArgs",
        examples=["{max-pods: 200}"],
    )


Pools = Annotated[dict[Name, Pool], Field(max_length=MOST_HOSTS)]
