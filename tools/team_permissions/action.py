"""One request to the API server, and who may make it.

The requests suppose two teams in pool rtx, vision with members ana and eve (who has left), and students with
members cy and di, whose slices are counted each. vision has 2 slices guaranteed, 5 at most, 3 in one pod.
It runs pods `work` (guaranteed, 1 slice) and `burst` (2 slices); `waiting` is not placed yet. Class
burst-big is that of a pool that neither team uses.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Who = Literal["admin", "member", "other", "former", "pod"]
WHO: dict[Who, str] = {
    "admin": "administrator",
    "member": "member",
    "other": "member of another team",
    "former": "former member",
    "pod": "a pod's own ServiceAccount",
}
TEAM, COUNTED_TEAM, POOL = "vision", "students", "rtx"
NODE = "gpu-1"
GPU = "nvidia.com/gpu"

Body = dict[str, Any]


@dataclass(frozen=True)
class Action:
    """A request. `holder` is what refuses it to a member; "" where a member may make it."""

    title: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    body: Body | list[Body] | None = None
    allowed: tuple[Who, ...] = ()
    holder: str = ""
    team: str = TEAM
    """Whose member makes it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    patch: str = "merge-patch"
    connects: bool = False
    """Whether an allowed request fails in the test, which has no kubelet and no certificate to sign."""


def in_team(resource: str, team: str = TEAM, group: str = "") -> str:
    """The path of a resource in a team's namespace."""
    return in_namespace(resource, team, group)


def in_namespace(resource: str, namespace: str, group: str = "") -> str:
    """The path of a resource in a namespace."""
    return f"{_root(group)}/namespaces/{namespace}/{resource}"


def of_cluster(resource: str, group: str = "") -> str:
    """The path of a resource that has no namespace."""
    return f"{_root(group)}/{resource}"


def _root(group: str) -> str:
    return f"/apis/{group}" if group else "/api/v1"


def thing(api_version: str, kind: str, name: str = "new", **fields: Any) -> Body:
    """An object."""
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **fields}


def pod_spec(slices: int = 1, container: Body | None = None, **spec: Any) -> Body:
    """A pod that is accepted as it is: burst, in the team's pool."""
    limits = {"resources": {"limits": {GPU: str(slices)}}} if slices else {}
    main = {"name": "main", "image": "example.org/image", **limits, **(container or {})}
    return {"priorityClassName": f"burst-{POOL}", "containers": [main], **spec}


def pod(
    slices: int = 1,
    container: Body | None = None,
    metadata: Body | None = None,
    name: str = "new",
    **spec: Any,
) -> Body:
    """A Pod with the spec of `pod_spec`."""
    found = thing("v1", "Pod", name, spec=pod_spec(slices, container, **spec))
    found["metadata"] |= metadata or {}
    return found


def deployment(name: str = "new", replicas: int = 0, **spec: Any) -> Body:
    """A Deployment of such pods."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod_spec(**spec)}
    wanted = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return thing("apps/v1", "Deployment", name, spec=wanted)
