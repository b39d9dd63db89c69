"""Waits until quotas and admission policies hold teams to their shares, before anybody gets a token.

Policies answer some seconds after they were created. A dry run, which changes nothing, tries one policy of
all teams and the two of the team itself; the others were created at the same time.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lightkube import AsyncClient
from lightkube.core.exceptions import ApiError

from k3sgpu import timeouts
from k3sgpu.cluster.client import list_objects, request_deadline
from k3sgpu.cluster.kinds import Pod, ResourceQuota, Service
from k3sgpu.cluster.objects import KubernetesObject
from k3sgpu.foreign_text import escape
from k3sgpu.polling import Look, poll, progress_line
from k3sgpu.teams.names import pool_of_class
from k3sgpu.wellknown import POOL_LABEL

_POLICY = "ValidatingAdmissionPolicy"
_USED_UP = "exceeded quota"
"""A refusal by a quota: those are asked after all policies."""
_SYSTEM_CLASS = "system-cluster-critical"
"""A PriorityClass that every cluster has, and no team may use."""
_METADATA = {"generateName": "k3s-gpu-sharing-probe-"}
_EXTERNAL_NAME = {"type": "ExternalName", "externalName": "probe.invalid"}


class TeamNotReady(Exception):
    """Tokens could not be made; the text says why, and what to do."""


async def wait_until_enforced(
    api: AsyncClient, teams: Sequence[str], progress: Callable[[str], None]
) -> None:
    """Waits until quotas and policies hold the teams. Raises TeamNotReady at the deadline."""

    async def look() -> Look[None]:
        missing = [line for team in teams for line in await _not_enforced(api, team)]
        return Look(None, f"waiting for {'; '.join(missing)}", done=not missing)

    deadline = timeouts.TEAM_POLICIES_SECONDS
    result = await poll(
        look,
        deadline=deadline,
        interval=timeouts.TEAM_INTERVAL_SECONDS,
        progress=lambda waited, state: progress(progress_line(waited, deadline, state)),
    )
    if not result.done:
        raise TeamNotReady(
            f"no token was made: after {deadline} s members would not be held to their teams' rules; "
            f"last seen: {result.state}\nremedy: pulumi up --refresh"
        )


async def _not_enforced(api: AsyncClient, team: str) -> list[str]:
    """What of the team's rules is not in force yet, in words."""
    async with request_deadline(api):
        quotas = await list_objects(api, ResourceQuota, namespace=team)
        missing = [
            f"ResourceQuota {team}/{escape(quota['metadata']['name'])}: no numbers in its status"
            for quota in quotas
            if (quota.get("status") or {}).get("hard") != quota["spec"]["hard"]
        ]
        if not quotas:
            missing.append(f"ResourceQuotas of team {team}: none in its namespace")
        service = {"apiVersion": "v1", "kind": "Service", "metadata": _METADATA, "spec": _EXTERNAL_NAME}
        _, refusal = await _try(api, Service, service, team)
        if _POLICY not in refusal:
            missing.append(
                f"the policy of all teams, in {team}: a Service was {escape(refusal or 'allowed')}"
            )
        _, refusal = await _try(api, Pod, _pod(_SYSTEM_CLASS), team)
        if _POLICY not in refusal:
            missing.append(f"the policy of team {team}: a pod was {escape(refusal or 'allowed')}")
        for name in _burst_classes(quotas)[:1]:
            made, refusal = await _try(api, Pod, _pod(name), team)
            filled = POOL_LABEL in (((made or {}).get("spec") or {}).get("nodeSelector") or {})
            if not filled and _USED_UP not in refusal:
                missing.append(
                    f"the policy that completes pods of team {team}: {escape(refusal or 'nothing')}"
                )
    return missing


def _burst_classes(quotas: Sequence[KubernetesObject]) -> list[str]:
    """The burst classes that the quotas count; none for a team without a pool."""
    terms = [
        term
        for quota in quotas
        for term in (quota["spec"].get("scopeSelector") or {}).get("matchExpressions") or []
    ]
    names = {name for term in terms for name in term.get("values") or []}
    return sorted(name for name in names if (pool_of_class(name) or ("", ""))[0] == "burst")


async def _try(
    api: AsyncClient, resource: Any, body: Mapping[str, Any], team: str
) -> tuple[KubernetesObject | None, str]:
    """What the API server would create, or why it would not."""
    create: Any = api.create  # its overloads do not know resources that are made at run time
    try:
        return await create(resource.from_dict(dict(body)), namespace=team, dry_run=True), ""
    except ApiError as error:
        if error.status.code not in (403, 422):
            raise
        return None, error.status.message or "refused"


def _pod(priority: str) -> dict[str, Any]:
    """A pod without a slice that Pod Security allows at every level."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _METADATA,
        "spec": {
            "priorityClassName": priority,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "probe", "image": "probe.invalid/probe", "securityContext": security}],
        },
    }
