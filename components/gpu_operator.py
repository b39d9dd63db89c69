"""NVIDIA's GPU Operator from its Helm chart.

A Release and not a Chart, because the chart upgrades and removes with Helm hooks. It waits for the operator's
own Deployment and *not* for its operands (driver, toolkit, device plugin): a Release does not know them, and
the ClusterPolicy becomes `ready` too early. GpuSharing's gate waits for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from components.operator_hooks import hooks, release_description
from components.sdk_workarounds import child_options
from k3sgpu.card_access import closing_variables
from k3sgpu.digest import digest
from k3sgpu.wellknown import OPERATOR_NAMESPACE

CONTAINERD_SOCKET = "/run/k3s/containerd/containerd.sock"  # k3s's own containerd, not the system's


class GpuOperatorArgs(TypedDict):
    """Which operator, and which parts of NVIDIA's stack it installs."""

    namespace: pulumi.Input[str]
    release: str
    """The Helm release's name."""
    adopted: bool
    """It was installed by hand: import it, and add nothing to `values`."""
    version: str
    chart: str
    """A chart's name in `repository`, an oci:// address, or a folder relative to the project."""
    repository: NotRequired[str | None]
    driver: bool
    """The operator installs the driver; False: the hosts have it."""
    toolkit: bool
    """The operator installs the container toolkit; False: the hosts have it."""
    remove_crds: bool
    """Delete its CRDs with it."""
    values: Mapping[str, Any]
    """Further chart values. Values that the program sets win."""
    tolerations: Mapping[str, Any]
    """Chart values with which the pods of GPU nodes tolerate the taints there."""
    timeout_seconds: int


class GpuOperator(pulumi.ComponentResource):
    """Release of the GPU Operator."""

    release: kubernetes.helm.v3.Release
    """It creates the CRD of ClusterPolicy, and the ClusterPolicy `cluster-policy`."""
    installed: pulumi.Output[str]
    """Its version, Helm's revision, and a digest of its inputs: another text after each change."""

    def __init__(self, name: str, args: GpuOperatorArgs, opts: pulumi.ResourceOptions | None = None):
        super().__init__("k3sgpu:index:GpuOperator", name, None, opts)
        repository = args.get("repository")
        self.release = kubernetes.helm.v3.Release(
            name,
            name=args["release"],
            namespace=args["namespace"],
            chart=args["chart"],
            version=args["version"],
            repository_opts={"repo": repository} if repository else None,
            values=chart_values(args),
            timeout=args["timeout_seconds"],
            description=release_description(),
            # A roll-back would destroy the evidence, and the toolkit would restart containerd once more.
            atomic=False,
            # A hook of the upgrade replaces the CRDs, so the values must not be checked against the old ones.
            disable_openapi_validation=True,
            # A release that was installed without the description is not upgraded for its sake.
            opts=child_options(
                self,
                opts,
                hooks=hooks(),
                ignore_changes=["description"],
                import_=f"{OPERATOR_NAMESPACE}/{args['release']}" if args["adopted"] else None,
            ),
        )
        inputs = _inputs_digest(args)
        self.installed = self.release.status.apply(
            lambda status: f"{args['version']}, revision {status.revision if status else None}, {inputs}"
        )
        self.register_outputs({})


def chart_values(args: GpuOperatorArgs) -> dict[str, Any]:
    """The chart's values: the caller's, overlaid by those that the program sets.

    Those of an adopted release stay as they are: any other value starts pods again.
    """
    if args["adopted"]:
        return dict(args["values"])
    program_values: dict[str, Any] = {
        "driver": {"enabled": args["driver"]},
        "toolkit": {"enabled": args["toolkit"]},
        # Its default, `single`, would override the profiles, which differ between pools.
        "mig": {"strategy": ""},
        # Its default, `all-disabled`, removes the MIG devices that an administrator has created on the host.
        "migManager": {"enabled": False},
    }
    if args["remove_crds"]:
        program_values["operator"] = {"cleanupCRD": True}
    if args["toolkit"]:
        # Without them a pod that asks for no slice can take every card of its node.
        added = closing_variables(args["version"], args["values"])
        added["toolkit"] = {"CONTAINERD_SOCKET": CONTAINERD_SOCKET, **added.get("toolkit", {})}
        for section in filter(added.get, added):
            env = args["values"].get(section, {}).get("env", [])
            more = [{"name": name, "value": value} for name, value in added[section].items()]
            program_values.setdefault(section, {})["env"] = [*env, *more]
    return overlay(overlay(args["values"], args["tolerations"]), program_values)


def _inputs_digest(args: GpuOperatorArgs) -> str:
    """A digest of what decides what the Release installs."""
    inputs = [args["version"], args["chart"], args.get("repository"), chart_values(args)]
    return digest(inputs)


def overlay(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the keys of `top` in place of its own, map by map; a list replaces a list."""
    both = {
        key: overlay(base[key], value)
        for key, value in top.items()
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
    }
    return {**base, **top, **both}
