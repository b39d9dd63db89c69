"""What members may know of the stack: the content of ConfigMap `gpu-teams`, which their commands read."""

import json
from collections import Counter
from collections.abc import Sequence

from typing_extensions import TypedDict

from k3sgpu.capacity import NodeOffer, TeamShare
from k3sgpu.capacity.fit import demand_of
from k3sgpu.capacity.node_filters import may_run_on
from k3sgpu.capacity.schedulable_nodes import SchedulableNode, schedulable_nodes
from k3sgpu.settings import Settings

FACTS_KEY = "teams.json"
"""The key of the ConfigMap."""


class PoolFacts(TypedDict):
    """One pool that teams use."""

    nodes: dict[str, dict[str, int]]
    """By node: the slices by resource that it offers, without those that the stack file reserves."""
    outside: dict[str, int]
    """By resource: slices that workloads of no team may hold here. No pod of a team displaces them."""


class ShareFacts(TypedDict):
    """A team's share of one resource of a pool (capacity.TeamShare)."""

    team: str
    pool: str
    resource: str
    guaranteed: int
    limit: int
    perPod: int
    perMember: int | None
    accounts: list[str]


class HoursFacts(TypedDict):
    """The time limit of a team's pods, in hours."""

    default: int
    max: int


class TeamFacts(TypedDict):
    """One team."""

    members: list[str]
    hours: HoursFacts | None


class TeamsFacts(TypedDict):
    """All teams."""

    pools: dict[str, PoolFacts]
    shares: list[ShareFacts]
    teams: dict[str, TeamFacts]


def teams_facts(settings: Settings, offers: Sequence[NodeOffer], shares: Sequence[TeamShare]) -> TeamsFacts:
    """Returns what members may know."""
    nodes = schedulable_nodes(settings, offers)
    pools = sorted({share.pool for share in shares})
    pool_of = {offer.name: offer.pool for offer in offers}
    return {
        "pools": {
            pool: _pool_facts(settings, [node for node in nodes if pool_of.get(node.name) == pool])
            for pool in pools
        },
        "shares": [share_facts(share) for share in shares],
        "teams": {
            name: {
                "members": sorted(team.members),
                "hours": {"default": team.hours.default, "max": team.hours.most} if team.hours else None,
            }
            for name, team in sorted(settings.teams.items())
        },
    }


def share_facts(share: TeamShare) -> ShareFacts:
    """Returns a share as JSON."""
    return {
        "team": share.team,
        "pool": share.pool,
        "resource": share.resource,
        "guaranteed": share.guaranteed,
        "limit": share.limit,
        "perPod": share.per_pod,
        "perMember": share.per_member,
        "accounts": sorted(share.accounts),
    }


def share_of_facts(facts: ShareFacts) -> TeamShare:
    """Returns the share that `share_facts` was made of."""
    return TeamShare(
        team=facts["team"],
        pool=facts["pool"],
        resource=facts["resource"],
        guaranteed=facts["guaranteed"],
        limit=facts["limit"],
        per_pod=facts["perPod"],
        per_member=facts["perMember"],
        accounts=tuple(facts["accounts"]),
    )


def facts_text(facts: TeamsFacts) -> str:
    """Returns the value of FACTS_KEY."""
    return json.dumps(facts, sort_keys=True)


def _pool_facts(settings: Settings, nodes: Sequence[SchedulableNode]) -> PoolFacts:
    outside: Counter[str] = Counter()
    for name, workload in settings.workloads.items():
        demand = demand_of(name, workload)
        if not workload.team and any(
            demand.resource in node.free and may_run_on(demand, node) for node in nodes
        ):
            outside[demand.resource] += demand.pods * demand.request
    return {
        "nodes": {node.name: dict(node.free) for node in nodes},
        "outside": dict(outside),
    }
