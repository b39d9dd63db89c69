"""ssh, k3s, kubeconfig and pools: the machines, how to reach them, what k3s they get, or have already."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue, StringConstraints

from k3sgpu.settings.models.base import Model, Strings
from k3sgpu.settings.models.k3s_files import (
    KubeletArgs,
    PodNetwork,
    Proxy,
    Registries,
    ServiceNetwork,
    Snapshots,
)
from k3sgpu.settings.models.k3s_flags import SERVER_KEYS, bare
from k3sgpu.settings.models.names import (
    Address,
    HostName,
    KeyPath,
    LabelKey,
    LabelValue,
    MigProfile,
    Name,
    NodeName,
    Product,
    Resource,
    Taint,
)

RELEASES = "https://github.com/k3s-io/k3s/releases/download"
UPLOADED_RELEASES = "file:///usr/local/lib/k3s-gpu-sharing/release"
"""Where a machine has what airGap names, as a mirror: in a folder that is ours, which clean takes away."""
INSTALL_SCRIPT = "https://raw.githubusercontent.com/k3s-io/k3s/{version}/install.sh"
# Not ssh-rsa: the provider would ask for its SHA-1 signatures, which today's servers refuse.
HOST_KEY = r"(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+={0,2}( .*)?"

Sha256 = Annotated[str, StringConstraints(pattern=re.compile(r"^[0-9a-f]{64}$"))]
HttpsOrFile = Annotated[
    str, StringConstraints(pattern=re.compile(r"^(https://[^/\s]+|file:///)[^\s]*[^/\s]$"))
]
Folder = Annotated[str, StringConstraints(pattern=re.compile(r"^(?!\w+://)[^\n]*[^\s][^\n]*$"))]
Component = Literal["coredns", "servicelb", "traefik", "local-storage", "metrics-server", "runtimes"]
Architecture = Literal["amd64", "arm64"]
Port = Annotated[int, Field(ge=1, le=65535)]
Reserved = dict[Resource, Annotated[int, Field(ge=0)]]


HostKey = Annotated[str, StringConstraints(pattern=re.compile(f"^{HOST_KEY}$"))]


class Login(Model):
    """How a machine, or the machines of a pool, are reached; what is not said comes from the next level."""

    user: str | None = Field(
        default=None, min_length=1, description="the login name there", examples=["root"]
    )
    port: Port | None = Field(default=None, description="sshd's port there, 1 to 65535", examples=[22])
    private_key_file: KeyPath | None = Field(
        default=None,
        description="the path of the private key file for this login",
        examples=["~/.ssh/id_ed25519"],
    )


class Bastion(Login):
    """The one machine through which all others are reached."""

    address: HostName = Field(description="the bastion's name or address", examples=["bastion.example.org"])
    host_key: HostKey | None = Field(
        default=None,
        description="the bastion's public host key, as in /etc/ssh/ssh_host_ed25519_key.pub",
        examples=["ssh-ed25519 AAAA..."],
    )


class Ssh(Model):
    """How machines are reached; a pool and a host may override user, port and key."""

    user: str = Field(
        default="root", min_length=1, description="the login name on the machines", examples=["root"]
    )
    port: Port = Field(default=22, description="sshd's port, 1 to 65535", examples=[22])
    private_key_file: KeyPath | None = Field(
        default=None, description="the path of the private key file", examples=["~/.ssh/id_ed25519"]
    )
    agent: bool = Field(
        default=False,
        description="whether the keys are those of the SSH agent in SSH_AUTH_SOCK",
        examples=["true"],
    )
    known_hosts_file: KeyPath = Field(
        default="~/.ssh/known_hosts",
        description="the path of the file with the machines' host keys",
        examples=["~/.ssh/known_hosts"],
    )
    bastion: Bastion | None = Field(
        default=None,
        description="the machine through which the others are reached",
        examples=["{address: bastion.example.org}"],
    )


def _mirror(data: dict[str, Any]) -> str:
    return UPLOADED_RELEASES if data["air_gap"] else RELEASES


def _install_script(data: dict[str, Any]) -> str:
    mirror, version = data["mirror"], data["version"]
    return (
        f"{mirror}/{version}/install.sh"
        if mirror.startswith("file:")
        else INSTALL_SCRIPT.format(version=version)
    )


class K3s(Model):
    """Which k3s, from where, with which settings."""

    version: Annotated[str, StringConstraints(pattern=re.compile(r"^v\d+\.\d+\.\d+\+k3s\d+$"))] = Field(
        description="the k3s release, vX.Y.Z+k3sN (a channel such as `stable` would change under you)",
        examples=["v1.36.2+k3s1"],
    )
    air_gap: Folder | None = Field(
        default=None,
        description="the folder with releases on this computer that are brought to the machines: "
        "FOLDER/VERSION/k3s",
        examples=["releases"],
    )
    mirror: HttpsOrFile = Field(
        default_factory=_mirror,
        description="where releases come from: https://… or file:///… without a slash at the end",
        examples=[RELEASES],
    )
    install_script_url: HttpsOrFile = Field(
        default_factory=_install_script,
        description="where k3s's install.sh comes from: https://… or file:///…",
        examples=[INSTALL_SCRIPT.format(version="v1.36.2+k3s1")],
    )
    install_script_sha256: Sha256 | None = Field(
        default=None,
        description="the SHA-256 of install.sh, 64 lower-case hex digits",
        examples=["(what sha256sum prints)"],
    )
    binary_sha256: dict[Architecture, Sha256] = Field(
        default={},
        description="the SHA-256 of the k3s binary for amd64 and arm64, 64 lower-case hex digits each",
        examples=["{amd64: (what sha256sum prints)}"],
    )
    initial_server: NodeName | None = Field(
        default=None,
        description="the server whose database the others copy; the only one when there is one",
        examples=["server-1"],
    )
    registration_address: HostName | None = Field(
        default=None,
        description="where agents and the kubeconfig find the servers: a load balancer's or DNS name",
        examples=["k3s.example.org"],
    )
    disable: Annotated[tuple[Component, ...], Field(strict=False)] = Field(
        default=(), description="k3s components to leave out", examples=["[traefik]"]
    )
    tls_san: Strings = Field(
        default=(),
        description="further names and addresses for the API server's certificate",
        examples=["[k3s.example.org]"],
    )
    cluster_cidr: PodNetwork = Field(
        default="10.42.0.0/16",
        description="the network of the pods, /8 to /24: a /24 of it for each node; stays as it began",
        examples=["10.42.0.0/16"],
    )
    service_cidr: ServiceNetwork = Field(
        default="10.43.0.0/16",
        description="the network of the services, /12 to /28; stays as it began",
        examples=["10.43.0.0/16"],
    )
    flannel_backend: Literal["vxlan", "host-gw", "wireguard-native"] = Field(
        default="vxlan",
        description="how pods of different nodes reach each other; stays as it began",
        examples=["wireguard-native"],
    )
    secrets_encryption: bool = Field(
        default=True,
        description="whether Secrets are encrypted in the database; stays as it began",
        examples=[True],
    )
    kubelet_args: KubeletArgs = Field(
        default={},
        description="arguments of every kubelet; a pool and a host may have others",
        examples=["{max-pods: 200}"],
    )
    registries: Registries | None = Field(
        default=None,
        description="where images come from, for every node",
        examples=["{mirrors: {docker.io: {endpoints: [https://mirror.example.org]}}}"],
    )
    proxy: Proxy | None = Field(
        default=None,
        description="the proxy through which k3s and containerd reach the world",
        examples=["{https: http://proxy.example.org:3128}"],
    )
    snapshots: Snapshots | None = Field(
        default=None,
        description="when etcd's snapshots are taken, and where they are kept",
        examples=["{retention: 14}"],
    )
    config: dict[str, JsonValue] = Field(
        default={},
        description="further keys of k3s's config.yaml, each for the nodes that understand it",
        examples=["{default-runtime: nvidia}"],
    )
    start_timeout_seconds: int = Field(
        default=300, ge=1, description="seconds k3s may take to start", examples=[300]
    )
    drain_on_patch: bool = Field(
        default=False,
        description="true: upgrades within a minor version move the pods away first, too",
        examples=[True],
    )
    drain_timeout_seconds: int = Field(
        default=300,
        ge=1,
        description="seconds a node's pods may take to go before an upgrade, or its cards change hands",
        examples=[300],
    )
    max_unavailable: int = Field(
        default=1, ge=1, description="how many agents change at one time", examples=[1]
    )
    protect: bool = Field(
        default=False,
        description="true: the engine refuses to delete a server, until this is false again and `up` has run",
        examples=["true"],
    )
    generation: int = Field(
        default=0, ge=0, description="raise it to look at, converge and read all machines again", examples=[1]
    )

    @property
    def node_config(self) -> dict[str, JsonValue]:
        """What of `config` goes to every node."""
        return {key: value for key, value in self.config.items() if bare(key) not in SERVER_KEYS}

    @property
    def server_config(self) -> dict[str, JsonValue]:
        """What only servers understand; an agent would log it and restart for nothing.

        What is k3s's own choice is not written, so that saying it changes nothing.
        """
        said = {
            "cluster-cidr": (self.cluster_cidr, "10.42.0.0/16"),
            "service-cidr": (self.service_cidr, "10.43.0.0/16"),
            "flannel-backend": (self.flannel_backend, "vxlan"),
        }
        chosen: dict[str, JsonValue] = {
            key: value for key, (value, default) in said.items() if value != default
        }
        config = {key: value for key, value in self.config.items() if bare(key) in SERVER_KEYS}
        return config | chosen | {"secrets-encryption": self.secrets_encryption} | self._snapshots

    @property
    def _snapshots(self) -> dict[str, JsonValue]:
        snapshots = self.snapshots or Snapshots()
        store = snapshots.s3
        said: dict[str, JsonValue] = {
            "etcd-snapshot-schedule-cron": snapshots.schedule,
            "etcd-snapshot-retention": snapshots.retention,
        }
        if store:
            said["etcd-s3"] = True
            said |= {f"etcd-s3-{name}": value for name, value in store.model_dump().items()}
        return {key: value for key, value in said.items() if value is not None}


class Kubeconfig(Model):
    """A cluster that is there already: its machines are never touched."""

    file: KeyPath | None = Field(
        default=None,
        description="the path of its kubeconfig; or keep the text as the secret clusterKubeconfig",
        examples=["~/.kube/config"],
    )
    context: str | None = Field(
        default=None,
        min_length=1,
        description="the kubeconfig's context to use; without it the current one",
        examples=["lab"],
    )


def expand_file_path(value: Any) -> Any:
    """`kubeconfig: ~/.kube/config` is short for `kubeconfig: {file: ~/.kube/config}`."""
    return {"file": value} if isinstance(value, str) else value


DriverVersion = Annotated[
    str, StringConstraints(pattern=re.compile(r"^[1-9][0-9]{2}([.][0-9]+([.][0-9]+)?)?$"))
]


class PoolGpu(Model):
    """The cards of each machine of a pool: all machines of a pool have the same."""

    product: Product = Field(
        description="the card as in the node label nvidia.com/gpu.product, without -SHARED",
        examples=["NVIDIA-GeForce-RTX-2080-Ti"],
    )
    count: int = Field(ge=1, description="physical cards in each machine, at least 1", examples=[1])
    memory_mib: int = Field(
        alias="memoryMiB", ge=1, description="MiB of one card, as nvidia-smi shows it", examples=[11264]
    )
    profile: str | None = Field(
        default=None, description="one of sharing.profiles, or none", examples=["none"]
    )
    driver_version: DriverVersion | None = Field(
        default=None,
        description="the cards' driver as nvidia-smi shows it, or its branch alone, in quotes",
        examples=['"580"'],
    )
    mig: dict[MigProfile, Annotated[int, Field(ge=1)]] = Field(
        default={},
        description="the MIG partitions that each card is already cut into, at least 1 of each kind",
        examples=["{1g.5gb: 7}"],
    )


Labels = dict[LabelKey, LabelValue]
Taints = Annotated[tuple[Taint, ...], Field(strict=False)]


WaivableCheck = Literal[
    "address",
    "cgroup",
    "clock",
    "containerd",
    "cpu",
    "disk",
    "dns",
    "download",
    "driver",
    "driver-image",
    "fabric",
    "firewall",
    "gpu",
    "headers",
    "hostname",
    "inodes",
    "iptables",
    "kernel-config",
    "machine-id",
    "memory",
    "modules",
    "mounts",
    "networks",
    "nm-cloud-setup",
    "ports",
    "product-uuid",
    "registration",
    "route",
    "runtime",
    "secure-boot",
    "security",
    "skew",
    "swap",
    "system",
    "time-sync",
    "toolkit",
    "tools",
    "version",
]
"""Doctor's rules that somebody may know better than; not whose machine it is, and not who may log in."""

