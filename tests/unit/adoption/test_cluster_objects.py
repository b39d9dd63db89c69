"""What is read of a cluster, by an API that answers from a table."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx2
from lightkube import AsyncClient

from k3sgpu.adoption.cluster_objects import read_cluster_objects
from tests.data.adopted_cluster import RELEASE, record


class Api:
    """Lists the objects of each kind, and knows no other kind."""

    def __init__(self, objects: dict[str, list[dict[str, Any]]]) -> None:
        self.objects = objects

    async def list(self, kind: Any, **query: Any) -> AsyncIterator[dict[str, Any]]:
        name = kind._api_info.resource.kind
        if name not in self.objects:
            request = httpx2.Request("GET", "https://127.0.0.1")
            raise httpx2.HTTPStatusError("no", request=request, response=httpx2.Response(404))
        for item in self.objects[name]:
            yield item


def named(name: str, namespace: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, **metadata}, "spec": spec}


def pods(slices: str, replicas: int = 2) -> dict[str, Any]:
    containers = [{"resources": {"limits": {"nvidia.com/gpu": slices, "memory": "1Gi"}}}, {"name": "side"}]
    return {"replicas": replicas, "template": {"spec": {"containers": containers}}}


def read(objects: dict[str, list[dict[str, Any]]]) -> Any:
    return asyncio.run(read_cluster_objects(cast(AsyncClient, Api(objects))))


def test_workloads_that_ask_for_slices_are_named():
    found = read(
        {
            "Deployment": [
                named("test", "default", pods("2")),
                named("web", "default", pods("0")),
                named("operator", "gpu-operator", pods("1")),
            ],
            "DaemonSet": [named("each", "lab", pods("1")) | {"status": {"desiredNumberScheduled": 3}}],
        }
    )
    assert [user.text for user in found.slice_users] == [
        "Deployment default/test (2 × 2 nvidia.com/gpu)",
        "DaemonSet lab/each (3 × 1 nvidia.com/gpu)",
    ]


def test_only_releases_of_the_operator_and_their_controllers_are_found():
    other = record("traefik")
    other["data"] = {"release": "bm8="}
    unmanaged = {"annotations": {"helmcharts.helm.cattle.io/unmanaged": "true"}}
    found = read(
        {
            "Secret": [record(), other],
            "HelmChart": [named(RELEASE, "kube-system", {}), named("gone", "kube-system", {}, **unmanaged)],
            "HelmRelease": [
                named("op", "flux", {"releaseName": "operator"}),
                named("still", "flux", {"suspend": True}),
            ],
        }
    )
    assert [release.name for release in found.releases] == [RELEASE]
    assert found.controllers == {
        RELEASE: f"HelmChart kube-system/{RELEASE}",
        "operator": "HelmRelease flux/op",
    }
