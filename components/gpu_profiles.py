"""The namespace of the GPU Operator, and the ConfigMap of its device plugin's configurations.

Created before the operator and deleted after it, so that a running plugin always finds its configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_command import local

from components.local_command import local_command
from components.sdk_workarounds import child_options
from k3sgpu.handoff.expected_state import EXPECTED_STATE_VARIABLE, ExpectedState, expected_state_json
from k3sgpu.wellknown import OPERATOR_NAMESPACE

FORCE = {"pulumi.com/patchForce": "true"}
"""Annotation: take over fields that somebody else set by hand."""


class GpuProfilesArgs(TypedDict):
    """Configurations, and the state expected of the nodes."""

    configs: Mapping[str, str]
    """By key: a configuration file of NVIDIA's device plugin."""
    config_map: str
    """The ConfigMap's name."""
    adopt_namespace: bool
    """The namespace was created by hand: import it."""
    adopt_config_map: bool
    """The ConfigMap was created by hand: import it."""
    expected: ExpectedState
    """The expected state of all nodes."""
    kubeconfig: pulumi.Input[str]


class GpuProfiles(pulumi.ComponentResource):
    """Namespace and ConfigMap. Before the ConfigMap changes, nodes whose cards must be free are drained."""

    namespace: pulumi.Output[str]
    """The operator's, where its ConfigMaps have to be."""
    drained: local.Command
    """Its stdout names the drained nodes; it changes whenever nodes were drained."""
    config_map: kubernetes.core.v1.ConfigMap

    def __init__(self, name: str, args: GpuProfilesArgs, opts: pulumi.ResourceOptions | None = None):
        super().__init__("k3sgpu:index:GpuProfiles", name, None, opts)
        namespace = kubernetes.core.v1.Namespace(
            name,
            metadata={
                "name": OPERATOR_NAMESPACE,
                # The operator's pods are privileged, which Pod Security refuses otherwise.
                "labels": {"pod-security.kubernetes.io/enforce": "privileged"},
            },
            opts=child_options(
                self,
                opts,
                aliases=[_formerly_in("GpuOperator", "gpu-operator")],
                import_=OPERATOR_NAMESPACE if args["adopt_namespace"] else None,
            ),
        )
        self.namespace = namespace.metadata.apply(lambda metadata: metadata.name or OPERATOR_NAMESPACE)
        self.drained = local_command(
            f"{name}-vacated",
            "drain",
            {EXPECTED_STATE_VARIABLE: expected_state_json(args["expected"])},
            args["kubeconfig"],
            child_options(self, opts),
            runs_on="update",  # at the install there are no pods to move
        )
        self.config_map = kubernetes.core.v1.ConfigMap(
            name,
            metadata={
                "name": args["config_map"],
                "namespace": self.namespace,
                "annotations": FORCE,
            },
            data=args["configs"],
            # After the drain: if it is blocked, the old keys stay, and a plugin that restarts finds its own.
            opts=child_options(
                self,
                opts,
                depends_on=[self.drained],
                aliases=[_formerly_in("GpuSharing", "gpu-sharing")],
                import_=f"{OPERATOR_NAMESPACE}/{args['config_map']}" if args["adopt_config_map"] else None,
            ),
        )
        self.register_outputs({"namespace": self.namespace})


def _formerly_in(component: str, name: str) -> pulumi.Alias:
    """The parent and name in the states of older versions.

    Without the alias the namespace would be replaced, and the operator deleted with it.
    """
    return pulumi.Alias(name=name, parent=pulumi.create_urn(name, f"k3sgpu:index:{component}"))
