"""Reads over the API what an operator that was installed by hand consists of, and who uses its slices."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
from lightkube import AsyncClient

from k3sgpu.adoption.helm_releases import OWNER_LABELS, HelmRelease, newest_releases
from k3sgpu.cluster.client import list_objects, request_deadline
from k3sgpu.cluster.kinds import (
    ClusterPolicy,
    ConfigMap,
    DaemonSet,
    Deployment,
    FluxHelmRelease,
    HelmChart,
    Node,
    Secret,
    StatefulSet,
)
from k3sgpu.wellknown import GPU_RESOURCE, OPERATOR_NAMESPACE

OPERATOR_CHART = "gpu-operator"
_WORKLOADS = (Deployment, StatefulSet, DaemonSet)
_KINDS = ("Deployment", "StatefulSet", "DaemonSet")
_CONTROLLERS = (HelmChart, FluxHelmRelease)
"""Kinds of objects from which k3s and Flux make Helm releases, and make them again."""
_UNMANAGED = "helmcharts.helm.cattle.io/unmanaged"
"""The annotation of a HelmChart that k3s leaves alone (k3s-io/helm-controller)."""


@dataclass(frozen=True)
class SliceUser:
    """A workload that asks for slices."""

    kind: str
    namespace: str
    name: str
    replicas: int
    resource: str
    slices: int
    """Of one pod."""

    @property
    def text(self) -> str:
        """It in words: Deployment default/test (2 × 1 nvidia.com/gpu)."""
        return f"{self.kind} {self.namespace}/{self.name} ({self.replicas} × {self.slices} {self.resource})"


@dataclass(frozen=True)
class ClusterObjects:
    """What the cluster has of the operator. Objects are as the API returns them."""

    nodes: tuple[Mapping[str, Any], ...] = ()
    policies: tuple[Mapping[str, Any], ...] = ()
    releases: tuple[HelmRelease, ...] = ()
    """Of the operator's chart, in all namespaces."""
    config_map: Mapping[str, Any] | None = None
    """The one that the ClusterPolicy names; None where it names none, or one that does not exist."""
    slice_users: tuple[SliceUser, ...] = ()
    controllers: Mapping[str, str] = field(default_factory=dict)
    """By release: the object from which another program makes it."""


async def read_cluster_objects(api: AsyncClient) -> ClusterObjects:
    """Returns what the cluster has. It takes SNAPSHOT_SECONDS at most. Raises ApiUnavailable."""
    async with request_deadline(api):
        nodes, policies, secrets, charts, flux, *workloads = await asyncio.gather(
            list_objects(api, Node),
            list_objects(api, ClusterPolicy),
            list_objects(api, Secret, namespace="*", labels=OWNER_LABELS),
            *(list_objects(api, kind, namespace="*") for kind in (*_CONTROLLERS, *_WORKLOADS)),
        )
        name = config_of(policies[0]).get("name") if policies else None
        config_map = await _get(api, ConfigMap, name, OPERATOR_NAMESPACE) if name else None
    return ClusterObjects(
        nodes=tuple(sorted(nodes, key=lambda node: node["metadata"]["name"])),
        policies=tuple(policies),
        releases=tuple(one for one in newest_releases(secrets) if one.chart == OPERATOR_CHART),
        config_map=config_map,
        slice_users=tuple(
            user
            for kind, objects in zip(_KINDS, workloads, strict=True)
            for item in objects
            for user in _slice_users(kind, item)
        ),
        controllers=_controllers(charts, flux),
    )


def config_of(policy: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of a ClusterPolicy that select the device plugin's configurations."""
    plugin = (policy.get("spec") or {}).get("devicePlugin") or {}
    return plugin.get("config") or {}


def _controllers(charts: list[dict[str, Any]], flux: list[dict[str, Any]]) -> dict[str, str]:
    """By release: the HelmChart of k3s or the HelmRelease of Flux that is at work."""
    at_work = [("HelmChart", one) for one in charts if not _is_unmanaged(one)]
    at_work += [("HelmRelease", one) for one in flux if not one["spec"].get("suspend")]
    return {
        one["spec"].get("releaseName") or one["metadata"]["name"]: (
            f"{kind} {one['metadata']['namespace']}/{one['metadata']['name']}"
        )
        for kind, one in at_work
    }


def _is_unmanaged(chart: Mapping[str, Any]) -> bool:
    return _UNMANAGED in (chart["metadata"].get("annotations") or {})


def _slice_users(kind: str, item: Mapping[str, Any]) -> Iterator[SliceUser]:
    """The workload once for each resource of NVIDIA's that it asks for; not the operator's own."""
    metadata, spec = item["metadata"], item["spec"]
    if metadata["namespace"] == OPERATOR_NAMESPACE:
        return
    asked: dict[str, int] = {}
    for container in spec["template"]["spec"].get("containers") or ():
        for resource, number in ((container.get("resources") or {}).get("limits") or {}).items():
            if resource.startswith(GPU_RESOURCE.partition("/")[0] + "/") and str(number).isdecimal():
                asked[resource] = asked.get(resource, 0) + int(number)
    replicas = spec.get("replicas", 1)
    if kind == "DaemonSet":
        replicas = (item.get("status") or {}).get("desiredNumberScheduled", 0)
    for resource, slices in sorted(asked.items()):
        if slices:
            yield SliceUser(kind, metadata["namespace"], metadata["name"], replicas, resource, slices)


async def _get(api: AsyncClient, kind: Any, name: str, namespace: str) -> Mapping[str, Any] | None:
    """An object; None when it does not exist."""
    try:
        return await api.get(kind, name, namespace=namespace)
    except httpx2.HTTPStatusError as error:
        if error.response.status_code == 404:
            return None
        raise
