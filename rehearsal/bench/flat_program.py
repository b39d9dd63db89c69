"""The baseline of part (b): the same resources as a flat program, as one writes it by hand.

It registers what a stack's state has, each resource by its typed class, with literal inputs and the same
dependencies: no components, no settings, nothing computed. Its state is made from the stack's, so nothing
changes when it runs, and its previews compare the same objects in the same cluster.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

SIGNATURE = "4dabf18193072939515e22adb298388d"
"""Marks special values in a state, such as secrets (Pulumi's sdk/go/common/resource, SigKey)."""
STACK = "pulumi:pulumi:Stack"

Deployment = Mapping[str, Any]
"""What `pulumi stack export --show-secrets` prints."""


def flat_deployment(deployment: Deployment, stack: str) -> dict[str, Any]:
    """The state of `stack` after an `up` of the flat program, from another stack's state."""
    latest = deployment["deployment"]
    kept = [one for one in latest["resources"] if one.get("custom") or one["type"] == STACK]
    urns = {one["urn"]: _flat_urn(one["urn"], stack) for one in kept}
    root = next(urns[one["urn"]] for one in kept if one["type"] == STACK)
    left_out = ("parent", "resourceHooks", "sourcePosition", "stackTrace")
    text = json.dumps([{key: item for key, item in one.items() if key not in left_out} for one in kept])
    for old, new in urns.items():  # as a whole, or as the beginning of a reference to a provider
        text = text.replace(f'"{old}"', f'"{new}"').replace(f'"{old}::', f'"{new}::')
    resources = json.loads(text)
    for before, now in zip(kept, resources, strict=True):
        now |= {"parent": root} if before.get("parent") else {"outputs": {}} if now["type"] == STACK else {}
    return {**deployment, "deployment": {**latest, "resources": resources}}


def registered(deployment: Deployment) -> list[dict[str, Any]]:
    """What the flat program registers to have this state."""
    return [
        {
            "type": one["type"],
            "name": one["urn"].rpartition("::")[2],
            "urn": one["urn"],
            "inputs": {key: item for key, item in one["inputs"].items() if not key.startswith("__")},
            "after": one.get("dependencies", []),
            "provider": one.get("provider", "").rpartition("::")[0],
            "deleted_with": one.get("deletedWith", ""),
            "secret_outputs": one.get("additionalSecretOutputs", []),
        }
        for one in deployment["deployment"]["resources"]
        if one.get("parent")
    ]


def run(resources: Sequence[Mapping[str, Any]]) -> None:
    """The program."""
    import pulumi
    import pulumi_kubernetes as kubernetes
    from pulumi_command import local, remote
    from pulumi_kubernetes.apiextensions import CustomResourcePatch
    from pulumi_kubernetes.apps.v1 import Deployment
    from pulumi_kubernetes.core.v1 import ConfigMap, Namespace, NodePatch
    from pulumi_kubernetes.helm.v3 import Release

    classes: Mapping[str, Any] = {
        "command:local:Command": local.Command,
        "command:remote:Command": remote.Command,
        "pulumi:providers:kubernetes": kubernetes.Provider,
        "kubernetes:core/v1:ConfigMap": ConfigMap,
        "kubernetes:core/v1:Namespace": Namespace,
        "kubernetes:core/v1:NodePatch": NodePatch,
        "kubernetes:apps/v1:Deployment": Deployment,
        "kubernetes:helm.sh/v3:Release": Release,
        "kubernetes:nvidia.com/v1:ClusterPolicyPatch": CustomResourcePatch,
    }
    made: dict[str, Any] = {}
    for one in resources:
        inputs = arguments(one, pulumi.Output.secret)
        opts = pulumi.ResourceOptions(
            depends_on=[made[urn] for urn in one["after"]],
            deleted_with=made.get(one["deleted_with"]),
            additional_secret_outputs=one["secret_outputs"],
            provider=made.get(one["provider"]),
        )
        made[one["urn"]] = classes[one["type"]](one["name"], opts=opts, **inputs)


def arguments(one: Mapping[str, Any], secret: Any) -> dict[str, Any]:
    """The arguments of a resource's class, from the inputs in the state."""
    inputs = {_snake(key): _value(item, secret) for key, item in one["inputs"].items()}
    if one["type"].startswith("pulumi:providers:"):  # its inputs are texts in the state
        del inputs["version"]
        return {key: item == "true" if key.startswith("enable_") else item for key, item in inputs.items()}
    if one["type"].startswith("kubernetes:") and not one["type"].endswith(":ClusterPolicyPatch"):
        return {key: item for key, item in inputs.items() if key not in ("api_version", "kind")}
    return inputs


def _value(data: Any, secret: Any) -> Any:
    if isinstance(data, dict) and SIGNATURE in data:
        # A secret within a secret is the plugin's: it marks fields of its own.
        return secret(_value(json.loads(data.get("plaintext") or data["value"]), lambda plain: plain))
    if isinstance(data, dict):
        return {key: _value(item, secret) for key, item in data.items()}
    return [_value(item, secret) for item in data] if isinstance(data, list) else data


def _snake(key: str) -> str:
    """The SDK's name of an input: disable_crd_hooks for disableCRDHooks."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", key).lower()


def _flat_urn(urn: str, stack: str) -> str:
    """The URN in `stack`, without the types of the components around the resource."""
    _, project, kinds, name = urn.split("::", 3)
    kind = kinds.rpartition("$")[2]
    return f"urn:pulumi:{stack}::{project}::{kind}::{f'{project}-{stack}' if kind == STACK else name}"
