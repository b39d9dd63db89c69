"""The API server's REST interface: just the verbs that the stand-in needs."""

from __future__ import annotations

import json
from typing import Any, Final

import httpx2

from rehearsal.simulators.plugins.kubernetes.kubeconfig import Cluster
from rehearsal.simulators.plugins.server import Failure

ADMISSION: Final = "admissionregistration.k8s.io/v1"
# Plural names of the built-in kinds; those of custom resources are asked from the server.
BUILT_IN: Final = {
    ("v1", "Namespace"): ("namespaces", False),
    ("v1", "Node"): ("nodes", False),
    ("v1", "ConfigMap"): ("configmaps", True),
    ("v1", "Pod"): ("pods", True),
    ("apps/v1", "Deployment"): ("deployments", True),
    ("apps/v1", "ReplicaSet"): ("replicasets", True),
    ("batch/v1", "Job"): ("jobs", True),
    ("v1", "LimitRange"): ("limitranges", True),
    ("v1", "ResourceQuota"): ("resourcequotas", True),
    ("v1", "ServiceAccount"): ("serviceaccounts", True),
    ("networking.k8s.io/v1", "NetworkPolicy"): ("networkpolicies", True),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): ("clusterroles", False),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): ("clusterrolebindings", False),
    ("rbac.authorization.k8s.io/v1", "Role"): ("roles", True),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): ("rolebindings", True),
    ("scheduling.k8s.io/v1", "PriorityClass"): ("priorityclasses", False),
    (ADMISSION, "MutatingAdmissionPolicy"): ("mutatingadmissionpolicies", False),
    (ADMISSION, "MutatingAdmissionPolicyBinding"): ("mutatingadmissionpolicybindings", False),
    (ADMISSION, "ValidatingAdmissionPolicy"): ("validatingadmissionpolicies", False),
    (ADMISSION, "ValidatingAdmissionPolicyBinding"): ("validatingadmissionpolicybindings", False),
}
# Manager of plain creates in the official plugin; its first update hands the fields to the resource's own.
CREATE_MANAGER: Final = "pulumi-kubernetes"

Object = dict[str, Any]


class ApiError(Failure):
    """The API server's refusal: its message, with HTTP code and reason."""

    def __init__(self, code: int, reason: str, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.code, self.reason, self.kind = code, reason, kind

    @property
    def namespace_missing(self) -> bool:
        return self.code == 404 and self.kind == "namespaces"


class UnknownKind(ApiError):
    """The server has no such kind (yet)."""

    def __init__(self, version: str, kind: str) -> None:
        super().__init__(404, "NotFound", f'no matches for kind "{kind}" in version "{version}"')


class Unreachable(Failure):
    """No answer from the API server."""


class Api:
    """One API server. Thread-safe."""

    def __init__(self, cluster: Cluster, timeout_seconds: float) -> None:
        headers = {"Accept": "application/json", "User-Agent": "pulumi-kubernetes-standin"}
        if cluster.token:
            headers["Authorization"] = f"Bearer {cluster.token}"
        self.server = cluster.server
        self.namespace = cluster.namespace
        self._found: dict[tuple[str, str], tuple[str, bool]] = {}
        self._client = httpx2.Client(
            base_url=cluster.server,
            verify=cluster.tls(),
            headers=headers,
            timeout=timeout_seconds,
            trust_env=False,
            limits=httpx2.Limits(max_connections=None),
        )

    def namespaced(self, version: str, kind: str) -> bool:
        """Whether the kind lives in namespaces. Raises UnknownKind."""
        return self._resource(version, kind)[1]

    def _resource(self, version: str, kind: str) -> tuple[str, bool]:
        known = BUILT_IN.get((version, kind)) or self._found.get((version, kind))
        if known:
            return known
        try:
            listed = self._request("GET", _group_path(version))
        except ApiError as error:
            if error.code == 404:
                raise UnknownKind(version, kind) from None
            raise
        for entry in listed["resources"]:
            if entry["kind"] == kind and "/" not in entry["name"]:
                self._found[version, kind] = entry["name"], entry["namespaced"]
                return self._found[version, kind]
        raise UnknownKind(version, kind)

    def _path(self, obj: Object, *, name: bool = True) -> str:
        plural, namespaced = self._resource(obj["apiVersion"], obj["kind"])
        metadata = obj["metadata"]
        path = _group_path(obj["apiVersion"])
        if namespaced:
            path += f"/namespaces/{metadata.get('namespace') or self.namespace}"
        return f"{path}/{plural}" + (f"/{metadata['name']}" if name else "")

    def get(self, obj: Object) -> Object:
        """The live form of `obj`, found by its kind, namespace and name."""
        return self._request("GET", self._path(obj))

    def list(self, version: str, kind: str, namespace: str) -> list[Object]:
        sample = {"apiVersion": version, "kind": kind, "metadata": {"namespace": namespace}}
        items = self._request("GET", self._path(sample, name=False))["items"]
        return [{"apiVersion": version, "kind": kind, **item} for item in items]

    def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        query = {"fieldManager": CREATE_MANAGER} | _dry(dry_run)
        return self._request("POST", self._path(obj, name=False), query, obj)

    def apply(self, obj: Object, manager: str, *, force: bool = False, dry_run: bool = False) -> Object:
        """Server-side apply."""
        query = {"fieldManager": manager, "force": str(force).lower()} | _dry(dry_run)
        return self._request("PATCH", self._path(obj), query, obj, "application/apply-patch+yaml")

    def patch(self, obj: Object, operations: list[Object]) -> Object:
        return self._request("PATCH", self._path(obj), {}, operations, "application/json-patch+json")

    def delete(self, obj: Object, propagation: str) -> None:
        self._request("DELETE", self._path(obj), {}, {"propagationPolicy": propagation})

    def version(self) -> str:
        """The server's version. Raises Unreachable or ApiError when the server cannot be used."""
        return self._request("GET", "/version")["gitVersion"]

    def _request(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Any:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": content_type} if content else {}
        try:
            response = self._client.request(method, path, params=query, content=content, headers=headers)
        except httpx2.HTTPError as error:
            reason = f"{type(error).__name__}: {str(error).lower()}"
            raise Unreachable(f"no answer from the API server at {self.server}: {reason}") from None
        answer = response.json() if "json" in response.headers.get("content-type", "") else {}
        if response.is_success:
            return answer
        message = answer.get("message") or response.text[:300]
        kind = (answer.get("details") or {}).get("kind", "")
        raise ApiError(response.status_code, answer.get("reason", ""), message, kind)


def _group_path(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}
