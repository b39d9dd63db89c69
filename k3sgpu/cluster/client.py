"""What a cluster shows through its API, as plain dictionaries the rules can be tested with."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import yaml
from lightkube import AsyncClient, KubeConfig
from lightkube.core.exceptions import ApiError, ConfigError
from lightkube.generic_resource import create_global_resource, create_namespaced_resource

from k3sgpu.problem import InputError

LOOK_S = 15  # one look, all its requests together

# Plain dictionaries instead of typed models: a field that a newer Kubernetes adds must not stop a look.
Node = create_global_resource("", "v1", "Node", "nodes")
Pod = create_namespaced_resource("", "v1", "Pod", "pods")
_Event = create_namespaced_resource("", "v1", "Event", "events")
_DaemonSet = create_namespaced_resource("apps", "v1", "DaemonSet", "daemonsets")
_ClusterPolicy = create_global_resource("nvidia.com", "v1", "ClusterPolicy", "clusterpolicies")


class ApiUnavailable(Exception):
    """The API could not be asked just now; its text says how it failed."""


@dataclass(frozen=True)
class Snapshot:
    """The cluster at one moment. Objects as the API gives them."""

    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    policies: list[dict[str, Any]] = field(default_factory=list)
    daemon_sets: dict[str, dict[str, Any]] = field(default_factory=dict)
    pods: list[dict[str, Any]] = field(default_factory=list)


def kubeconfig(text: str, where: str) -> KubeConfig:
    """A kubeconfig from its text. Raises InputError, naming `where` it came from and never its content."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1})" if mark else ""
        raise InputError(f"the kubeconfig from {where} is no YAML{place}") from None
    if not isinstance(data, dict):
        raise InputError(f"the kubeconfig from {where} is {'empty' if not data else 'no mapping'}")
    try:
        config = KubeConfig.from_dict(data)
        if config.get() is None or config.get().user is None:  # pyright: ignore[reportOptionalMemberAccess]
            raise InputError(f"the kubeconfig from {where} names no user for its current context")
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"the kubeconfig from {where} cannot be used: {type(error).__name__} {error}"
        ) from None
    return config


def client(config: KubeConfig) -> AsyncClient:
    """A client for `config`. Certificates pass through files of mode 0600 that are gone when it returns."""
    try:
        return AsyncClient(config=config, timeout=httpx2.Timeout(LOOK_S))
    except (ConfigError, OSError, ValueError) as error:
        raise InputError(f"the kubeconfig's certificates cannot be used: {error}") from None


async def snapshot(api: AsyncClient, namespace: str, gpus: bool) -> Snapshot:
    """One look, within LOOK_S. With `gpus` also at the operator and its pods. Raises ApiUnavailable."""
    async with request_deadline(api):
        nodes = await _list(api, Node)
        if not gpus:
            return Snapshot(nodes=_by_name(nodes))
        policies, daemon_sets, pods = await asyncio.gather(
            _list(api, _ClusterPolicy), _list(api, _DaemonSet, namespace), _list(api, Pod, namespace)
        )
        return Snapshot(_by_name(nodes), policies, _by_name(daemon_sets), pods)


@asynccontextmanager
async def request_deadline(api: AsyncClient) -> AsyncIterator[None]:
    """Questions that take LOOK_S together at most. Raises ApiUnavailable, which says what the API server
    did."""
    try:
        async with asyncio.timeout(LOOK_S):
            yield
    except TimeoutError:
        raise ApiUnavailable(f"{api_address(api)} did not answer within {LOOK_S} s") from None
    except httpx2.HTTPStatusError as error:
        said = error.status.message if isinstance(error, ApiError) else error.response.reason_phrase
        raise ApiUnavailable(f"{api_address(api)} refuses: {error.response.status_code} {said}") from None
    except (httpx2.HTTPError, OSError) as error:
        raise ApiUnavailable(f"{api_address(api)}: {error or type(error).__name__}") from None


async def warning_events(api: AsyncClient, namespace: str, most: int = 5) -> list[str]:
    """The last Warning events of a namespace, newest last; none where they cannot be had."""
    try:
        async with asyncio.timeout(LOOK_S):
            found = api.list(_Event, namespace=namespace, fields={"type": "Warning"})
            events = [event async for event in found]
    except (TimeoutError, httpx2.HTTPError, OSError):
        return []
    events.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
    told = [
        f"{event.get('involvedObject', {}).get('name')}: {event.get('reason')}: {event.get('message', '')}"
        for event in events
    ]
    return list(dict.fromkeys(told))[-most:]


async def _list(api: AsyncClient, resource: Any, namespace: str | None = None) -> list[dict[str, Any]]:
    """All objects of a kind; none when the cluster does not know the kind (yet)."""
    try:
        found = api.list(resource, namespace=namespace) if namespace else api.list(resource)
        return [item async for item in found]
    except httpx2.HTTPStatusError as error:
        if error.response.status_code == 404:
            return []
        raise


def _by_name(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item for item in objects}


def api_address(api: AsyncClient) -> str:
    """Who is asked, in words."""
    return f"the API server {api.config.cluster.server}"
