"""Makes tokens for members of teams, once what holds the members in their namespaces is in force."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from lightkube import AsyncClient, KubeConfig
from lightkube.models.authentication_v1 import TokenRequestSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ServiceAccountToken

from k3sgpu import timeouts
from k3sgpu.cluster.client import ApiUnavailable, client, request_deadline
from k3sgpu.cluster.team_enforcement import TeamNotReady, wait_until_enforced
from k3sgpu.handoff.teams import ApiServer, IssuedToken, IssuedTokens, Member, TokensPlan
from k3sgpu.problem import InputError

Progress = Callable[[str], None]


def issue_tokens(
    plan: TokensPlan, config: KubeConfig, before: IssuedTokens | None, progress: Progress
) -> IssuedTokens:
    """Returns a token for each member of the plan: that of `before` where it is still good, else a new one.

    New ones are made only when quotas and admission policies hold the members' teams. Raises TeamNotReady and
    InputError.
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
        "cluster": _api_server(config),
        "members": {name: tokens[name] for name in sorted(tokens)},
    }


def _is_good(token: IssuedToken, member: Member, renewal: int, now: datetime) -> bool:
    """Whether a token was made for this member and renewal, and has not ended."""
    same = (token["team"], token["uid"], token["renewal"]) == (member["team"], member["uid"], renewal)
    return same and datetime.fromisoformat(token["expires"]) > now


def _api_server(config: KubeConfig) -> ApiServer:
    """The API server of the administrator's kubeconfig. Raises InputError."""
    current = config.get()
    assert current is not None  # parse_kubeconfig has seen to it
    cluster = current.cluster
    if cluster.certificate_auth or cluster.insecure:
        raise InputError(
            "the kubeconfig has no certificate-authority-data, which members' kubeconfigs need; embed it: "
            "kubectl config view --raw --flatten --minify"
        )
    api: ApiServer = {"server": cluster.server}
    if cluster.certificate_auth_data:
        api["certificateAuthorityData"] = cluster.certificate_auth_data
    return api


async def _issue(
    plan: TokensPlan, missing: Mapping[str, Member], config: KubeConfig, progress: Progress
) -> dict[str, IssuedToken]:
    async with client(config) as api:
        await wait_until_enforced(api, sorted({member["team"] for member in missing.values()}), progress)
        return {name: await _token(api, plan, name) for name in missing}


async def _token(api: AsyncClient, plan: TokensPlan, name: str) -> IssuedToken:
    """Requests a token of a member. Raises TeamNotReady."""
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
        raise TeamNotReady(
            f"no token for member {name} (ServiceAccount {namespace}/{name}): {error}"
        ) from None
    status = made.status
    if not (status and status.token and status.expirationTimestamp):
        raise TeamNotReady(f"no token for member {name}: the API server's answer holds none")
    ends, renewal = status.expirationTimestamp.astimezone(UTC), timeouts.TOKEN_RENEWAL_SECONDS
    if (ends - datetime.now(UTC)).total_seconds() <= renewal:
        raise TeamNotReady(
            f"no token for member {name}: the API server makes tokens that end on {ends:%Y-%m-%d}, before "
            f"`pulumi up` would make new ones ({renewal // 86400} days)\n"
            "remedy: raise the API server's service-account-max-token-expiration to 2160h"
        )
    return {
        "team": member["team"],
        "token": status.token,
        "expires": ends.isoformat(timespec="seconds"),
        "uid": member["uid"],
        "renewal": plan["renewal"],
    }
