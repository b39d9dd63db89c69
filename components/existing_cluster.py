"""A cluster that the stack did not create, and does not delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi import ResourceOptions

from components.local_command import local_command
from components.provider import provider
from k3sgpu.handoff.expected_state import EXPECTED_STATE_VARIABLE, ExpectedState, expected_state_json


class ExistingClusterArgs(TypedDict):
    """The cluster, and those of its Nodes that the stack file names."""

    kubeconfig: str
    """With one context and without references to files; treated as a secret."""
    nodes: Sequence[str]
    expected: ExpectedState
    """That these Nodes exist and are Ready."""


class ExistingCluster(pulumi.ComponentResource):
    """A Provider for an existing cluster. Exists when the cluster has the Nodes and they are Ready."""

    kubeconfig: pulumi.Output[str]
    """The kubeconfig of the arguments, a secret."""
    provider: kubernetes.Provider
    """For every resource inside the cluster."""
    joined: Mapping[str, pulumi.Resource]
    """By Node: the resource after which it is known to exist."""
    last: Sequence[pulumi.Resource]
    """As in K3sCluster."""

    def __init__(self, name: str, args: ExistingClusterArgs, opts: pulumi.ResourceOptions | None = None):
        # The type is a part of every URN in existing states, so it keeps the class's first name.
        super().__init__("k3sgpu:index:GivenCluster", name, None, opts)
        self.kubeconfig = pulumi.Output.secret(args["kubeconfig"])
        # Before any NodePatch: a Patch would create a missing Node.
        nodes_exist = local_command(
            f"{name}-seen",
            "doctor cluster --from-graph",
            {EXPECTED_STATE_VARIABLE: expected_state_json(args["expected"])},
            self.kubeconfig,
            ResourceOptions(parent=self),
        )
        self.joined = dict.fromkeys(args["nodes"], nodes_exist)
        self.provider = provider(
            name,
            self.kubeconfig,
            "Give the stack a new kubeconfig; k3s renews its own when it restarts.",
            ResourceOptions(parent=self, depends_on=[nodes_exist]),
        )
        self.last = [self.provider]
        self.register_outputs({"kubeconfig": self.kubeconfig})
