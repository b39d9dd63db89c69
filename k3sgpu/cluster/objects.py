"""Reading Kubernetes objects, which are plain dictionaries here, as the API returns them."""

from collections.abc import Mapping, Sequence
from typing import Any

KubernetesObject = Mapping[str, Any]


def status_of(item: KubernetesObject) -> Mapping[str, Any]:
    """The object's status; empty when it has none."""
    return item.get("status") or {}


def labels_of(item: KubernetesObject) -> Mapping[str, str]:
    """The object's labels; empty when it has none."""
    return item.get("metadata", {}).get("labels") or {}


def has_ended(pod: KubernetesObject) -> bool:
    """Whether all containers of the pod have ended for good: it holds no resources any more."""
    return status_of(pod).get("phase") in ("Succeeded", "Failed")


def condition(item: KubernetesObject, kind: str) -> Mapping[str, Any]:
    """The condition of that type in the object's status; empty when there is none."""
    conditions = status_of(item).get("conditions") or []
    return next((found for found in conditions if found.get("type") == kind), {})


def pods_on_node(pods: Sequence[KubernetesObject], node: str) -> list[KubernetesObject]:
    """Those of `pods` that are on the node."""
    return [pod for pod in pods if pod.get("spec", {}).get("nodeName") == node]


def is_owned_by(pod: KubernetesObject, owner: str) -> bool:
    """Whether an object of that name owns the pod."""
    return any(one.get("name") == owner for one in pod["metadata"].get("ownerReferences", []))


def pod_state(pod: KubernetesObject) -> str:
    """What a pod is doing, in kubectl's words where it has any."""
    status = status_of(pod)
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or []:
            if trouble := _container_trouble(container):
                return trouble
    init = status.get("initContainerStatuses") or []
    running = [container["name"] for container in init if "running" in container.get("state", {})]
    return f"{status.get('phase', 'Unknown')}, " + (f"still in {running[0]}" if running else "not Ready")


def _container_trouble(container: Mapping[str, Any]) -> str:
    """Why a container does not run, with its termination message where it wrote one; empty when it runs."""
    state = container.get("state", {})
    terminated = state.get("terminated") or {}
    current = state.get("waiting") or (terminated if terminated.get("exitCode") else None)
    if not current or current.get("reason") in (None, "PodInitializing"):
        return ""
    last = (container.get("lastState") or {}).get("terminated") or {}
    messages = [one["message"] for one in (current, last) if one.get("message")]
    return f"{container['name']} {': '.join([current['reason'], *messages])}"
