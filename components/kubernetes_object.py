"""Kubernetes objects that come as plain manifests, each as the resource type of its kind."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi_kubernetes import admissionregistration, core, networking, rbac, scheduling

from components.sdk_workarounds import child_options

Manifest = Mapping[str, Any]
"""An object in the API's JSON: apiVersion, kind, metadata with a name, and what its kind has."""

TYPES: Mapping[tuple[str, str], type[pulumi.CustomResource]] = {
    ("v1", "Namespace"): core.v1.Namespace,
    ("v1", "ConfigMap"): core.v1.ConfigMap,
    ("v1", "LimitRange"): core.v1.LimitRange,
    ("v1", "ResourceQuota"): core.v1.ResourceQuota,
    ("v1", "ServiceAccount"): core.v1.ServiceAccount,
    ("networking.k8s.io/v1", "NetworkPolicy"): networking.v1.NetworkPolicy,
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): rbac.v1.ClusterRole,
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): rbac.v1.ClusterRoleBinding,
    ("rbac.authorization.k8s.io/v1", "Role"): rbac.v1.Role,
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): rbac.v1.RoleBinding,
    ("scheduling.k8s.io/v1", "PriorityClass"): scheduling.v1.PriorityClass,
    (
        "admissionregistration.k8s.io/v1",
        "MutatingAdmissionPolicy",
    ): admissionregistration.v1.MutatingAdmissionPolicy,
    (
        "admissionregistration.k8s.io/v1",
        "MutatingAdmissionPolicyBinding",
    ): admissionregistration.v1.MutatingAdmissionPolicyBinding,
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicy",
    ): admissionregistration.v1.ValidatingAdmissionPolicy,
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicyBinding",
    ): admissionregistration.v1.ValidatingAdmissionPolicyBinding,
}


class KubernetesObjects:
    """Registers objects as children of `parent`; those in a namespace that it has registered come after it.

    A resource's name is the object's, with its namespace where it has one.
    """

    def __init__(self, parent: pulumi.Resource, opts: pulumi.ResourceOptions | None):
        self._parent, self._opts = parent, opts
        self._namespaces: dict[str, pulumi.Resource] = {}

    def register(self, manifests: Sequence[Manifest]) -> list[pulumi.Resource]:
        """Returns the resources in the order of `manifests`."""
        return [self._register(manifest) for manifest in manifests]

    def _register(self, manifest: Manifest) -> pulumi.Resource:
        metadata = manifest["metadata"]
        namespace = metadata.get("namespace")
        after = [self._namespaces[namespace]] if namespace in self._namespaces else []
        # A slash can be in neither name, so that two objects of a kind never share one.
        name = f"{namespace}/{metadata['name']}" if namespace else metadata["name"]
        kind = TYPES[manifest["apiVersion"], manifest["kind"]]
        values = {
            _snake_case(key): value for key, value in manifest.items() if key not in ("apiVersion", "kind")
        }
        resource = kind(name, **values, opts=child_options(self._parent, self._opts, depends_on=after))
        if manifest["kind"] == "Namespace":
            self._namespaces[metadata["name"]] = resource
        return resource


def _snake_case(key: str) -> str:
    """The SDK's name of a field at the top of a manifest. Fields further inside keep the API's names."""
    return re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), key)
