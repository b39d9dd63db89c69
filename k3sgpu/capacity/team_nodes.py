"""The nodes on which guaranteed pods run, and what pods of no team may take there."""

from collections.abc import Sequence
from dataclasses import replace

from k3sgpu.capacity.node_filters import Demand, may_run_on
from k3sgpu.capacity.pod_limits import floating_pods
from k3sgpu.capacity.schedulable_nodes import SchedulableNode
from k3sgpu.capacity.taints import untolerated
from k3sgpu.capacity.team_guarantees import NodeRoom, PoolGuarantees
from k3sgpu.capacity.team_shares import TeamShare
from k3sgpu.settings import Settings, Taint, Toleration, Workload
from k3sgpu.wellknown import POOL_LABEL


def pool_guarantees(
    settings: Settings,
    shares: Sequence[TeamShare],
    nodes: Sequence[SchedulableNode],
    demands: Sequence[Demand],
) -> tuple[PoolGuarantees, ...]:
    """For each resource of each pool that teams use: what is promised, and the nodes.

    `nodes` may be those of a running cluster; `demands` are those of all workloads.
    """
    outside = [one for one in demands if not settings.workloads[one.workload].team]
    found: list[PoolGuarantees] = []
    for pool in sorted({share.pool for share in shares}):
        usable = _team_nodes(settings, pool, nodes)
        here = [one for one in outside if one.pods and any(may_run_on(one, node) for node in usable)]
        own = [share for share in shares if share.pool == pool]
        observed = any(node.all_labels_known for node in nodes)
        anywhere = 0 if observed else floating_pods(settings)
        for resource in sorted({share.resource for share in own}):
            others = anywhere + _most_pods_beside(resource, own, here)
            found.append(
                PoolGuarantees(
                    pool=pool,
                    resource=resource,
                    rooms={node.name: _room(node, resource, others) for node in usable},
                    shares=tuple(share for share in own if share.resource == resource),
                    outside={
                        one.workload: one.pods * one.request for one in here if one.resource == resource
                    },
                )
            )
    return tuple(found)


def _team_nodes(settings: Settings, pool: str, nodes: Sequence[SchedulableNode]) -> list[SchedulableNode]:
    """The pool's nodes on which pods of teams may run."""
    names = {node.name for node in settings.nodes if node.pool == pool}
    tolerations = team_tolerations(settings, pool)
    return [
        node
        for node in nodes
        if node.name in names and not node.unschedulable and not untolerated(node.taints, tolerations)
    ]


def _most_pods_beside(resource: str, shares: Sequence[TeamShare], outside: Sequence[Demand]) -> int:
    """How many pods with other resources of a pool there may be: each has at least one slice."""
    guaranteed = sum(share.guaranteed for share in shares if share.resource != resource)
    return guaranteed + sum(one.pods for one in outside if one.resource != resource)


def _room(node: SchedulableNode, resource: str, others: int) -> NodeRoom:
    places = None if node.free_pods is None else max(0, node.free_pods - others)
    return NodeRoom(node.free.get(resource, 0), places)


def team_demand(settings: Settings, demand: Demand, workload: Workload) -> Demand:
    """The demand with what the cluster adds to pods of the workload's team: their pool, and its taints."""
    team = settings.teams.get(workload.team or "")
    pool = workload.pool or (team.pools[0] if team and len(team.pools) == 1 else None)
    if not team or not pool:
        return demand
    return replace(
        demand,
        selector={**demand.selector, POOL_LABEL: pool},
        tolerations=(*demand.tolerations, *team_tolerations(settings, pool)),
    )


def team_tolerations(settings: Settings, pool: str) -> tuple[Toleration, ...]:
    """The taints of the pool's nodes, which every pod of a team in this pool tolerates."""
    texts = {text for node in settings.nodes if node.pool == pool for text in node.taints}
    return tuple(
        Toleration.model_validate({"key": one.key, "value": one.value, "effect": one.effect})
        for one in map(Taint.parse, sorted(texts))
    )
