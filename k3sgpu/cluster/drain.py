"""Drains nodes before the configuration of their GPUs changes, and uncordons them afterwards.

A drain that fails uncordons what it has cordoned.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from lightkube import AsyncClient, KubeConfig
from lightkube.types import PatchType

from k3sgpu import timeouts
from k3sgpu.cluster.client import ApiUnavailable, api_errors, client
from k3sgpu.cluster.drain_plan import (
    DRAINED_ANNOTATION,
    drained_nodes,
    drained_text,
    nodes_to_drain,
    pod_line,
    pods_holding_gpus,
    why_not_evictable,
)
from k3sgpu.cluster.eviction import request_eviction
from k3sgpu.cluster.kinds import Node, Pod
from k3sgpu.cluster.objects import KubernetesObject
from k3sgpu.handoff.expected_state import ExpectedState
from k3sgpu.polling import Look, poll, progress_line

T = TypeVar("T")


class DrainFailed(Exception):
    """A drain or an uncordon that could not be done; the text says why, and what is still cordoned."""


def drain_changing_nodes(expected: ExpectedState, config: KubeConfig, progress: Callable[[str], None]) -> str:
    """Drains the nodes whose change needs free GPUs, and returns one line for each of them.

    Pods that hold no GPU stay. `progress` gets a line whenever something has changed. Raises DrainFailed if
    pods still hold GPUs after the expected state's drainTimeoutSeconds; the nodes are uncordoned then.
    """
    return asyncio.run(_drain(expected, config, progress))


def uncordon_drained_nodes(config: KubeConfig) -> str:
    """Uncordons the nodes that `drain_changing_nodes` has cordoned. Raises DrainFailed."""
    return asyncio.run(_uncordon_drained_nodes(config))


async def _drain(expected: ExpectedState, config: KubeConfig, progress: Callable[[str], None]) -> str:
    async with client(config) as api:
        nodes = await _nodes(api)
        names = nodes_to_drain(expected, nodes)
        pods = pods_holding_gpus(names, await _pods(api)) if names else []
        if stuck := [pod_line(pod, reason) for pod in pods if (reason := why_not_evictable(pod))]:
            head = "no node was cordoned; these pods hold GPUs and cannot be evicted:"
            raise DrainFailed("\n".join([head, *stuck]))
        # What somebody else has cordoned stays so: it gets no annotation, and is not uncordoned.
        mine = [name for name in names if not (nodes[name].get("spec") or {}).get("unschedulable")]
        try:
            since = datetime.now(UTC).isoformat(timespec="milliseconds")
            for name in mine:
                await _set_schedulable(api, name, unschedulable=True, since=since)
            if names:
                await _evict_until_free(api, names, expected["drainTimeoutSeconds"], progress)
        except BaseException:
            await _uncordon(api, mine)
            raise
        return drained_text(await _nodes(api))


async def _evict_until_free(
    api: AsyncClient, nodes: Sequence[str], deadline: float, progress: Callable[[str], None]
) -> None:
    """Evicts until no pod holds a GPU on the nodes. Raises DrainFailed at the deadline."""

    async def look() -> Look[list[str]]:
        pods = pods_holding_gpus(nodes, await _pods(api))
        lines = [pod_line(pod, (await request_eviction(api, pod)).state) for pod in pods]
        return Look(lines, f"waiting for {'; '.join(lines)}", done=not pods)

    result = await poll(
        look,
        deadline=deadline,
        interval=timeouts.DRAIN_INTERVAL_SECONDS,
        progress=lambda waited, state: progress(progress_line(waited, deadline, state)),
    )
    if not result.done:
        head = f"after {deadline:.0f} s these pods still hold GPUs; their nodes are uncordoned again:"
        raise DrainFailed("\n".join([head, *(result.last.value if result.last else [])]))


async def _uncordon_drained_nodes(config: KubeConfig) -> str:
    async with client(config) as api:
        names = list(drained_nodes(await _nodes(api)))
        await _uncordon(api, names)
    return f"uncordoned: {', '.join(names)}" if names else "no node to uncordon"


async def _uncordon(api: AsyncClient, names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        try:
            await _set_schedulable(api, name, unschedulable=None, since=None)
        except DrainFailed as error:
            rest = " ".join(names[number:])
            raise DrainFailed(f"{error}\nstill cordoned; remedy: kubectl uncordon {rest}") from None


async def _set_schedulable(
    api: AsyncClient, name: str, *, unschedulable: bool | None, since: str | None
) -> None:
    """Cordons (True) or uncordons (None) a node, and sets or removes the annotation. None removes a field."""
    body = {
        "metadata": {"annotations": {DRAINED_ANNOTATION: since}},
        "spec": {"unschedulable": unschedulable},
    }
    await _ask(api, lambda: api.patch(Node, name, body, patch_type=PatchType.MERGE))


async def _nodes(api: AsyncClient) -> dict[str, KubernetesObject]:
    async def list_nodes() -> list[Any]:
        return [item async for item in api.list(Node)]

    return {item["metadata"]["name"]: item for item in await _ask(api, list_nodes)}


async def _pods(api: AsyncClient) -> list[KubernetesObject]:
    async def list_pods() -> list[Any]:
        return [item async for item in api.list(Pod, namespace="*")]

    return await _ask(api, list_pods)


async def _ask(api: AsyncClient, request: Callable[[], Awaitable[T]]) -> T:
    """What `request` returns. It is repeated for API_RETRY_SECONDS while the API server does not answer.

    Raises DrainFailed then, and at once for what the API server refuses.
    """

    async def look() -> Look[T]:
        try:
            with api_errors(api):
                return Look(await request(), done=True)
        except ApiUnavailable as error:
            if error.refused:
                raise DrainFailed(str(error)) from None
            raise

    result = await poll(
        look, deadline=timeouts.API_RETRY_SECONDS, interval=timeouts.API_RETRY_INTERVAL_SECONDS
    )
    if result.last is None:
        raise DrainFailed(
            f"{result.trouble}; asked for {result.waited:.0f} s\n"
            "remedy: on the server: sudo systemctl status k3s"
        )
    return result.last.value
