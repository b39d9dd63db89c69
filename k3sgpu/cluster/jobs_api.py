"""Requests about Jobs to the API. Each has a deadline, and raises ApiUnavailable when it fails."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from lightkube import AsyncClient, KubeConfig
from lightkube.core.exceptions import ApiError
from lightkube.types import CascadeType

from k3sgpu.cluster.client import ApiUnavailable, client, request_deadline
from k3sgpu.cluster.kinds import Job, Pod
from k3sgpu.cluster.objects import KubernetesObject
from k3sgpu.foreign_text import escape

LOG_LINES = 20


@dataclass(frozen=True)
class JobsApi:
    """The Jobs of one namespace."""

    api: AsyncClient
    namespace: str

    async def create(self, job: KubernetesObject) -> str:
        """Creates a Job, and returns its name."""
        async with request_deadline(self.api):
            create: Any = self.api.create  # its overloads do not know resources that are made at run time
            whole = Job.from_dict({"apiVersion": "batch/v1", "kind": "Job", **job})
            created = await create(whole, namespace=self.namespace)
        return created["metadata"]["name"]

    async def get(self, name: str) -> KubernetesObject | None:
        """Returns the Job; None when it does not exist."""
        async with request_deadline(self.api):
            try:
                return await self.api.get(Job, name, namespace=self.namespace)
            except ApiError as error:
                if error.status.code == 404:
                    return None
                raise

    async def pods(self, name: str) -> list[KubernetesObject]:
        """Returns the pods of a Job."""
        async with request_deadline(self.api):
            found = self.api.list(Pod, namespace=self.namespace, labels={"job-name": name})
            return [pod async for pod in found]

    async def delete(self, labels: Mapping[str, str]) -> None:
        """Deletes all Jobs that have these labels, with their pods."""
        async with request_deadline(self.api):
            found = self.api.list(Job, namespace=self.namespace, labels=dict(labels))
            for name in [job["metadata"]["name"] async for job in found]:
                await self.api.delete(Job, name, namespace=self.namespace, cascade=CascadeType.BACKGROUND)

    async def log(self, pod: KubernetesObject) -> list[str]:
        """Returns the last lines of the pod's log, or one line that says why it cannot."""
        try:
            async with request_deadline(self.api):
                name = pod["metadata"]["name"]
                lines = self.api.log(name, namespace=self.namespace, tail_lines=LOG_LINES)
                return [escape(line.rstrip("\n")) async for line in lines]
        except ApiUnavailable as error:
            return [f"(no log: {error})"]


@asynccontextmanager
async def jobs_api(config: KubeConfig, namespace: str) -> AsyncIterator[JobsApi]:
    """Holds a connection to the Jobs of a namespace. Raises InputError."""
    async with client(config) as api:
        yield JobsApi(api, namespace)
