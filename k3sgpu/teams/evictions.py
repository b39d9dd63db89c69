"""Which pods have to go where a team's guarantee or limit is smaller than what its pods use.

Quotas refuse new pods only. Pods without a node go first, then the newest.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from k3sgpu.capacity.team_shares import TeamShare
from k3sgpu.settings import Rank
from k3sgpu.teams.team_pods import TeamPod


@dataclass(frozen=True)
class Eviction:
    """A pod that has to go, and what its team's pods of this rank use of its pool and may use."""

    pod: TeamPod
    resource: str
    used: int
    allowed: int
    without_account: bool = False
    """Whether no quota counts the pod, because its member has no account in the pool any more."""


def describe_eviction(one: Eviction) -> str:
    """The pod and why it goes, in words."""
    name = f"{one.pod.team}/{one.pod.name}"
    if one.without_account:
        return (
            f"{name}: its slices are {one.pod.account}'s, who has none of his own in team {one.pod.team} and "
            f"pool {one.pod.pool} any more"
        )
    return (
        f"{name}: team {one.pod.team} may have {one.allowed} {one.resource} in pool "
        f"{one.pod.pool} for {one.pod.rank} pods, which hold {one.used}"
    )


def evictions(shares: Iterable[TeamShare], pods: Iterable[TeamPod]) -> list[Eviction]:
    """The pods to evict, by team, pool and resource. Without a share a team may use nothing.

    No quota counts the pods of a member who has no account any more, so none of them may stay.
    """
    by_place = {(one.team, one.pool, one.resource): one for one in shares}
    users: dict[tuple[str, str, str], list[TeamPod]] = defaultdict(list)
    for pod in pods:
        for resource in pod.slices:
            users[pod.team, pod.pool, resource].append(pod)
    found: list[Eviction] = []
    for place, own in sorted(users.items()):
        share = by_place.get(place)
        allowed: dict[Rank, int] = {
            "guaranteed": share.guaranteed if share else 0,
            "burst": share.burst if share else 0,
        }
        accounts = {"", *(share.accounts if share else ())}
        left = [pod for pod in own if pod.account not in accounts]
        found += [Eviction(pod, place[2], pod.slices[place[2]], 0, without_account=True) for pod in left]
        counted = [pod for pod in own if pod.account in accounts]
        found += _of_one_share(counted, place[2], allowed)
    return found


def _of_one_share(pods: Sequence[TeamPod], resource: str, allowed: Mapping[Rank, int]) -> list[Eviction]:
    newest = sorted(pods, key=lambda pod: (not pod.node, pod.created, pod.name), reverse=True)
    return [
        eviction
        for rank, slices in allowed.items()
        for eviction in _exceeding([pod for pod in newest if pod.rank == rank], resource, slices)
    ]


def _exceeding(pods: Sequence[TeamPod], resource: str, allowed: int) -> list[Eviction]:
    """The first of these pods, as few as leave no more slices used than allowed."""
    used = left = sum(pod.slices[resource] for pod in pods)
    found: list[Eviction] = []
    for pod in pods:
        if left <= allowed:
            break
        found.append(Eviction(pod, resource, used, allowed))
        left -= pod.slices[resource]
    return found
