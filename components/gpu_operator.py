"""NVIDIA's GPU Operator from its Helm chart.

A Release and not a Chart, because the operator's upgrades and its removal are hooks. Waited for: the
operator's own Deployment. *Not* waited for: its operands (driver, toolkit, device plugin); a Release
knows nothing of them, and the ClusterPolicy says `ready` too early. That is GpuSharing's gate.
"""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from components.operator_hooks import hooks
from components.sdk_workarounds import child_options

RELEASE = "gpu-operator"
CONTAINERD_SOCKET = "/run/k3s/containerd/containerd.sock"  # k3s's own containerd, not the system's


class GpuOperatorArgs(TypedDict):
    """Which operator, and which parts of NVIDIA's stack it brings."""

    namespace: pulumi.Input[str]
    version: str
    chart: str
    """A chart's name in `repository`, an oci:// address, or a folder relative to the project."""
    repository: NotRequired[str | None]
    driver: bool
    """The operator installs the driver; False: the hosts have it."""
    toolkit: bool
    """The operator installs the container toolkit; False: the hosts have it."""
    remove_crds: bool
    """Its CRDs go with it."""
    values: Mapping[str, Any]
    """Further chart values. What the program decides wins."""
    timeout_seconds: int


class GpuOperator(pulumi.ComponentResource):
    """Release of the GPU Operator."""

    release: kubernetes.helm.v3.Release
    """What comes into being with it: the ClusterPolicy `cluster-policy` and its kind."""

    def __init__(self, name: str, args: GpuOperatorArgs, opts: pulumi.ResourceOptions | None = None):
        super().__init__("k3sgpu:index:GpuOperator", name, None, opts)
        repository = args.get("repository")
        self.release = kubernetes.helm.v3.Release(
            name,
            name=RELEASE,
            namespace=args["namespace"],
            chart=args["chart"],
            version=args["version"],
            repository_opts={"repo": repository} if repository else None,
            values=chart_values(args),
            timeout=args["timeout_seconds"],
            # A roll-back would destroy the evidence, and restart containerd once more with the toolkit.
            atomic=False,
            # The CRDs are refreshed by a hook of the upgrade itself, so the old schema must not judge.
            disable_openapi_validation=True,
            opts=child_options(self, opts, hooks=hooks()),
        )
        self.register_outputs({})


def chart_values(args: GpuOperatorArgs) -> dict[str, Any]:
    """The chart's values: the caller's, overlaid by what the program decides."""
    decided: dict[str, Any] = {
        "driver": {"enabled": args["driver"]},
        "toolkit": {"enabled": args["toolkit"]},
        # Its default, single, would win over what the profiles say: differently for each pool.
        "mig": {"strategy": ""},
        # Its default, all-disabled, undoes MIG that an administrator configured on the host.
        "migManager": {"enabled": False},
    }
    if args["remove_crds"]:
        decided["operator"] = {"cleanupCRD": True}
    if args["toolkit"]:
        given = args["values"].get("toolkit", {}).get("env", [])  # lists are not joined by themselves
        decided["toolkit"]["env"] = [*given, {"name": "CONTAINERD_SOCKET", "value": CONTAINERD_SOCKET}]
    return overlay(args["values"], decided)


def overlay(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the keys of `top` in place of its own, map by map; lists are not joined."""
    both = {
        key: overlay(base[key], value)
        for key, value in top.items()
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
    }
    return {**base, **top, **both}
