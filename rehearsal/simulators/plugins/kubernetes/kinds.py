"""The modelled kinds, their immutable fields, and how inputs are normalised."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from rehearsal.simulators.plugins.kubernetes import NAME
from rehearsal.simulators.plugins.server import NotModelled
from rehearsal.simulators.plugins.values import Change, Path

RELEASE: Final = "kubernetes:helm.sh/v3:Release"
MODELLED: Final = {
    "kubernetes:core/v1:Namespace",
    "kubernetes:core/v1:ConfigMap",
    "kubernetes:core/v1:NodePatch",
    "kubernetes:apps/v1:Deployment",
    "kubernetes:batch/v1:Job",
    *(
        f"kubernetes:{kind}"
        for kind in (
            "core/v1:LimitRange",
            "core/v1:ResourceQuota",
            "core/v1:ServiceAccount",
            "networking.k8s.io/v1:NetworkPolicy",
            "rbac.authorization.k8s.io/v1:ClusterRole",
            "rbac.authorization.k8s.io/v1:ClusterRoleBinding",
            "rbac.authorization.k8s.io/v1:Role",
            "rbac.authorization.k8s.io/v1:RoleBinding",
            "scheduling.k8s.io/v1:PriorityClass",
            "admissionregistration.k8s.io/v1:MutatingAdmissionPolicy",
            "admissionregistration.k8s.io/v1:MutatingAdmissionPolicyBinding",
            "admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy",
            "admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding",
        )
    ),
}
# Of the kinds that can be imported: the properties that are inputs.
IMPORTED: Final = {
    "kubernetes:core/v1:Namespace": ("apiVersion", "kind", "metadata", "spec"),
    "kubernetes:core/v1:ConfigMap": ("apiVersion", "kind", "metadata", "data", "binaryData", "immutable"),
}
# Of metadata: what the official plugin leaves out of the inputs that it reads at an import.
NOT_IMPORTED: Final = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
IDENTITY: Final[list[Path]] = [("metadata", "name"), ("metadata", "namespace")]
# What the API server refuses to change, or what a change of would mean another object (the official plugin's
# forceNew table).
FIXED: Final[dict[str, list[Path]]] = {
    "Deployment": [("spec", "selector")],
    "Job": [("spec", "completions"), ("spec", "parallelism"), ("spec", "selector"), ("spec", "template")],
}
# Lists and maps that the typed objects leave out when they are empty: without this, an empty one that the
# server drops would differ for ever.
EMPTY_IS_ABSENT: Final = {
    *(
        "annotations",
        "args",
        "binaryData",
        "command",
        "data",
        "env",
        "envFrom",
        "finalizers",
        "imagePullSecrets",
    ),
    *(
        "initContainers",
        "labels",
        "limits",
        "nodeSelector",
        "ports",
        "requests",
        "tolerations",
        "volumeMounts",
    ),
    "volumes",
}
# Maps from a resource to an amount of it.
AMOUNTS: Final = ("defaultRequest", "hard", "limits", "requests")
QUANTITY: Final = re.compile(r"(\d+)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")


@dataclass(frozen=True)
class Kind:
    """The type of one resource of the program."""

    token: str
    patch: bool
    custom: bool  # of a custom resource

    @property
    def name(self) -> str:
        """The kind in the API, e.g. "Node" for a NodePatch."""
        return self.token.rpartition(":")[2].removesuffix("Patch" if self.patch else "")

    def fixed(self, inputs: dict[str, Any], *, config_maps_mutable: bool) -> list[Path]:
        """The paths whose change replaces the object."""
        if self.patch:
            return IDENTITY
        paths = IDENTITY + FIXED.get(self.name, [])
        if self.name == "ConfigMap" and (not config_maps_mutable or inputs.get("immutable")):
            paths = [*paths, ("data",), ("binaryData",)]
        return paths


def of(urn: str) -> Kind:
    """The kind of the resource `urn`. Raises NotModelled."""
    token = urn.split("::")[2].rpartition("$")[2]
    group = token.split(":")[1]
    # A group with a domain that is not Kubernetes' own belongs to a custom resource.
    custom = "." in group and not group.split("/")[0].endswith(".k8s.io")
    patch = token.endswith("Patch")
    if token in MODELLED or (custom and patch):
        return Kind(token, patch, custom)
    raise NotModelled(NAME, token, "use the official plugin, or one of " + ", ".join(sorted(MODELLED)))


def identified(urn: str, identity: str) -> dict[str, Any]:
    """The object that an import or a get names: "namespace/name", or "name". Raises NotModelled."""
    kind = of(urn)
    if kind.token not in IMPORTED:
        raise NotModelled(NAME, f"import and get of {kind.token}", "use the official plugin")
    namespace, _, name = identity.rpartition("/")
    group, version, _ = kind.token.removeprefix("kubernetes:").replace(":", "/").split("/")
    return {
        "apiVersion": version if group == "core" else f"{group}/{version}",
        "kind": kind.name,
        "metadata": {"name": name} | ({"namespace": namespace} if namespace else {}),
    }


def found_inputs(urn: str, live: dict[str, Any]) -> dict[str, Any]:
    """The inputs of an imported object: everything that its type takes, as it is in the cluster."""
    inputs = {key: live[key] for key in IMPORTED[of(urn).token] if key in live}
    metadata = {key: value for key, value in live["metadata"].items() if key not in NOT_IMPORTED}
    if "annotations" in metadata:
        annotations = metadata["annotations"]
        metadata["annotations"] = {key: value for key, value in annotations.items() if key != LAST_APPLIED}
    return inputs | {"metadata": metadata}


def replaces(change: Change, fixed: list[Path]) -> bool:
    """Whether `change` touches one of the `fixed` paths: at it, under it, or by replacing what holds it."""
    return any(change.path[: len(path)] == path for path in fixed)


def normalised(value: Any, key: str = "") -> Any:
    """Inputs in the form in which the API returns them. Raises NotModelled for an amount it would rewrite."""
    if isinstance(value, dict):
        if key in AMOUNTS:
            return {name: _quantity(name, amount) for name, amount in value.items()}
        inside = {name: normalised(inner, name) for name, inner in value.items()}
        return {name: inner for name, inner in inside.items() if not _absent(name, inner)}
    if isinstance(value, list):
        return [normalised(inner) for inner in value]
    return value


def _absent(name: str, value: Any) -> bool:
    return value is None or (name in EMPTY_IS_ABSENT and value in ({}, []))


def _quantity(name: str, amount: Any) -> str:
    text = str(amount)
    match = QUANTITY.fullmatch(text)
    if match:
        number, unit = int(match[1]), match[2]
        step = 1024 if unit and unit.endswith("i") else 1000
        if number and (unit is None or number % step):
            return text
    if text == "0":
        return text
    raise NotModelled(NAME, f"the amount {text!r} of {name}", "write it in the API's form, e.g. 500m, 2, 1Gi")