WaivedChecks = Annotated[tuple[WaivableCheck, ...], Field(strict=False)]


class Doctor(Model):
    """What of doctor's look at the machines is to be let pass."""

    waive: WaivedChecks = Field(
        default=(), description="checks to let pass on every machine, by doctor's name", examples=["[swap]"]
    )


class Host(Login):
    """One machine; what it does not say comes from its pool, then from `ssh`."""

    address: Address = Field(description="the machine's IPv4 address", examples=["10.0.0.11"])
    node_ip: Address | None = Field(
        default=None,
        description="the IPv4 address at which the other nodes reach it, where that is not `address`",
        examples=["10.0.0.11"],
    )
    external_ip: Address | None = Field(
        default=None,
        description="the IPv4 address that the world reaches it by: k3s's node-external-ip",
        examples=["203.0.113.11"],
    )
    waive: WaivedChecks = Field(
        default=(), description="checks to let pass on this machine, by doctor's name", examples=["[swap]"]
    )
    lost: bool = Field(
        default=False,
        alias="gone",
        description="true for a machine that will never answer again; take it out after the next `up`",
        examples=["true"],
    )
    host_key: HostKey | None = Field(
        default=None,
        description="the machine's public host key, as in /etc/ssh/ssh_host_ed25519_key.pub",
        examples=["ssh-ed25519 AAAA..."],
    )
    reserved: Reserved | None = Field(
        default=None,
        description="what things outside the stack use on this machine, by resource; instead of the pool's",
        examples=["{nvidia.com/gpu: 1}"],
    )
    labels: Labels = Field(
        default={},
        description="labels of this node, besides its pool's",
        examples=["{zone: a}"],
    )
    taints: Taints = Field(
        default=(), description="taints of this node, besides its pool's", examples=["[team=red:NoSchedule]"]
    )
    kubelet_args: KubeletArgs = Field(
        default={},
        description="arguments of this node's kubelet, besides its pool's",
        examples=["{max-pods: 200}"],
    )
    maintenance: bool = Field(
        default=False,
        description="true: nothing is expected of this machine's cards, and no workload is planned on it",
        examples=["true"],
    )


