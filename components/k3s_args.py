"""The arguments of K3sCluster."""

from collections.abc import Mapping, Sequence
from typing import NotRequired

import pulumi
from pulumi_command import remote
from typing_extensions import TypedDict

from k3sgpu.handoff.k3s_config import ClusterConfig, HostConfig


class HostArgs(HostConfig):
    """One host. `name` is its key in the stack file, and the name of its Node."""

    connection: remote.ConnectionArgsDict
    sudo: bool
    """Whether the login is not root: scripts then run under sudo."""
    sudo_password: NotRequired[pulumi.Input[str] | None]
    """Without one sudo must not ask for a password."""


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


class K3sClusterArgs(ClusterConfig):
    """All servers and agents, and k3s's configuration."""

    servers: Sequence[HostArgs]
    """The initial one first: the others copy its database, and tokens and kubeconfig are read from it."""
    reader: HostArgs
    """The initial one once more, with its private key in the form of the key's file. Tokens and kubeconfig
    are read with it: a key in another form would be a change of a stack that exists already, whose outputs,
    and with them everything in the cluster, would be unknown in its preview."""
    agents: Sequence[HostArgs]
    lost: Sequence[LostHostArgs]
    version: str
    """The release of k3s."""
    external_database: bool
    """Whether the servers share a database outside of the cluster, instead of etcd."""
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
