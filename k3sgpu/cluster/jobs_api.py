"""Jobs over the API. Every call has a deadline; what failed for the moment raises ApiUnavailable."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from lightkube import AsyncClient, KubeConfig
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.types import CascadeType

from k3sgpu.cluster.client import ApiUnavailable, Pod, client, request_deadline

_Job = create_namespaced_resource("batch", "v1", "Job", "jobs")
LOG_LINES = 20

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Jobs:
    """The Jobs of one namespace."""

    api: AsyncClient
    namespace: str

    async def create(self, job: Object) -> str:
        """Its name."""
        async with request_deadline(self.api):
            create: Any = self.api.create  # its overloads do not know resources that are made at run time
            whole = _Job.from_dict({"apiVersion": "batch/v1", "kind": "Job", **job})
            made = await create(whole, namespace=self.namespace)
        return made["metadata"]["name"]

    async def get(self, name: str) -> Object | None:
        """The Job; None where there is none."""
        async with request_deadline(self.api):
            try:
                return await self.api.get(_Job, name, namespace=self.namespace)
            except ApiError as error:
                if error.status.code == 404:
                    return None
                raise

    async def pods(self, name: str) -> list[Object]:
        """The pods of a Job."""
        async with request_deadline(self.api):
            found = self.api.list(Pod, namespace=self.namespace, labels={"job-name": name})
            return [pod async for pod in found]

    async def delete(self, labels: Mapping[str, str]) -> None:
        """All Jobs with these labels, and their pods."""
        async with request_deadline(self.api):
            found = self.api.list(_Job, namespace=self.namespace, labels=dict(labels))
            for name in [job["metadata"]["name"] async for job in found]:
                await self.api.delete(_Job, name, namespace=self.namespace, cascade=CascadeType.BACKGROUND)

    async def log(self, pod: Object) -> list[str]:
        """The last lines that the pod has said, or one that says why they cannot be had."""
        try:
            async with request_deadline(self.api):
                name = pod["metadata"]["name"]
                lines = self.api.log(name, namespace=self.namespace, tail_lines=LOG_LINES)
                return [line.rstrip("\n") async for line in lines]
        except ApiUnavailable as error:
            return [f"(no log: {error})"]


@asynccontextmanager
async def jobs_in(config: KubeConfig, namespace: str) -> AsyncIterator[Jobs]:
    """The Jobs of a namespace, over one connection."""
    async with client(config) as api:
        yield Jobs(api, namespace)
