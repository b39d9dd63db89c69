"""PriorityClasses: one for each rank and pool, and one for each member whose slices are counted."""

from collections.abc import Iterable

from k3sgpu.settings import Rank
from k3sgpu.teams.manifest import Manifest, manifest
from k3sgpu.teams.team_pools import RANKS, TeamPools

PRIORITY: dict[Rank, int] = {"guaranteed": 0, "burst": -10}
"""0 is the priority of pods without a class: these and guaranteed pods do not preempt each other."""
PREEMPTION: dict[Rank, str] = {"guaranteed": "PreemptLowerPriority", "burst": "Never"}
_MEANING: dict[Rank, str] = {
    "guaranteed": "counts against the team's guarantee and is never preempted",
    "burst": "gives way to guaranteed pods",
}


def priority_classes(teams: Iterable[TeamPools]) -> tuple[Manifest, ...]:
    """The classes of all teams. Teams share those of a pool; a member's are his own."""
    ranks: dict[str, tuple[Rank, str]] = {
        name: (rank, pool.name)
        for team in teams
        for pool in team.pools
        for rank in RANKS
        for name in team.classes(pool, [rank])
    }
    return tuple(_priority_class(name, rank, pool) for name, (rank, pool) in sorted(ranks.items()))


def _priority_class(name: str, rank: Rank, pool: str) -> Manifest:
    return manifest(
        "scheduling.k8s.io/v1",
        "PriorityClass",
        name,
        value=PRIORITY[rank],
        preemptionPolicy=PREEMPTION[rank],
        description=f"a team's pod in pool {pool} that {_MEANING[rank]}",
    )
