"""The fit of pods with different requests on nodes whose kubelet limits the number of pods (max-pods).

Where all pods on a node request the same, scheduling.py already takes the limit into account. The limits
themselves are in pod_limits.py.
"""

from collections import defaultdict
from collections.abc import Sequence

from k3sgpu.capacity.node_filters import Demand, may_run_on
from k3sgpu.capacity.packing.pack import Packing, PodGroup, pack
from k3sgpu.capacity.schedulable_nodes import SchedulableNode
from k3sgpu.capacity.scheduling import pod_groups


def pack_all_pods(nodes: Sequence[SchedulableNode], demands: Sequence[Demand], others: int) -> Packing:
    """All pods of all resources, and `others` that run anywhere, on what the kubelets take of them."""
    groups = [
        PodGroup(group.name, group.pods, 1, group.candidates & _offering(nodes, one), group.certain)
        for one, group in zip(demands, pod_groups(nodes, demands), strict=True)
    ]
    pods = sum(group.pods for group in groups) + others
    groups.append(PodGroup("", others, 1, frozenset(node.name for node in nodes)))
    return pack(groups, {one.name: pods if one.free_pods is None else one.free_pods for one in nodes})


def _offering(nodes: Sequence[SchedulableNode], demand: Demand) -> frozenset[str]:
    return frozenset(node.name for node in nodes if node.free.get(demand.resource, 0) >= demand.request)


def limits_decide(nodes: Sequence[SchedulableNode], demands: Sequence[Demand]) -> bool:
    """Whether pods may stay Pending because other ones have reached a kubelet's limit first.

    False if there is room in any order even if the kubelets are filled by pods that use the least.
    """
    room: dict[str, dict[str, int]] = defaultdict(dict)
    limited = False
    for node in nodes:
        for resource, units in _least_use(node, demands).items():
            room[resource][node.name] = units
            limited = limited or units < node.free[resource]
    return limited and any(
        pack(pod_groups(nodes, [one for one in demands if one.resource == resource]), rooms).max_pending
        for resource, rooms in room.items()
    )


def _least_use(node: SchedulableNode, demands: Sequence[Demand]) -> dict[str, int]:
    """By resource, the least that pods use of a node which takes no more of them."""
    here: dict[str, list[Demand]] = defaultdict(list)
    for one in demands:
        if one.pods and node.free.get(one.resource, 0) >= one.request and may_run_on(one, node):
            here[one.resource].append(one)
    most = {resource: _most_pods(node, resource, own) for resource, own in here.items()}
    if node.free_pods is None or sum(most.values()) <= node.free_pods:
        return {resource: node.free[resource] for resource in here}
    return {
        resource: min(
            node.free[resource],
            max(0, node.free_pods - sum(most.values()) + most[resource]) * min(one.request for one in own),
        )
        for resource, own in here.items()
    }


def _most_pods(node: SchedulableNode, resource: str, demands: Sequence[Demand]) -> int:
    """How many of these pods the node takes at most, by its resource alone."""
    return min(sum(one.pods for one in demands), node.free[resource] // min(one.request for one in demands))
