"""What the operator's device plugin finds in the cluster: its namespace, and the configurations by key.

It comes before the operator and goes after it: a plugin that is still running never misses its file.
"""

from collections.abc import Mapping
from typing import TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_command import local

from components.local_command import local_command
from components.sdk_workarounds import child_options

NAMESPACE = "gpu-operator"
CONFIG_MAP = "time-slicing-config"
FORCE = {"pulumi.com/patchForce": "true"}


class GpuProfilesArgs(TypedDict):
    """Configurations, and the state expected of the nodes."""

    configs: Mapping[str, str]
    """By key: a configuration file of NVIDIA's device plugin."""
    expected: str
    """What every node must offer in the end, as doctor's JSON."""
    kubeconfig: pulumi.Input[str]


class GpuProfiles(pulumi.ComponentResource):
    """Namespace and ConfigMap; before either changes, nodes whose cards change hands are vacated."""

    namespace: pulumi.Output[str]
    """Where the operator runs, and where its ConfigMaps have to be."""
    drained: local.Command
    """Its stdout names the nodes that are out of use, and is another one whenever there are more."""
    config_map: kubernetes.core.v1.ConfigMap

    def __init__(self, name: str, args: GpuProfilesArgs, opts: pulumi.ResourceOptions | None = None):
        super().__init__("k3sgpu:index:GpuProfiles", name, None, opts)
        namespace = kubernetes.core.v1.Namespace(
            name,
            metadata={
                "name": NAMESPACE,
                # The operator's pods are privileged: Pod Security would refuse them otherwise.
                "labels": {"pod-security.kubernetes.io/enforce": "privileged"},
            },
            opts=child_options(self, opts, aliases=[_once_of("GpuOperator", "gpu-operator")]),
        )
        self.namespace = namespace.metadata.apply(lambda metadata: metadata.name or NAMESPACE)
        self.drained = local_command(
            f"{name}-vacated",
            "drain",
            {"K3SGPU_EXPECTED_STATE": args["expected"]},
            args["kubeconfig"],
            child_options(self, opts),
            runs_on="update",  # at first there is nobody to move
        )
        self.config_map = kubernetes.core.v1.ConfigMap(
            name,
            metadata={
                "name": CONFIG_MAP,
                "namespace": self.namespace,
                # What somebody has written by hand is taken back: nothing of it is anybody else's.
                "annotations": FORCE,
            },
            data=args["configs"],
            # Where pods stay, the old keys stay: a plugin that restarts meanwhile still finds its own.
            opts=child_options(
                self, opts, depends_on=[self.drained], aliases=[_once_of("GpuSharing", "gpu-sharing")]
            ),
        )
        self.register_outputs({"namespace": self.namespace})


def _once_of(component: str, name: str) -> pulumi.Alias:
    """Where an older state has what is here now: a namespace that is made anew takes the operator with it."""
    return pulumi.Alias(name=name, parent=pulumi.create_urn(name, f"k3sgpu:index:{component}"))
