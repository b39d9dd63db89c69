"""Cordon, evict, wait; and the way back. Every wait has a deadline, and what fails is undone."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx2
from lightkube import AsyncClient, KubeConfig
from lightkube.core.exceptions import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import PodEviction
from lightkube.types import PatchType

from k3sgpu.cluster.client import Node, Pod, api_address, client
from k3sgpu.cluster.drain_plan import (
    DRAINED_ANNOTATION,
    describe_pod,
    drained_nodes,
    drained_text,
    nodes_to_drain,
    pods_holding_gpus,
    why_not_evictable,
)

EVERY_S = 2
CALL_S = 30  # the API for one request, its restarts included


class DrainBlocked(Exception):
    """The nodes are in use as before; the text says why."""


def drain_changing_nodes(
    expected: Mapping[str, Any], config: KubeConfig, progress: Callable[[str], None]
) -> str:
    """Drains nodes whose GPU configuration changes. Raises DrainBlocked after uncordoning them again."""
    return asyncio.run(_drain_changing_nodes(expected, config, progress))


def uncordon_drained_nodes(config: KubeConfig) -> str:
    """Uncordons what `drain_changing_nodes` has cordoned."""
    return asyncio.run(_uncordon_drained_nodes(config))


async def _drain_changing_nodes(
    expected: Mapping[str, Any], config: KubeConfig, progress: Callable[[str], None]
) -> str:
    async with client(config) as api:
        nodes = await _nodes(api)
        names = nodes_to_drain(expected, nodes)
        in_the_way = pods_holding_gpus(names, await _pods(api)) if names else []
        if stuck := [describe_pod(pod, why) for pod in in_the_way if (why := why_not_evictable(pod))]:
            raise DrainBlocked(
                "\n".join(["no node was touched; these pods hold GPUs and cannot be moved:", *stuck])
            )
        mine = [name for name in names if not (nodes[name].get("spec") or {}).get("unschedulable")]
        try:
            since = datetime.now(UTC).isoformat(timespec="milliseconds")
            for name in mine:
                await _set(api, name, unschedulable=True, since=since)
            await _emptied(api, names, expected["drainTimeoutSeconds"], progress)
        except BaseException:
            await _uncordon(api, mine)
            raise
        return drained_text(await _nodes(api))


async def _emptied(
    api: AsyncClient, names: Sequence[str], seconds: float, progress: Callable[[str], None]
) -> None:
    deadline, shown = time.monotonic() + seconds, ""
    while True:
        pods = pods_holding_gpus(names, await _pods(api)) if names else []
        if not pods:
            return
        states = [describe_pod(pod, await _evicted(api, pod)) for pod in pods]
        if time.monotonic() > deadline:
            head = f"after {seconds:.0f} s these pods still hold GPUs; their nodes are in use as before:"
            raise DrainBlocked("\n".join([head, *states]))
        if (text := "; ".join(states)) != shown:
            progress(f"waiting for: {text}")
            shown = text
        await asyncio.sleep(EVERY_S)


async def _evicted(api: AsyncClient, pod: Mapping[str, Any]) -> str:
    """Asks for the pod's eviction, as the API server allows it; what became of it."""
    meta = pod["metadata"]
    if meta.get("deletionTimestamp"):
        return "is ending"
    wanted = PodEviction(metadata=ObjectMeta(name=meta["name"], namespace=meta["namespace"]))
    try:
        await api.create(wanted, name=meta["name"], namespace=meta["namespace"])
    except ApiError as error:
        return "is gone" if error.status.code == 404 else _said(error)
    except (httpx2.HTTPError, OSError) as error:  # the next round asks again
        return f"not asked: {error or type(error).__name__}"
    return "is ending"


def _said(error: ApiError) -> str:
    """The API server's words: of a PodDisruptionBudget also which, and what it needs."""
    details = error.status.details
    causes = [cause.message for cause in (details and details.causes) or [] if cause.message]
    return " ".join([str(error.status.message), *causes])


async def _uncordon_drained_nodes(config: KubeConfig) -> str:
    async with client(config) as api:
        names = list(drained_nodes(await _nodes(api)))
        await _uncordon(api, names)
    return f"in use again: {', '.join(names)}" if names else "no node was out of use"


async def _uncordon(api: AsyncClient, names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        try:
            await _set(api, name, unschedulable=None, since=None)
        except DrainBlocked as reason:
            raise DrainBlocked(
                f"{reason}\nstill out of use; kubectl uncordon {' '.join(names[number:])}"
            ) from None


async def _set(api: AsyncClient, name: str, *, unschedulable: bool | None, since: str | None) -> None:
    body = {
        "metadata": {"annotations": {DRAINED_ANNOTATION: since}},
        "spec": {"unschedulable": unschedulable},
    }
    await _with_retries(api, lambda: api.patch(Node, name, body, patch_type=PatchType.MERGE))


async def _nodes(api: AsyncClient) -> dict[str, Mapping[str, Any]]:
    async def look() -> list[Any]:
        return [item async for item in api.list(Node)]

    return {item["metadata"]["name"]: item for item in await _with_retries(api, look)}


async def _pods(api: AsyncClient) -> list[Mapping[str, Any]]:
    async def look() -> list[Any]:
        return [item async for item in api.list(Pod, namespace="*")]

    return await _with_retries(api, look)


async def _with_retries(api: AsyncClient, call: Callable[[], Any]) -> Any:
    """The answer; an API that vanishes for a moment is asked again. Raises DrainBlocked."""
    deadline = time.monotonic() + CALL_S
    while True:
        try:
            return await call()
        except (httpx2.HTTPError, OSError) as error:
            if isinstance(error, ApiError) and (error.status.code or 500) < 500:
                raise DrainBlocked(f"{api_address(api)} refuses: {_said(error)}") from None
            if time.monotonic() > deadline:
                raise DrainBlocked(
                    f"{api_address(api)} is unreachable, asked for {CALL_S} s: "
                    f"{error or type(error).__name__}\n"
                    "look at k3s there: sudo systemctl status k3s"
                ) from None
        await asyncio.sleep(1)
