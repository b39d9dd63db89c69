"""Who uses which of the device plugin's configurations, and the proof.

The operator does not watch the ConfigMap's content, but its config-manager watches a node's label.
So every configuration has a key with the hash of its content: a changed profile is a new key, the
label of the nodes that use it moves there, and no other node's plugin notices.
"""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_command import local

from components.gpu_profiles import CONFIG_MAP, FORCE
from components.local_command import local_command
from components.sdk_workarounds import child_options

CLUSTER_POLICY = "cluster-policy"  # the chart's fixed name
FIELD_MANAGER = "k3s-gpu-sharing"


class GpuNodeArgs(TypedDict):
    """One node, and its labels."""

    name: str
    labels: Mapping[str, str]
    """What the program says of it; `nvidia.com/device-plugin.config` among them chooses its configuration."""
    joined: pulumi.Resource
    """What has to exist before the Node does: a Patch would create a missing one."""


class GpuSharingArgs(TypedDict):
    """Nodes, and the state expected of them."""

    default: str
    """The key for nodes without a label, that is: nodes that this program did not join."""
    nodes: Sequence[GpuNodeArgs]
    lost: Sequence[str]
    """Nodes of hosts that are dead for ever."""
    alive: GpuNodeArgs
    """One that is there, without any labels."""
    expected: str
    """What every node must offer in the end, as doctor's JSON."""
    drained: pulumi.Input[str]
    """Changes whenever nodes were drained: they are uncordoned once the expected state is reached."""
    kubeconfig: pulumi.Input[str]


class GpuSharing(pulumi.ComponentResource):
    """ClusterPolicy patch, node labels, and the gate that waits for the slices.

    Give it `depends_on` the operator's Release: a Patch without a target would create one.
    """

    ready: local.Command
    """Exists when every promised resource is allocatable."""

    def __init__(self, name: str, args: GpuSharingArgs, opts: pulumi.ResourceOptions | None = None):
        super().__init__("k3sgpu:index:GpuSharing", name, None, opts)
        policy = kubernetes.apiextensions.CustomResourcePatch(
            name,
            api_version="nvidia.com/v1",
            kind="ClusterPolicy",
            metadata=_patch(CLUSTER_POLICY, {}),
            spec={"devicePlugin": {"config": {"name": CONFIG_MAP, "default": args["default"]}}},
            opts=child_options(self, opts),
        )
        labels = [
            self._labelled(f"{name}-{node['name']}", node, child_options(self, opts, depends_on=[policy]))
            for node in args["nodes"]
        ]
        for node in args["lost"]:
            self._abandon_lost_node(f"{name}-{node}", args["alive"], opts)
        self.ready = local_command(
            f"{name}-ready",
            "doctor cluster --from-graph",
            {"K3SGPU_EXPECTED_STATE": args["expected"]},
            args["kubeconfig"],
            child_options(self, opts, depends_on=[policy, *labels]),
        )
        local_command(
            f"{name}-returned",
            "uncordon",
            {"K3SGPU_DRAINED": args["drained"]},
            args["kubeconfig"],
            child_options(self, opts, depends_on=[self.ready]),
            runs_on="update",
        )
        self.register_outputs({})

    def _labelled(
        self, name: str, node: GpuNodeArgs, opts: pulumi.ResourceOptions
    ) -> kubernetes.core.v1.NodePatch:
        after = pulumi.ResourceOptions(depends_on=[node["joined"]])
        return kubernetes.core.v1.NodePatch(
            name,
            metadata=_patch(node["name"], node["labels"]),
            opts=pulumi.ResourceOptions.merge(opts, after),
        )

    def _abandon_lost_node(self, name: str, alive: GpuNodeArgs, opts: pulumi.ResourceOptions | None) -> None:
        """A dead node's patch leaves the state without a word to the API server.

        The end of a Patch applies its target once more, without its fields: a Node that was just deleted
        would be there again. What the state has of it stays as it is; where it has nothing, the patch is one
        of no label on a node that is there.
        """
        self._labelled(
            name, alive, child_options(self, opts, ignore_changes=["metadata"], retain_on_delete=True)
        )


def _patch(target: str, labels: Mapping[str, str]) -> kubernetes.meta.v1.ObjectMetaPatchArgsDict:
    """Metadata of a Patch on `target`. A fixed manager, so that a lost state can take its fields back."""
    return {
        "name": target,
        "annotations": {"pulumi.com/patchFieldManager": FIELD_MANAGER, **FORCE},
        "labels": labels,
    }
