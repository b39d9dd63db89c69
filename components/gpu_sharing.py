"""Which node uses which configuration of the device plugin, and the readiness gate.

The operator does not watch the ConfigMap's content, but its config-manager watches a node's label. So the key
of a configuration has the hash of its content: a changed profile is a new key, the label of the nodes that
use it changes, and the plugins of all other nodes go on. Those of the nodes that changed start anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_command import local

from components.gpu_profiles import FORCE
from components.local_command import local_command
from components.sdk_workarounds import child_options, without_stack_trace
from k3sgpu.digest import digest
from k3sgpu.handoff.expected_state import (
    EXPECTED_STATE_VARIABLE,
    OFFER_SOURCES_VARIABLE,
    ExpectedState,
    expected_state_json,
)
from k3sgpu.wellknown import CLUSTER_POLICY

FIELD_MANAGER = "k3s-gpu-sharing"


class GpuNodeArgs(TypedDict):
    """One node, and its labels."""

    name: str
    labels: Mapping[str, str]
    """Labels to set; `nvidia.com/device-plugin.config` selects the node's configuration."""
    joined: pulumi.Resource
    """The resource after which the Node exists: a Patch would create a missing one."""


class GpuSharingArgs(TypedDict):
    """Nodes, and the state expected of them."""

    config_map_name: str
    """The ConfigMap that the ClusterPolicy names."""
    default: str
    """The key for nodes without the label, which are in no pool (capacity.default_config_key), or ""."""
    nodes: Sequence[GpuNodeArgs]
    lost: Sequence[str]
    """Nodes of hosts that are dead for good."""
    alive: GpuNodeArgs
    """A living node, on which patches of lost nodes are created if the state has none."""
    expected: ExpectedState
    """The expected state of all nodes."""
    operator: pulumi.Input[str]
    """Changes whenever the operator's Release does."""
    config_map: kubernetes.core.v1.ConfigMap
    """With the configurations of the device plugin."""
    k3s: str
    """Changes whenever something of k3s does that can change what a node offers."""
    drained: pulumi.Input[str]
    """Changes whenever nodes were drained: they are uncordoned once the expected state is reached."""
    kubeconfig: pulumi.Input[str]


class GpuSharing(pulumi.ComponentResource):
    """The patch of the ClusterPolicy, node labels, and the gate that waits for the slices.

    Pass `depends_on` the operator's Release: before it exists, the Patch would create an incomplete
    ClusterPolicy.
    """

    ready: local.Command
    """Exists when every expected resource is allocatable."""
    last: Sequence[pulumi.Resource]
    """Everything else of the component comes before one of them."""

    def __init__(self, name: str, args: GpuSharingArgs, opts: pulumi.ResourceOptions | None = None):
        super().__init__("k3sgpu:index:GpuSharing", name, None, opts)
        policy = kubernetes.apiextensions.CustomResourcePatch(
            name,
            api_version="nvidia.com/v1",
            kind="ClusterPolicy",
            metadata=_patch(CLUSTER_POLICY, {}),
            spec={"devicePlugin": {"config": _config(args)}},
            opts=child_options(self, opts),
        )
        labels = [
            self._label_node(f"{name}-{node['name']}", node, child_options(self, opts, depends_on=[policy]))
            for node in args["nodes"]
        ]
        abandoned = [self._abandon_lost_node(f"{name}-{node}", args["alive"], opts) for node in args["lost"]]
        self.ready = local_command(
            f"{name}-ready",
            "doctor cluster --from-graph",
            {
                EXPECTED_STATE_VARIABLE: expected_state_json(args["expected"]),
                OFFER_SOURCES_VARIABLE: _offer_sources(args, [policy, *labels]),
            },
            args["kubeconfig"],
            child_options(self, opts, depends_on=[policy, *labels]),
        )
        returned = local_command(
            f"{name}-returned",
            "uncordon",
            {"K3SGPU_DRAINED": args["drained"]},
            args["kubeconfig"],
            child_options(self, opts, depends_on=[self.ready]),
            runs_on="update",
        )
        self.last = [returned, *abandoned]
        self.register_outputs({})

    def _label_node(
        self, name: str, node: GpuNodeArgs, opts: pulumi.ResourceOptions
    ) -> kubernetes.core.v1.NodePatch:
        after = pulumi.ResourceOptions(depends_on=[node["joined"]])
        with without_stack_trace():
            return kubernetes.core.v1.NodePatch(
                name,
                metadata=_patch(node["name"], node["labels"]),
                opts=pulumi.ResourceOptions.merge(opts, after),
            )

    def _abandon_lost_node(
        self, name: str, alive: GpuNodeArgs, opts: pulumi.ResourceOptions | None
    ) -> kubernetes.core.v1.NodePatch:
        """Keeps a lost node's patch in the state as it is, and removes it later without an API request.

        The delete of a Patch applies its target once more, without the patched fields: the Node that was just
        deleted would be created again. A patch that is not in the state is created on `alive`, without label.
        """
        return self._label_node(
            name, alive, child_options(self, opts, ignore_changes=["metadata"], retain_on_delete=True)
        )


def _config(args: GpuSharingArgs) -> dict[str, str]:
    """The fields of the ClusterPolicy that select the configurations."""
    default = {"default": args["default"]} if args["default"] else {}
    return {"name": args["config_map_name"], **default}


def _patch(target: str, labels: Mapping[str, str]) -> kubernetes.meta.v1.ObjectMetaPatchArgsDict:
    """Metadata of a Patch on `target`.

    With a fixed field manager, a stack whose state is lost can own its fields again.
    """
    return {
        "name": target,
        "annotations": {"pulumi.com/patchFieldManager": FIELD_MANAGER, **FORCE},
        "labels": labels,
    }


def _offer_sources(args: GpuSharingArgs, patches: Sequence[pulumi.Resource]) -> pulumi.Output[str]:
    """A text that changes with everything that can change what nodes offer: the gate runs again then.

    A refresh may find an object that somebody else has changed, which the next `up` writes again.
    """
    applied = pulumi.Output.all(*(vars(patch)["metadata"] for patch in patches)).apply(_digest_of_patches)
    return pulumi.Output.json_dumps(
        {
            "operator": args["operator"],
            "configurations": args["config_map"].metadata.apply(lambda metadata: metadata.resource_version),
            "patches": applied,
            "k3s": args["k3s"],
        },
        sort_keys=True,
    )


def _digest_of_patches(metadata: Sequence[Any]) -> str:
    """A digest of when FIELD_MANAGER last changed each object.

    The API server keeps that time when others change the object, and when an apply changes nothing
    (Kubernetes, server-side apply, managedFields).
    """
    times = [
        [entry.get("time") for entry in _managed_fields(one) if entry.get("manager") == FIELD_MANAGER]
        for one in metadata
    ]
    return digest(times)


def _managed_fields(metadata: Any) -> Sequence[Mapping[str, Any]]:
    """The managedFields of an object's metadata, which the SDK gives as a type of its own or as a mapping."""
    if isinstance(metadata, kubernetes.meta.v1.outputs.ObjectMetaPatch):
        return metadata.managed_fields or ()
    return (metadata or {}).get("managedFields") or ()
