"""The last lines of the operator's containers that ended with an error: they say why."""

from collections.abc import Sequence

from lightkube import AsyncClient

from k3sgpu.cluster.client import ApiUnavailable, Snapshot, request_deadline
from k3sgpu.cluster.objects import KubernetesObject, pods_on_node, status_of

MAX_CONTAINERS = 3
"""Containers on each node whose logs are read."""
LINES = 5
"""Of each log."""


async def crash_logs(
    api: AsyncClient, namespace: str, snapshot: Snapshot, nodes: Sequence[str]
) -> dict[str, list[str]]:
    """Returns, by node, the last lines of its containers that ended with an error.

    It takes SNAPSHOT_SECONDS at most; what cannot be read by then is left out.
    """
    logs: dict[str, list[str]] = {}
    try:
        async with request_deadline(api):
            for node in nodes:
                for pod, container in _crashed(node, snapshot)[:MAX_CONTAINERS]:
                    lines = api.log(pod, namespace=namespace, container=container, tail_lines=LINES)
                    logs.setdefault(node, []).extend([f"{pod}: {line.rstrip()}" async for line in lines])
    except ApiUnavailable:
        pass
    return logs


def _crashed(node: str, snapshot: Snapshot) -> list[tuple[str, str]]:
    """The pod and the name of each container on the node that ended with an error."""
    return [
        (pod["metadata"]["name"], container["name"])
        for pod in pods_on_node(snapshot.pods, node)
        for kind in ("initContainerStatuses", "containerStatuses")
        for container in status_of(pod).get(kind) or []
        if _has_failed(container)
    ]


def _has_failed(container: KubernetesObject) -> bool:
    ended = [
        (container.get(state) or {}).get("terminated") or {}
        for state in ("state", "lastState")
        if "running" not in (container.get("state") or {})
    ]
    return any(one.get("exitCode") for one in ended)
