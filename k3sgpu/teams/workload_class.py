"""The PriorityClass of a team's workload in the stack file."""

from collections.abc import Iterable

from k3sgpu.capacity import TeamShare
from k3sgpu.settings import Rank, Workload
from k3sgpu.teams.names import priority_class


def workload_class(workload: Workload, shares: Iterable[TeamShare]) -> str | None:
    """Returns the PriorityClass of a workload's pods; None for a workload of no team.

    Without `pool` it is that of the only pool that the team uses.
    """
    share = workload_share(workload, shares)
    return priority_class(workload_rank(workload, share), share.pool) if share else None


def workload_share(workload: Workload, shares: Iterable[TeamShare]) -> TeamShare | None:
    """Returns what a workload's pods count against; None for a workload of no team."""
    return next(
        (
            share
            for share in shares
            if share.team == workload.team
            and share.resource == workload.resource
            and workload.pool in (None, share.pool)
        ),
        None,
    )


def workload_rank(workload: Workload, share: TeamShare) -> Rank:
    """Returns whether a workload's pods count against the guarantee, or give way."""
    return workload.priority or ("guaranteed" if share.guaranteed else "burst")
