"""ResourceQuotas by pool, bounds for everything else in a namespace, and default requests."""

from collections.abc import Iterator, Sequence

from k3sgpu.capacity import TeamShare
from k3sgpu.teams.manifest import Manifest, manifest
from k3sgpu.teams.names import burst_quota, guaranteed_quota, member_quota, priority_class
from k3sgpu.teams.quantities import count_quantity, cpu_quantity, memory_quantity
from k3sgpu.teams.team_pools import RANKS, TeamPool, TeamPools

OBJECTS_QUOTA = "objects"
PODS_BESIDE_SLICES = 100
"""Pods without a slice that a team may have at once, in addition to one for each slice of its limits."""
OBJECT_COUNTS = {
    "services.nodeports": 0,
    "services.loadbalancers": 0,
    "services": 200,
    "configmaps": 1000,
    "secrets": 1000,
    "persistentvolumeclaims": 200,
    "count/pods": 2000,
    "count/deployments.apps": 200,
    "count/statefulsets.apps": 200,
    "count/replicasets.apps": 2000,
    "count/jobs.batch": 1000,
    "count/cronjobs.batch": 200,
}
"""The first two open ports on nodes: none. The others only keep the API server's store small."""


def quotas(team: TeamPools) -> tuple[Manifest, ...]:
    """The quotas of a team, and its LimitRange."""
    return (*_slice_quotas(team), _objects_quota(team), *_default_requests(team))


def _slice_quotas(team: TeamPools) -> Iterator[Manifest]:
    for pool in team.pools:
        if not pool.shares:
            continue
        guaranteed = {share.resource: share.guaranteed for share in pool.shares}
        burst = {share.resource: share.burst for share in pool.shares}
        yield _quota(team, guaranteed_quota(pool.name), guaranteed, team.classes(pool, ["guaranteed"]))
        yield _quota(team, burst_quota(pool.name), burst, team.classes(pool, ["burst"]))
        if pool.per_member:
            for member in team.team.members:
                classes = [priority_class(rank, pool.name, member) for rank in RANKS]
                yield _quota(team, member_quota(pool.name, member), _of_a_member(pool), classes)


def _of_a_member(pool: TeamPool) -> dict[str, int]:
    def most(share: TeamShare) -> int:
        return share.limit if share.per_member is None else min(share.per_member, share.limit)

    return {share.resource: most(share) for share in pool.shares}


def _quota(team: TeamPools, name: str, slices: dict[str, int], classes: Sequence[str]) -> Manifest:
    return manifest(
        "v1",
        "ResourceQuota",
        name,
        team.name,
        spec={
            "hard": {f"requests.{resource}": count_quantity(number) for resource, number in slices.items()},
            "scopeSelector": {
                "matchExpressions": [
                    {"scopeName": "PriorityClass", "operator": "In", "values": list(classes)}
                ]
            },
        },
    )


def _objects_quota(team: TeamPools) -> Manifest:
    slices = sum(share.limit for pool in team.pools for share in pool.shares)
    hard = {"pods": PODS_BESIDE_SLICES + slices, **OBJECT_COUNTS}
    hard["count/pods"] += slices
    return manifest(
        "v1",
        "ResourceQuota",
        OBJECTS_QUOTA,
        team.name,
        spec={"hard": {name: count_quantity(number) for name, number in hard.items()}},
    )


def _default_requests(team: TeamPools) -> Iterator[Manifest]:
    """What a container requests that says nothing: no more than goes with a slice of any of the pools."""
    if not team.pools:
        return
    cpu = min(pool.per_slice.cpu_millis for pool in team.pools)
    memory = min(pool.per_slice.memory_mib for pool in team.pools)
    requests = {"cpu": cpu_quantity(cpu), "memory": memory_quantity(memory)}
    limits = [{"type": "Container", "defaultRequest": requests}]
    yield manifest("v1", "LimitRange", "default-requests", team.name, spec={"limits": limits})
