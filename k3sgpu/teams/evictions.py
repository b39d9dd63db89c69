"""Which pods have to go where a team's guarantee or limit is smaller than what its pods use.

Quotas refuse new pods only. The newest pods go first, and of those above a limit burst pods before others.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from k3sgpu.capacity.team_shares import TeamShare
from k3sgpu.teams.team_pods import TeamPod


@dataclass(frozen=True)
class Eviction:
    """A pod that has to go, and the number of slices that is exceeded: of its team in its pool."""

    pod: TeamPod
    resource: str
    used: int
    allowed: int
    quota: str
    """guaranteed or limit."""


def evictions(shares: Iterable[TeamShare], pods: Iterable[TeamPod]) -> list[Eviction]:
    """The pods to evict, by team, pool and resource. Without a share a team may use nothing."""
    by_place = {(one.team, one.pool, one.resource): one for one in shares}
    users: dict[tuple[str, str, str], list[TeamPod]] = defaultdict(list)
    for pod in pods:
        for resource in pod.slices:
            users[pod.team, pod.pool, resource].append(pod)
    found: list[Eviction] = []
    for place, own in sorted(users.items()):
        share = by_place.get(place)
        found += _of_one_share(own, place[2], share.guaranteed if share else 0, share.limit if share else 0)
    return found


def _of_one_share(pods: Sequence[TeamPod], resource: str, guaranteed: int, limit: int) -> list[Eviction]:
    newest = sorted(pods, key=lambda pod: (pod.created, pod.name), reverse=True)
    promised = [pod for pod in newest if pod.rank == "guaranteed"]
    above = _exceeding(promised, resource, guaranteed, "guaranteed")
    gone = {one.pod.name for one in above}
    rest = [pod for pod in newest if pod.name not in gone]
    bursts_first = sorted(rest, key=lambda pod: pod.rank == "guaranteed")
    return [*above, *_exceeding(bursts_first, resource, limit, "limit")]


def _exceeding(pods: Sequence[TeamPod], resource: str, allowed: int, quota: str) -> list[Eviction]:
    """The first of these pods, as few as leave no more slices used than allowed."""
    used = left = sum(pod.slices[resource] for pod in pods)
    found: list[Eviction] = []
    for pod in pods:
        if left <= allowed:
            break
        found.append(Eviction(pod, resource, used, allowed, quota))
        left -= pod.slices[resource]
    return found
