"""What the objects of a team follow from: its pools, each with the shares and what its pods need there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from k3sgpu.capacity import TeamShare
from k3sgpu.settings import PerSlice, Rank, Settings, Taint, Team
from k3sgpu.teams.names import priority_class

RANKS: tuple[Rank, ...] = ("guaranteed", "burst")


@dataclass(frozen=True)
class TeamPool:
    """A pool that a team may use."""

    name: str
    shares: tuple[TeamShare, ...]
    per_slice: PerSlice
    taints: tuple[Taint, ...]
    """Of any of its nodes, sorted."""

    @property
    def guaranteed(self) -> bool:
        """Whether the team has a guarantee here."""
        return any(share.guaranteed for share in self.shares)

    @property
    def per_member(self) -> bool:
        """Whether the slices of each member are counted."""
        return any(share.per_member is not None for share in self.shares)

    @property
    def resources(self) -> tuple[str, ...]:
        """What pods may request here."""
        return tuple(share.resource for share in self.shares)


@dataclass(frozen=True)
class TeamPools:
    """A team with its pools."""

    name: str
    team: Team
    pools: tuple[TeamPool, ...]

    @property
    def per_member(self) -> bool:
        """Whether the slices of each member are counted in a pool."""
        return any(pool.per_member for pool in self.pools)

    def classes(self, pool: TeamPool, ranks: Iterable[Rank] = RANKS) -> tuple[str, ...]:
        """The PriorityClasses of the team's pods in a pool, those of members included."""
        owners = [None, *(self.team.members if pool.per_member else ())]
        return tuple(priority_class(rank, pool.name, owner) for rank in ranks for owner in owners)


def teams_with_pools(settings: Settings, shares: Sequence[TeamShare]) -> tuple[TeamPools, ...]:
    """All teams, sorted by name."""
    return tuple(
        TeamPools(name, team, tuple(_team_pool(settings, name, pool, shares) for pool in team.pools))
        for name, team in sorted(settings.teams.items())
    )


def _team_pool(settings: Settings, team: str, pool: str, shares: Iterable[TeamShare]) -> TeamPool:
    gpu = settings.pools[pool].gpu
    texts = {text for node in settings.nodes if node.pool == pool for text in node.taints}
    return TeamPool(
        name=pool,
        shares=tuple(share for share in shares if (share.team, share.pool) == (team, pool)),
        per_slice=gpu.per_slice if gpu else PerSlice(),
        taints=tuple(sorted(Taint.parse(text) for text in texts)),
    )
