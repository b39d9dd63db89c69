"""A cluster that is there already: looked at, never changed as such, and left running when the stack goes."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi import ResourceOptions

from components.local_command import local_command
from components.provider import provider


class ExistingClusterArgs(TypedDict):
    """Where the cluster is, and which of its Nodes the stack speaks of."""

    kubeconfig: str
    """With one context, complete in itself; treated as the secret that it is."""
    nodes: Sequence[str]
    expected: str
    """That these Nodes are there, as doctor's JSON."""


class ExistingCluster(pulumi.ComponentResource):
    """A Provider for a cluster that somebody else made; exists when its Nodes were seen."""

    kubeconfig: pulumi.Output[str]
    """The one given, a secret."""
    provider: kubernetes.Provider
    """For every resource inside the cluster."""
    joined: Mapping[str, pulumi.Resource]
    """By Node: what has seen it."""

    def __init__(self, name: str, args: ExistingClusterArgs, opts: pulumi.ResourceOptions | None = None):
        super().__init__("k3sgpu:index:GivenCluster", name, None, opts)
        self.kubeconfig = pulumi.Output.secret(args["kubeconfig"])
        # A Patch would create a Node that is missing, so they are looked for first.
        seen = local_command(
            f"{name}-seen",
            "doctor cluster --from-graph",
            {"K3SGPU_EXPECTED_STATE": args["expected"]},
            self.kubeconfig,
            ResourceOptions(parent=self),
        )
        self.joined = dict.fromkeys(args["nodes"], seen)
        self.provider = provider(
            name,
            self.kubeconfig,
            "Give the stack a new kubeconfig; k3s renews its own when it restarts.",
            ResourceOptions(parent=self, depends_on=[seen]),
        )
        self.register_outputs({"kubeconfig": self.kubeconfig})
