"""The nodes of the pools, each with what it inherits from its pool and from `ssh`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from k3sgpu.settings.models.pools import Host, Pool, Pools
from k3sgpu.settings.models.ssh import Login, Ssh
from k3sgpu.wellknown import ACCELERATOR_LABEL, HOSTNAME_LABEL, POOL_LABEL

SSH_PORT = 22


@dataclass(frozen=True)
class Gpu:
    """The cards of a node: `count` cards of `product` with `memory_mib` MiB each, shared by `profile`.

    `mig`: the partitions of each card by MIG profile, empty for whole cards. `driver`: the driver's version
    or branch, None where the pool does not declare it.
    """

    product: str
    count: int
    memory_mib: int
    profile: str
    mig: Mapping[str, int] = field(default_factory=dict)
    driver: str | None = None


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An SSH server and the login to use there."""

    title: str
    """Its name in a report."""
    place: str
    """Its path in the stack file."""
    address: str
    user: str
    port: int
    host_key: str | None
    """As in the stack file; None: as in known_hosts."""
    private_key_file: str | None
    """None: the keys come from the SSH agent or the secret sshPrivateKey."""
    key_place: str
    """The path of private_key_file in the stack file."""


@dataclass(frozen=True, kw_only=True)
class Node(Endpoint):
    """A host, or a Node of an existing cluster. `name` is its Kubernetes node name.

    A Node of an existing cluster has no role and no address: the program never logs in there.
    """

    name: str
    pool: str
    role: Literal["server", "agent"] | None
    node_ip: str
    external_ip: str | None
    waive: tuple[str, ...]
    gpu: Gpu | None
    reserved: Mapping[str, int] = field(default_factory=dict)
    """By resource, how many slices others use."""
    maintenance: bool = False
    """Its cards are excluded from the capacity check and the readiness gate."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """As in the stack file."""
    taints: tuple[str, ...] = ()
    """As key=value:Effect or key:Effect."""
    kubelet_args: Mapping[str, str] = field(default_factory=dict)
    """By name, without leading dashes."""
    flannel_iface: str | None = None
    """The network interface for the pods' packets; None: as k3s chooses."""
    adopt: str | None = None
    """The permission to take over a k3s that was installed by hand."""

    def suits(self, selector: Mapping[str, str]) -> bool:
        """Whether this node can match a pod's node selector. A label that is not known in advance matches."""
        labels = {**self.labels, HOSTNAME_LABEL: self.name, POOL_LABEL: self.pool}
        if self.gpu:
            labels[ACCELERATOR_LABEL] = self.gpu.product
        return all(labels.get(key, value) == value for key, value in selector.items())


class ResolvedLogin(TypedDict):
    """The fields of an Endpoint that a host inherits."""

    user: str
    port: int
    private_key_file: str | None
    key_place: str


def resolve_login(ssh: Ssh, *levels: tuple[str, Login], port: int | None = None) -> ResolvedLogin:
    """The login after inheritance. `levels`: path and login, the most specific first; `ssh` comes last.

    `port` overrides the port of all levels.
    """
    every: list[tuple[str, Login | Ssh]] = [*levels, ("ssh", ssh)]

    def first(name: str) -> tuple[str, Any]:
        values = ((place, getattr(level, name)) for place, level in every)
        return next(((place, value) for place, value in values if value), ("ssh", None))

    key_place, key_file = first("private_key_file")
    return {
        "user": first("user")[1],
        "port": port or first("port")[1],
        "private_key_file": key_file,
        "key_place": f"{key_place}.privateKeyFile",
    }


def build_nodes(
    pools: Pools, ssh: Ssh, kubelet_args: Mapping[str, str], default_profile: str, lost: bool
) -> tuple[Node, ...]:
    """The nodes of all pools, by name: those of lost hosts where `lost`, else all others.

    `kubelet_args` are those of every kubelet; `default_profile` is that of pools which name none.
    """
    nodes: list[Node] = []
    for name, pool in pools.items():
        gpu = _gpu(pool, default_profile)
        if not lost:
            nodes += _existing_nodes(name, pool, gpu, ssh)
        nodes += [
            _node_of_host(host_name, host, name, pool, gpu, ssh, kubelet_args)
            for host_name, host in pool.hosts.items()
            if host.lost == lost
        ]
    return tuple(sorted(nodes, key=lambda node: node.name))


def _gpu(pool: Pool, default_profile: str) -> Gpu | None:
    return pool.gpu and Gpu(
        product=pool.gpu.product,
        count=pool.gpu.count,
        memory_mib=pool.gpu.memory_mib,
        profile=pool.gpu.profile or default_profile,
        mig=pool.gpu.mig,
        driver=pool.gpu.driver_version,
    )


def _existing_nodes(pool_name: str, pool: Pool, gpu: Gpu | None, ssh: Ssh) -> Iterator[Node]:
    for name in pool.nodes:
        yield Node(
            title=f"node {name}",
            place=f"pools.{pool_name}.nodes",
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
            **resolve_login(ssh, (f"pools.{pool_name}", pool)),
        )


def _node_of_host(
    name: str,
    host: Host,
    pool_name: str,
    pool: Pool,
    gpu: Gpu | None,
    ssh: Ssh,
    kubelet_args: Mapping[str, str],
) -> Node:
    place = f"pools.{pool_name}.hosts.{name}"
    return Node(
        title=f"host {name}",
        place=place,
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
        kubelet_args={**kubelet_args, **pool.kubelet_args, **host.kubelet_args},
        flannel_iface=host.flannel_iface or pool.flannel_iface,
        adopt=host.adopt,
        **resolve_login(ssh, (place, host), (f"pools.{pool_name}", pool)),
    )
