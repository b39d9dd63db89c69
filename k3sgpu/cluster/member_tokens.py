"""Makes tokens for members of teams, once what holds the members in their namespaces is in force."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from lightkube import AsyncClient, KubeConfig
from lightkube.core.exceptions import ApiError
from lightkube.models.authentication_v1 import TokenRequestSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ServiceAccountToken

from k3sgpu import timeouts
from k3sgpu.cluster.client import ApiUnavailable, client, list_objects, request_deadline
from k3sgpu.cluster.kinds import Pod, ResourceQuota, Service
from k3sgpu.foreign_text import escape
from k3sgpu.handoff.teams import ApiServer, IssuedToken, IssuedTokens, Member, TokensPlan
from k3sgpu.polling import Look, poll, progress_line
from k3sgpu.problem import InputError

_POLICY = "ValidatingAdmissionPolicy"
_SYSTEM_CLASS = "system-cluster-critical"
"""A PriorityClass that every cluster has, and no team may use."""

Progress = Callable[[str], None]


class TokensFailed(Exception):
    """Tokens that could not be made; the text says why, and what to do."""


def issue_tokens(
    plan: TokensPlan, config: KubeConfig, before: IssuedTokens | None, progress: Progress
) -> IssuedTokens:
    """Returns a token for each member of the plan: that of `before` where it is still good, else a new one.

    New ones are made only when the members' teams have quotas with numbers, and their admission policies
    refuse what they must. Raises TokensFailed and InputError.
    """
    known = before["members"] if before else {}
    now = datetime.now(UTC)
    kept = {
        name: known[name]
        for name, member in plan["members"].items()
        if name in known and _is_good(known[name], member, plan["renewal"], now)
    }
    missing = {name: member for name, member in plan["members"].items() if name not in kept}
    made = asyncio.run(_issue(plan, missing, config, progress)) if missing else {}
    tokens = kept | made
    return {
        "cluster": _api_server(plan, config),
        "members": {name: tokens[name] for name in sorted(tokens)},
    }


def _is_good(token: IssuedToken, member: Member, renewal: int, now: datetime) -> bool:
    """Whether a token was made for this member and renewal, and has not ended."""
    same = (token["team"], token["uid"], token["renewal"]) == (member["team"], member["uid"], renewal)
    return same and datetime.fromisoformat(token["expires"]) > now


def _api_server(plan: TokensPlan, config: KubeConfig) -> ApiServer:
    """The API server of the administrator's kubeconfig, at the plan's address. Raises InputError."""
    current = config.get()
    assert current is not None  # parse_kubeconfig has seen to it
    cluster = current.cluster
    if cluster.certificate_auth or cluster.insecure:
        raise InputError(
            "the kubeconfig has no certificate-authority-data, which members' kubeconfigs need; embed it: "
            "kubectl config view --raw --flatten --minify"
        )
    api: ApiServer = {"server": plan.get("server") or cluster.server}
    if cluster.certificate_auth_data:
        api["certificateAuthorityData"] = cluster.certificate_auth_data
    return api


async def _issue(
    plan: TokensPlan, missing: Mapping[str, Member], config: KubeConfig, progress: Progress
) -> dict[str, IssuedToken]:
    async with client(config) as api:
        await _wait_until_enforced(api, sorted({member["team"] for member in missing.values()}), progress)
        return {name: await _token(api, plan, name) for name in missing}


async def _wait_until_enforced(api: AsyncClient, teams: list[str], progress: Progress) -> None:
    """Waits until quotas and policies hold members in their namespaces. Raises TokensFailed."""

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
        raise TokensFailed(
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
        for what, resource, body in _PROBES:
            refusal = await _refusal(api, resource, body, team)
            if _POLICY not in refusal:
                missing.append(f"the policy that refuses {what} in {team}: {escape(refusal or 'allowed')}")
    return missing


async def _refusal(api: AsyncClient, resource: Any, body: Mapping[str, Any], team: str) -> str:
    """Why the API server would not create the object; "" where it would."""
    create: Any = api.create  # its overloads do not know resources that are made at run time
    try:
        await create(resource.from_dict(dict(body)), namespace=team, dry_run=True)
    except ApiError as error:
        if error.status.code != 403 and error.status.code != 422:
            raise
        return error.status.message or "refused"
    return ""


_METADATA = {"generateName": "k3s-gpu-sharing-probe-"}
_PROBES: tuple[tuple[str, Any, Mapping[str, Any]], ...] = (
    (
        "Services of type ExternalName",
        Service,
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _METADATA,
            "spec": {"type": "ExternalName", "externalName": "probe.invalid"},
        },
    ),
    (
        "other PriorityClasses",
        Pod,
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": _METADATA,
            "spec": {
                "priorityClassName": _SYSTEM_CLASS,
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [
                    {
                        "name": "probe",
                        "image": "probe.invalid/probe",
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }
                ],
            },
        },
    ),
)
"""What must be refused in a team's namespace, and the object with which it is tried, as a dry run: the first
by the policy of all teams, the second by the team's own."""


async def _token(api: AsyncClient, plan: TokensPlan, name: str) -> IssuedToken:
    """Requests a token of a member. Raises TokensFailed."""
    member = plan["members"][name]
    request = ServiceAccountToken(
        metadata=ObjectMeta(uid=member["uid"]),  # refused for another ServiceAccount of the same name
        spec=TokenRequestSpec(audiences=[], expirationSeconds=timeouts.TOKEN_SECONDS),
    )
    namespace = plan["namespace"]
    try:
        async with request_deadline(api):
            made = await api.create(request, name=name, namespace=namespace)
    except ApiUnavailable as error:
        raise TokensFailed(
            f"no token for member {name} (ServiceAccount {namespace}/{name}): {error}"
        ) from None
    status = made.status
    if not (status and status.token and status.expirationTimestamp):
        raise TokensFailed(f"no token for member {name}: the API server's answer holds none")
    return {
        "team": member["team"],
        "token": status.token,
        "expires": status.expirationTimestamp.astimezone(UTC).isoformat(timespec="seconds"),
        "uid": member["uid"],
        "renewal": plan["renewal"],
    }
