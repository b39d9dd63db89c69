"""What a member sees of the cluster, read with the member's own rights."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lightkube import AsyncClient, KubeConfig
from lightkube.core.exceptions import ApiError
from lightkube.resources.authentication_v1 import SelfSubjectReview

from k3sgpu.cluster.client import list_objects, request_deadline
from k3sgpu.cluster.kinds import (
    ConfigMap,
    CronJob,
    Deployment,
    Event,
    Job,
    Node,
    Pod,
    ReplicaSet,
    ResourceQuota,
    StatefulSet,
)
from k3sgpu.cluster.members.subject import TeamObjects
from k3sgpu.cluster.objects import KubernetesObject
from k3sgpu.foreign_text import escape
from k3sgpu.handoff.validation import validate
from k3sgpu.problem import InputError
from k3sgpu.teams.facts import FACTS_KEY, TeamsFacts
from k3sgpu.teams.names import MEMBERS_NAMESPACE, TEAMS_CONFIG_MAP, member_user

_WHERE = f"ConfigMap {MEMBERS_NAMESPACE}/{TEAMS_CONFIG_MAP}"


@dataclass(frozen=True)
class MemberView:
    """What a member sees. Objects are as the API returns them."""

    team: str
    member: str
    """"" for somebody else who looks at the team, such as an administrator."""
    facts: TeamsFacts
    nodes: Sequence[KubernetesObject] = ()
    quotas: Sequence[KubernetesObject] = ()
    """Of all teams."""
    pods: Sequence[KubernetesObject] = ()
    """Of the own team."""


async def look(api: AsyncClient, config: KubeConfig) -> MemberView:
    """Reads what the member of this kubeconfig sees.

    It takes SNAPSHOT_SECONDS at most. Raises ApiUnavailable, and InputError for another kubeconfig.
    """
    current = config.get()
    assert current is not None  # parse_kubeconfig has seen to it
    team = current.namespace
    async with request_deadline(api):
        facts = await _facts(api)
        if team not in facts["teams"]:
            raise InputError(
                f"found namespace {escape(team)} in the kubeconfig's context; expected a team: "
                f"{escape(', '.join(sorted(facts['teams'])) or 'there is none')}\n"
                "remedy: use the kubeconfig that you were given as a member"
            )
        user = await _user(api)
        nodes, pods, *quotas = await asyncio.gather(
            list_objects(api, Node),
            list_objects(api, Pod, namespace=team),
            *(list_objects(api, ResourceQuota, namespace=name) for name in facts["teams"]),
        )
    members = facts["teams"][team]["members"]
    return MemberView(
        team=team,
        member=next((name for name in members if member_user(name) == user), ""),
        facts=facts,
        nodes=nodes,
        quotas=[one for some in quotas for one in some],
        pods=pods,
    )


async def read_team(api: AsyncClient, view: MemberView) -> TeamObjects:
    """Reads what says why pods of the member's team do not run.

    It takes SNAPSHOT_SECONDS at most. Raises ApiUnavailable.
    """
    kinds = {
        "Deployment": Deployment,
        "ReplicaSet": ReplicaSet,
        "StatefulSet": StatefulSet,
        "Job": Job,
        "CronJob": CronJob,
    }
    async with request_deadline(api):
        events, *found = await asyncio.gather(
            *(list_objects(api, kind, namespace=view.team) for kind in (Event, *kinds.values()))
        )
    return TeamObjects({"Pod": view.pods, **dict(zip(kinds, found, strict=True))}, events)


async def _facts(api: AsyncClient) -> TeamsFacts:
    """What the program has told the members. Raises InputError where there is nothing that can be read."""
    try:
        found: Any = await api.get(ConfigMap, TEAMS_CONFIG_MAP, namespace=MEMBERS_NAMESPACE)
    except ApiError as error:
        if error.status.code not in (401, 403, 404):
            raise
        why = "your token has ended, or you are no member any more" if error.status.code == 401 else ""
        raise InputError(
            f"{_WHERE} cannot be read: {why or escape(error.status.message)}\n"
            "remedy: use the kubeconfig that you were given as a member; the administrator prints a new one: "
            "python -m k3sgpu team kubeconfig"
        ) from None
    try:
        data = json.loads((found.get("data") or {}).get(FACTS_KEY) or "")
    except ValueError:
        raise InputError(
            f"{_WHERE} holds no JSON in {FACTS_KEY}; remedy: the administrator runs pulumi up --refresh"
        ) from None
    return validate(TeamsFacts, data, f"{_WHERE}, which another version may have written")


async def _user(api: AsyncClient) -> str:
    """The name under which the API server knows the user of this kubeconfig."""
    review = await api.create(SelfSubjectReview())
    info = review.status and review.status.userInfo
    return (info and info.username) or ""
