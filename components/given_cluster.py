"""A cluster that is there already: looked at, never changed as such, and left running when the stack goes."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi import ResourceOptions
from pulumi_command import local

from .kubeconfig import expiry_warning


class GivenClusterArgs(TypedDict):
    """Where the cluster is, and which of its Nodes the stack speaks of."""

    kubeconfig: str
    """With one context, complete in itself; treated as the secret that it is."""
    nodes: Sequence[str]
    promise: str
    """That these Nodes are there, as doctor's JSON."""


class GivenCluster(pulumi.ComponentResource):
    """A Provider for a cluster that somebody else made; exists when its Nodes were seen."""

    kubeconfig: pulumi.Output[str]
    """The one given, a secret."""
    provider: kubernetes.Provider
    """For every resource inside the cluster."""
    joined: Mapping[str, pulumi.Resource]
    """By Node: what has seen it."""

    def __init__(self, name: str, args: GivenClusterArgs, opts: pulumi.ResourceOptions | None = None):
        super().__init__("k3sgpu:index:GivenCluster", name, None, opts)
        self.kubeconfig = pulumi.Output.secret(args["kubeconfig"])
        # A Patch would create a Node that is missing, so they are looked for first.
        seen = local.Command(
            f"{name}-seen",
            create=".venv/bin/python -m doctor cluster --from-graph",
            environment={"K3SGPU_PROMISE": args["promise"]},
            stdin=self.kubeconfig,
            add_previous_output_in_env=False,
            opts=ResourceOptions(parent=self),
        )
        self.joined = dict.fromkeys(args["nodes"], seen)
        warning = expiry_warning(
            args["kubeconfig"],
            "Give the stack a new kubeconfig; k3s renews its own when it restarts.",
        )
        if warning:
            pulumi.log.warn(warning, resource=self)
        self.provider = kubernetes.Provider(
            name,
            kubeconfig=self.kubeconfig,
            # Stable, so that another certificate or address does not replace everything in the cluster.
            cluster_identifier=f"{pulumi.get_project()}-{pulumi.get_stack()}-{name}",
            enable_server_side_apply=True,
            enable_config_map_mutable=True,
            opts=ResourceOptions(parent=self, depends_on=[seen]),
        )
        self.register_outputs({"kubeconfig": self.kubeconfig})
