"""What each team may use of each resource of a pool, as plain numbers."""

from collections.abc import Iterable
from dataclasses import dataclass

from k3sgpu.capacity.offers import NodeOffer
from k3sgpu.settings import Settings, Team, slices_of


@dataclass(frozen=True)
class TeamShare:
    """Slices of one resource that the nodes of a pool offer. `resource` is the name that pods request."""

    team: str
    pool: str
    resource: str
    guaranteed: int
    limit: int
    """At least `guaranteed`."""
    per_pod: int
    per_member: int | None
    """None: one member may use all that the team may."""
    accounts: tuple[str, ...] = ()
    """The members who have PriorityClasses of their own in the pool."""

    @property
    def burst(self) -> int:
        """What burst pods may use: the rest of the limit, so that they never keep guaranteed pods out."""
        return self.limit - self.guaranteed


def team_shares(settings: Settings, offers: Iterable[NodeOffer]) -> tuple[TeamShare, ...]:
    """The shares of all teams: one for each resource of each pool that the team names."""
    resources = pool_resources(offers)
    return tuple(
        _share(name, team, pool, resource)
        for name, team in sorted(settings.teams.items())
        for pool in team.pools
        for resource in resources.get(pool, ())
    )


def pool_resources(offers: Iterable[NodeOffer]) -> dict[str, tuple[str, ...]]:
    """By pool: the resources that pods request there."""
    found: dict[str, dict[str, None]] = {}
    for offer in offers:
        found.setdefault(offer.pool, {}).update(dict.fromkeys(one.name for one in offer.resource_offers))
    return {pool: tuple(names) for pool, names in found.items()}


def _share(name: str, team: Team, pool: str, resource: str) -> TeamShare:
    guaranteed = slices_of(team.guaranteed.get(pool), resource) or 0
    limit = slices_of(team.limit.get(pool), resource)
    return TeamShare(
        team=name,
        pool=pool,
        resource=resource,
        guaranteed=guaranteed,
        limit=guaranteed if limit is None else limit,
        per_pod=slices_of(team.per_pod.get(pool), resource) or 1,
        per_member=slices_of(team.per_member.get(pool), resource),
        accounts=team.members if pool in team.per_member else (),
    )
