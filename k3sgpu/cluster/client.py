"""The client of a cluster's API, and a snapshot of the cluster as plain dictionaries."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import yaml
from lightkube import AsyncClient, KubeConfig
from lightkube.core.exceptions import ApiError, ConfigError

from k3sgpu import timeouts
from k3sgpu.cluster.kinds import ClusterPolicy, DaemonSet, Event, Node, Pod
from k3sgpu.foreign_text import escape
from k3sgpu.polling import NoAnswer
from k3sgpu.problem import InputError


class ApiUnavailable(NoAnswer):
    """The API server did not do what it was asked; the text says how it failed."""

    def __init__(self, text: str, *, refused: bool = False) -> None:
        super().__init__(text)
        self.refused = refused
        """It answered with a client error (4xx): asking again is no use."""


@dataclass(frozen=True)
class Snapshot:
    """The cluster at one moment. Objects are as the API returns them."""

    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    policies: list[dict[str, Any]] = field(default_factory=list)
    daemon_sets: dict[str, dict[str, Any]] = field(default_factory=dict)
    pods: list[dict[str, Any]] = field(default_factory=list)


def parse_kubeconfig(text: str, where: str) -> KubeConfig:
    """Parses a kubeconfig.

    Raises InputError, which names `where` the text came from and never quotes it.
    """
    try:
        data = yaml.safe_load(text)
    except (ValueError, RecursionError):  # a date that is none, or values nested too deeply
        raise InputError(f"the kubeconfig from {where} is not YAML that can be read") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark else ""
        raise InputError(f"the kubeconfig from {where} is not YAML{line}") from None
    if not isinstance(data, dict):
        raise InputError(f"the kubeconfig from {where} is {'not a mapping' if data else 'empty'}")
    try:
        config = KubeConfig.from_dict(data)
        if config.get() is None or config.get().user is None:  # pyright: ignore[reportOptionalMemberAccess]
            raise InputError(f"the kubeconfig from {where} names no user for its current context")
    except (ConfigError, AttributeError, KeyError, TypeError, ValueError) as error:
        reason = (
            escape(error)
            if isinstance(error, ConfigError)
            else "no cluster, user or context as kubectl has them"
        )
        raise InputError(f"the kubeconfig from {where} cannot be used: {reason}") from None
    return config


def client(config: KubeConfig) -> AsyncClient:
    """Returns a client for the cluster of `config`.

    Certificates pass through files of mode 0600 that are deleted before it returns. Raises InputError.
    """
    try:
        return AsyncClient(config=config, timeout=httpx2.Timeout(timeouts.SNAPSHOT_SECONDS))
    except (ConfigError, OSError, ValueError) as error:
        raise InputError(f"the kubeconfig's certificates cannot be used: {escape(error)}") from None


def api_address(api: AsyncClient) -> str:
    """The API server and its address, in words."""
    return f"the API server {escape(api.config.cluster.server)}"


@contextmanager
def api_errors(api: AsyncClient) -> Iterator[None]:
    """Raises ApiUnavailable for what goes wrong between the client and the API server."""
    try:
        yield
    except httpx2.HTTPStatusError as error:
        code = error.response.status_code
        message = error.status.message if isinstance(error, ApiError) else error.response.reason_phrase
        raise ApiUnavailable(
            f"{api_address(api)} refuses: {code} {escape(message)}", refused=code < 500
        ) from None
    except (httpx2.HTTPError, OSError) as error:
        raise ApiUnavailable(f"{api_address(api)}: {escape(error) or type(error).__name__}") from None


@asynccontextmanager
async def request_deadline(api: AsyncClient, seconds: float | None = None) -> AsyncIterator[None]:
    """Gives all its requests together so many seconds, SNAPSHOT_SECONDS by default. Raises ApiUnavailable."""
    seconds = seconds or timeouts.SNAPSHOT_SECONDS
    try:
        async with asyncio.timeout(seconds):
            with api_errors(api):
                yield
    except TimeoutError:
        raise ApiUnavailable(f"{api_address(api)} did not answer within {seconds} s") from None


async def take_snapshot(api: AsyncClient, namespace: str, gpus: bool) -> Snapshot:
    """Reads the nodes, and with `gpus` the operator's objects in `namespace` as well.

    It takes SNAPSHOT_SECONDS at most. Raises ApiUnavailable.
    """
    async with request_deadline(api):
        nodes = await list_objects(api, Node)
        if not gpus:
            return Snapshot(nodes=_by_name(nodes))
        policies, daemon_sets, pods = await asyncio.gather(
            list_objects(api, ClusterPolicy),
            list_objects(api, DaemonSet, namespace=namespace),
            list_objects(api, Pod, namespace=namespace),
        )
        return Snapshot(_by_name(nodes), policies, _by_name(daemon_sets), pods)


async def warning_events(api: AsyncClient, namespace: str, most: int = 5) -> list[str]:
    """Returns the last Warning events of a namespace, newest last; none if it cannot read them."""
    try:
        async with request_deadline(api):
            found = api.list(Event, namespace=namespace, fields={"type": "Warning"})
            events = [event async for event in found]
    except ApiUnavailable:
        return []
    events.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
    lines = [
        f"{event.get('involvedObject', {}).get('name')}: {event.get('reason')}: {event.get('message', '')}"
        for event in events
    ]
    return list(dict.fromkeys(lines))[-most:]


async def list_objects(api: AsyncClient, resource: Any, **query: Any) -> list[dict[str, Any]]:
    """Returns all objects of a kind; none while the cluster does not know the kind.

    `query`: `namespace`, with "*" for all, and `labels`. Raises what api_errors translates.
    """
    try:
        return [item async for item in api.list(resource, **query)]
    except httpx2.HTTPStatusError as error:
        if error.response.status_code == 404:
            return []
        raise


def _by_name(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item for item in objects}
