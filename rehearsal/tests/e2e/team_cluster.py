"""A control plane with the objects of two teams, and everybody who may or may not do something there."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2

from k3sgpu.settings import Settings
from k3sgpu.teams.manifest import Manifest
from k3sgpu.teams.names import MEMBERS_NAMESPACE
from k3sgpu.teams.objects import TeamObjects
from k3sgpu.wellknown import POOL_LABEL
from rehearsal.progress import Progress
from rehearsal.tests.e2e.controlplane import ControlPlane, control_plane
from rehearsal.toolchain import toolbox
from tests.data.team_files import objects_of, team_settings
from tools.team_permissions.action import NODE, POOL, deployment, in_namespace, in_team, pod, thing

READY_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.25
HARDENED: Final[dict[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""A container's security context that Pod Security's `restricted` accepts."""
FORMER = "eve"
"""A member of TEAM who is taken out after she got a token."""


def path_of(one: Manifest) -> str:
    """Where an object is created."""
    version, kind = one["apiVersion"], one["kind"]
    plural = f"{re.sub('y$', 'ie', re.sub('s$', 'se', kind))}s".lower()
    namespace = one["metadata"].get("namespace")
    root = "/api/v1" if version == "v1" else f"/apis/{version}"
    return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"


def create(client: httpx2.Client, path: str, body: Any, token: str | None = None) -> dict[str, Any]:
    """Creates an object, as an administrator or with a token. Raises ValueError with the server's message."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = client.post(path, json=body, headers=headers)
    if not answer.is_success:
        raise ValueError(f"POST {path}: {answer.status_code} {answer.json().get('message')}")
    return answer.json()


def apply(client: httpx2.Client, objects: Sequence[Manifest]) -> None:
    """Creates objects in their order."""
    for one in objects:
        create(client, path_of(one), one)


def wait_until(what: str, met: Any, seconds: float = READY_SECONDS) -> None:
    """Waits until `met()` returns no text. Raises TimeoutError with the last text."""
    deadline = time.monotonic() + seconds
    while last := met():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}: {last}")
        time.sleep(POLL_SECONDS)


@dataclass
class TeamCluster:
    """A running cluster with its teams. `tokens` are by member, and by `pod-<team>` of its pods' account."""

    plane: ControlPlane
    client: httpx2.Client
    objects: TeamObjects
    tokens: dict[str, str] = field(default_factory=dict)

    def token_of(self, namespace: str, account: str) -> str:
        """A token of a ServiceAccount, by the TokenRequest API."""
        path = in_namespace(f"serviceaccounts/{account}/token", namespace)
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600},
        }
        return create(self.client, path, body)["status"]["token"]

    def ask(self, method: str, path: str, token: str | None, **more: Any) -> httpx2.Response:
        """A request with a token, or as an administrator."""
        headers = {**more.pop("headers", {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        return self.client.request(method, path, headers=headers, **more)


@contextmanager
def start_teams(folder: Path, settings: Settings) -> Iterator[TeamCluster]:
    """Starts a control plane and applies the objects of the stack file's teams; ends when policies answer."""
    programs = toolbox.prepare(Progress()).bin
    with control_plane(folder, programs) as plane, plane.client(30) as client:
        cluster = TeamCluster(plane, client, objects_of(settings))
        _apply_teams(cluster)
        wait_until("the policies of the teams", lambda: _unready_teams(cluster))
        yield cluster


@contextmanager
def team_cluster(folder: Path) -> Iterator[TeamCluster]:
    """Starts a control plane and brings it to the state that tools.team_permissions supposes."""
    settings = team_settings({"teams/vision/members": ["ana", "bo", FORMER]})
    with start_teams(folder, settings) as cluster:
        _fill(cluster)
        _take_out(cluster)
        yield cluster


def _apply_teams(cluster: TeamCluster) -> None:
    apply(cluster.client, cluster.objects.shared)
    for group in (cluster.objects.teams, cluster.objects.members):
        for some in group.values():
            apply(cluster.client, some)
    runtimes = [
        thing("node.k8s.io/v1", "RuntimeClass", name, handler=name) for name in ("nvidia", "nvidia-legacy")
    ]
    apply(cluster.client, runtimes)
    wait_until("the ServiceAccounts of pods", lambda: _missing_accounts(cluster))
    for member in cluster.objects.members:
        cluster.tokens[member] = cluster.token_of(MEMBERS_NAMESPACE, member)
    for team in cluster.objects.teams:
        cluster.tokens[f"pod-{team}"] = cluster.token_of(team, "default")


def _missing_accounts(cluster: TeamCluster) -> str:
    names = [*cluster.objects.teams, "default"]
    found = {name: cluster.client.get(in_namespace("serviceaccounts/default", name)) for name in names}
    return ", ".join(f"none in {name}" for name, answer in found.items() if not answer.is_success)


def _unready_teams(cluster: TeamCluster) -> str:
    """Policies answer some time after they were created."""
    external = thing("v1", "Service", spec={"type": "ExternalName", "externalName": "a.b"})
    safe = {"securityContext": HARDENED}
    critical = pod(priorityClassName="system-cluster-critical", container=safe)
    for team, objects in cluster.objects.teams.items():
        for kind, wrong in (("pods", critical), ("services", external)):
            answer = cluster.client.post(in_namespace(f"{kind}?dryRun=All", team), json=wrong)
            if "ValidatingAdmissionPolicy" not in answer.text:
                return f"wrong {kind} are accepted in {team}: {answer.text[:300]}"
        if burst := _burst_class(objects):
            body = pod(slices=0, priorityClassName=burst, container=safe)
            answer = cluster.client.post(in_namespace("pods?dryRun=All", team), json=body)
            if POOL_LABEL not in answer.text:
                return f"defaults are missing in {team}: {answer.text[:300]}"
        kinds = [one["kind"] for one in objects]
        quotas = cluster.client.get(in_namespace("resourcequotas", team)).json()["items"]
        counted = [one for one in quotas if one.get("status", {}).get("hard")]
        if len(counted) < kinds.count("ResourceQuota"):
            return f"{len(counted)} of {kinds.count('ResourceQuota')} quotas in {team} count"
    return ""


def _burst_class(objects: Sequence[Manifest]) -> str | None:
    scopes = [one["spec"]["scopeSelector"] for one in objects if "scopeSelector" in one.get("spec", {})]
    names = [name for scope in scopes for one in scope["matchExpressions"] for name in one["values"]]
    return next((name for name in names if name.startswith("burst-")), None)


def _fill(cluster: TeamCluster) -> None:
    """The objects that the table's requests name."""
    client, ana = cluster.client, cluster.tokens["ana"]
    node = thing(
        "v1", "Node", NODE, status={"capacity": {"nvidia.com/gpu": "6", "cpu": "8", "memory": "8Gi"}}
    )
    elsewhere = thing("scheduling.k8s.io/v1", "PriorityClass", "burst-big", value=-10)
    apply(client, [node, elsewhere, thing("v1", "Namespace", "gpu-operator"), *_operator()])
    wait_until(
        "the operator's ClusterPolicy",
        lambda: _refusal(
            client,
            "/apis/nvidia.com/v1/clusterpolicies",
            thing("nvidia.com/v1", "ClusterPolicy", "cluster-policy"),
        ),
    )
    wait_until(
        "the operator's pod",
        lambda: _refusal(client, in_namespace("pods", "gpu-operator"), _plain_pod()),
    )
    create(client, in_namespace("pods", "default"), _plain_pod())
    create(client, in_team("pods"), pod(name="train", priorityClassName=f"guaranteed-{POOL}"), ana)
    create(client, in_team("pods"), pod(name="burst", slices=2), ana)
    create(client, in_team("pods"), pod(name="waiting", slices=0), ana)
    for name in ("train", "burst"):
        binding = thing("v1", "Binding", name, target={"kind": "Node", "name": NODE})
        create(client, in_team(f"pods/{name}/binding"), binding)
    service = thing("v1", "Service", "app", spec={"ports": [{"port": 80}], "selector": {"app": "app"}})
    create(client, in_team("services"), service, ana)
    create(client, in_team("deployments", group="apps/v1"), deployment("app"), ana)
    for member in ("cy", "di"):
        one = deployment(f"of-{member}", priorityClassName=f"burst-{POOL}.{member}")
        create(client, in_team("deployments", "students", "apps/v1"), one, cluster.tokens[member])


def _refusal(client: httpx2.Client, path: str, body: Any) -> str:
    answer = client.post(path, json=body)
    return (
        "" if answer.is_success or answer.status_code == 409 else f"{answer.status_code} {answer.text[:200]}"
    )


def _plain_pod() -> dict[str, Any]:
    return thing("v1", "Pod", "plain", spec={"containers": [{"name": "main", "image": "example.org/image"}]})


def _operator() -> list[Manifest]:
    settings = thing("v1", "ConfigMap", "time-slicing-config")
    settings["metadata"]["namespace"] = "gpu-operator"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "clusterpolicies", "singular": "clusterpolicy", "kind": "ClusterPolicy"}
    spec = {"group": "nvidia.com", "scope": "Cluster", "names": names, "versions": [version]}
    kind = "CustomResourceDefinition"
    return [settings, thing("apiextensions.k8s.io/v1", kind, "clusterpolicies.nvidia.com", spec=spec)]


def _take_out(cluster: TeamCluster) -> None:
    """What `up` deletes when a member is taken out. The token ends within 10 s, which the server keeps it."""
    for one in reversed(cluster.objects.members[FORMER]):
        answer = cluster.client.delete(f"{path_of(one)}/{one['metadata']['name']}")
        assert answer.is_success, answer.text

    def unmet() -> str:
        answer = cluster.ask("GET", in_team("pods"), cluster.tokens[FORMER])
        return "" if answer.status_code == 401 else f"the token still answers {answer.status_code}"

    wait_until("the end of the former member's token", unmet)
