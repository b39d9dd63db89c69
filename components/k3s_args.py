"""What a cluster is made from, in the words of its component."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi
from pulumi_command import remote


class HostArgs(TypedDict):
    """One machine. `name` is its key in the stack file, and the name of its Node."""

    name: str
    address: str
    """Where this program, and the kubeconfig, reach it."""
    node_ip: str
    """Where the other nodes reach it."""
    external_ip: NotRequired[str | None]
    connection: remote.ConnectionArgsDict
    sudo: bool
    """The login is not root: what runs there runs under sudo."""
    sudo_password: NotRequired[pulumi.Input[str] | None]
    """What sudo asks for; without one it must ask for nothing."""
    labels: Mapping[str, str]
    """Of its Node; labels of others there are left alone."""
    taints: Sequence[str]
    """Of its Node, as key=value:Effect or key:Effect; taints of others there are left alone."""
    kubelet_args: Sequence[str]
    """As name=value."""


class ReleaseArgs(TypedDict):
    """Where k3s comes from, and what it must hash to."""

    version: str
    mirror: str
    install_script_url: str
    install_script_sha256: NotRequired[str | None]
    binary_sha256: Mapping[str, str]
    """By architecture: amd64, arm64. Without one the release's own checksum file decides."""


class PreflightArgs(TypedDict):
    """What doctor is told: the inventory as JSON, and the secrets."""

    inventory: str
    secrets: pulumi.Input[str]
    """The stack's secrets that reaching a machine takes, as a JSON object."""


class LostHostArgs(TypedDict):
    """A machine that is dead for good."""

    name: str
    role: str


class K3sClusterArgs(TypedDict):
    """Everything a cluster is made from."""

    servers: Sequence[HostArgs]
    """The initial one first: the others copy its database, and it is asked for tokens and kubeconfig."""
    agents: Sequence[HostArgs]
    lost: Sequence[LostHostArgs]
    """Hosts that will never answer again."""
    registration_address: NotRequired[str | None]
    """Where agents and the kubeconfig find several servers; one alone is found at its own addresses."""
    release: ReleaseArgs
    disable: Sequence[str]
    """Packaged components k3s leaves out, such as traefik."""
    tls_san: Sequence[str]
    config: Mapping[str, object]
    """Further keys of k3s's config.yaml, for all nodes."""
    server_config: Mapping[str, object]
    """Further keys that only a server understands."""
    node_secrets: pulumi.Input[Mapping[str, str]]
    """By name, what converge.sh takes on every node besides tokens: REGISTRIES, ENVIRONMENT."""
    server_secrets: pulumi.Input[Mapping[str, str]]
    """By name, what it takes on servers besides: SERVER_CONFIG."""
    preflight: PreflightArgs
    upload_plans: Mapping[str, str]
    """By host, for `python -m k3sgpu stage`: what this computer brings to it before it converges; empty:
    nothing."""
    start_timeout_seconds: int
    drain_on_patch: bool
    """An upgrade within a minor version moves the pods away first, as one by a minor version always does."""
    drain_timeout_seconds: int
    max_unavailable: int
    """How many running agents a change may touch at the same time."""
    protect: bool
    """Whether the engine refuses to delete a server, and what would clean its machine."""
    generation: int
    """A number without meaning: another one makes preflight, converge and kubeconfig run again."""