def _expand_address(value: Any) -> Any:
    """`gpu-1: 10.0.0.21` is short for `gpu-1: {address: 10.0.0.21}`."""
    return {"address": value} if isinstance(value, str) else value


class Pool(Login):
    """Machines of one kind."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["role", "hosts"]}, {"required": ["nodes"]}]}
    )

    role: Literal["server", "agent"] | None = Field(
        default=None,
        description="server (runs the control plane, and pods) or agent",
        examples=["agent"],
    )
    hosts: Annotated[
        dict[
            NodeName, Annotated[Host, BeforeValidator(_expand_address, json_schema_input_type=Address | Host)]
        ],
        Field(min_length=1),
    ] = Field(
        default={},
        description="the machines, `name: address` or `name: {address: …, port: …}`",
        examples=["{gpu-1: 10.0.0.21}"],
    )
    nodes: Annotated[tuple[NodeName, ...], Field(strict=False, min_length=1)] = Field(
        default=(),
        description="instead of role and hosts, beside kubeconfig: the cluster's Nodes of this kind, by name",
        examples=["[gpu-1]"],
    )
    maintenance: bool = Field(
        default=False,
        description="true: nothing is expected of these machines' cards, and no workload is planned on them",
        examples=["true"],
    )
    gpu: PoolGpu | None = Field(
        default=None,
        description="the cards in each machine of this pool",
        examples=["{product: NVIDIA-GeForce-RTX-2080-Ti, count: 1, memoryMiB: 11264}"],
    )
    reserved: Reserved = Field(
        default={},
        description="what things outside the stack use on each of these machines, by resource",
        examples=["{nvidia.com/gpu: 1}"],
    )
    labels: Labels = Field(default={}, description="labels of each of these nodes", examples=["{zone: a}"])
    taints: Taints = Field(
        default=(), description="taints of each of these nodes", examples=["[team=red:NoSchedule]"]
    )
    kubelet_args: KubeletArgs = Field(
        default={},
        description="arguments of these nodes' kubelets, besides those of k3s.kubeletArgs",
        examples=["{max-pods: 200}"],
    )


Pools = dict[Name, Pool]
