"""The arguments of K3sCluster."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi
from pulumi_command import remote


class HostArgs(TypedDict):
    """One host. `name` is its key in the stack file, and the name of its Node."""

    name: str
    address: str
    """The address for SSH, and of the API in the kubeconfig."""
    node_ip: str
    """The address for the other nodes."""
    external_ip: NotRequired[str | None]
    connection: remote.ConnectionArgsDict
    sudo: bool
    """Whether the login is not root: scripts then run under sudo."""
    sudo_password: NotRequired[pulumi.Input[str] | None]
    """Without one sudo must not ask for a password."""
    labels: Mapping[str, str]
    """Of its Node. Other labels of the Node stay."""
    taints: Sequence[str]
    """Of its Node, as key=value:Effect or key:Effect. Other taints of the Node stay."""
    kubelet_args: Sequence[str]
    """As name=value."""
    flannel_iface: NotRequired[str | None]
    """The network interface for the pods' packets. Without one k3s takes the default route's."""


class PreflightArgs(TypedDict):
    """Input of the host checks."""

    inventory: str
    """The hosts, as JSON (k3sgpu.handoff.inventory)."""
    secrets: pulumi.Input[str]
    """The secrets that logins need, as a JSON object."""


class StageArgs(TypedDict):
    """Input of staging."""

    plan: str
    """What every host gets before a Command runs on it, as JSON (k3sgpu.handoff.staging)."""
    secrets: pulumi.Input[str]
    """The secrets that logins and downloads need, as a JSON object."""


class LostHostArgs(TypedDict):
    """A host that is dead for good (`gone: true`)."""

    name: str
    role: str


class K3sClusterArgs(TypedDict):
    """All servers and agents, and k3s's configuration."""

    servers: Sequence[HostArgs]
    """The initial one first: the others copy its database, and tokens and kubeconfig are read from it."""
    reader: HostArgs
    """The initial one once more, with its private key in the form of the key's file. Tokens and kubeconfig
    are read with it: a key in another form would be a change of a stack that exists already, whose outputs,
    and with them everything in the cluster, would be unknown in its preview."""
    agents: Sequence[HostArgs]
    lost: Sequence[LostHostArgs]
    registration_address: NotRequired[str | None]
    """The address of several servers, for agents and the kubeconfig. A single one has its own addresses."""
    version: str
    """The release of k3s."""
    external_database: bool
    """Whether the servers share a database outside of the cluster, instead of etcd."""
    disable: Sequence[str]
    """Packaged components of k3s that are not installed, such as traefik."""
    tls_san: Sequence[str]
    config: Mapping[str, object]
    """Further keys of k3s's config.yaml, for all nodes."""
    server_config: Mapping[str, object]
    """Further keys that only a server understands."""
    node_secrets: pulumi.Input[Mapping[str, str]]
    """By name, for converge.sh on every node: REGISTRIES, ENVIRONMENT, NODE_CONFIG."""
    server_secrets: pulumi.Input[Mapping[str, str]]
    """By name, for converge.sh on servers: SERVER_CONFIG."""
    preflight: PreflightArgs
    stage: StageArgs
    start_timeout_seconds: int
    drain_on_patch: bool
    """Also drain before an upgrade within a minor version. Before one by a minor version it always drains."""
    drain_timeout_seconds: int
    max_unavailable: int
    """How many running agents may change at the same time."""
    protect: bool
    """Whether the engine refuses to delete a server's converge and uninstall."""
    generation: int
    """Another number runs preflight, stage, converge, label-nodes and kubeconfig again."""
