"""All objects of the teams in a cluster, in the order in which they are created."""

from collections.abc import Sequence
from dataclasses import dataclass

from k3sgpu.capacity import NodeOffer, TeamShare
from k3sgpu.settings import Settings
from k3sgpu.teams.access import (
    member_objects,
    members_namespace,
    members_rights,
    team_namespace,
    team_rights,
)
from k3sgpu.teams.classes import priority_classes
from k3sgpu.teams.defaults_policy import defaults_policies
from k3sgpu.teams.facts import FACTS_KEY, facts_text, teams_facts
from k3sgpu.teams.manifest import Manifest, manifest
from k3sgpu.teams.names import MEMBERS_NAMESPACE, TEAMS_CONFIG_MAP
from k3sgpu.teams.network import network_policies
from k3sgpu.teams.quotas import quotas
from k3sgpu.teams.safety import safety_policies
from k3sgpu.teams.share_policy import share_policies
from k3sgpu.teams.team_pools import TeamPools, teams_with_pools


@dataclass(frozen=True)
class TeamObjects:
    """The objects of all teams. Those of a member come after those of the team."""

    shared: tuple[Manifest, ...]
    teams: dict[str, tuple[Manifest, ...]]
    """By team; its Namespace first."""
    members: dict[str, tuple[Manifest, ...]]
    """By member: the ServiceAccount first."""


def team_objects(settings: Settings, offers: Sequence[NodeOffer], shares: Sequence[TeamShare]) -> TeamObjects:
    """The objects that hold the teams of a stack file to their shares; none without teams."""
    teams = teams_with_pools(settings, shares)
    if not teams:
        return TeamObjects((), {}, {})
    return TeamObjects(
        shared=(
            *priority_classes(teams),
            *members_namespace(),
            *members_rights(),
            _facts(settings, offers, shares),
            *safety_policies(),
        ),
        teams={team.name: _objects(team, settings) for team in teams},
        members={
            member: member_objects(team.name, member)
            for team in teams
            for member in sorted(team.team.members)
        },
    )


def _facts(settings: Settings, offers: Sequence[NodeOffer], shares: Sequence[TeamShare]) -> Manifest:
    text = facts_text(teams_facts(settings, offers, shares))
    return manifest("v1", "ConfigMap", TEAMS_CONFIG_MAP, MEMBERS_NAMESPACE, data={FACTS_KEY: text})


def _objects(team: TeamPools, settings: Settings) -> tuple[Manifest, ...]:
    return (
        team_namespace(team),
        *quotas(team),
        *network_policies(team.name, settings),
        *team_rights(team),
        *defaults_policies(team),
        *share_policies(team),
    )
