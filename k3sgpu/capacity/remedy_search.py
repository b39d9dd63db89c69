"""How much of a change makes all pods fit: the arithmetic behind the remedies. Each search schedules anew."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from k3sgpu.capacity.node_filters import Demand, may_run_on
from k3sgpu.capacity.offers import NodeOffer
from k3sgpu.capacity.schedulable_nodes import SchedulableNode
from k3sgpu.capacity.scheduling import Outcome, all_fit
from k3sgpu.gpu_products import mps_clients
from k3sgpu.wellknown import HOSTNAME_LABEL

MAX_SEARCHED = 4096
"""Larger numbers of slices of a card, or of hosts, are no remedy."""
MAX_PODS = 250
"""A larger limit of the kubelet needs more than the 254 addresses that Kubernetes gives a node."""


def pending_demands(outcome: Outcome) -> list[Demand]:
    """The workloads with Pending pods."""
    pending = outcome.pending
    return [demand for demand in outcome.demands if demand.workload in pending]


def useful_offers(
    offers: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], outcome: Outcome
) -> list[NodeOffer]:
    """The nodes of the stack that offer the resource and admit a workload with Pending pods."""
    stuck = pending_demands(outcome)
    admitting = {node.name for node in nodes if any(may_run_on(demand, node) for demand in stuck)}
    return [offer for offer in offers if offer.resources.get(outcome.resource) and offer.name in admitting]


def replicas_needed(
    profile: str,
    now: int,
    offers: Sequence[NodeOffer],
    nodes: Sequence[SchedulableNode],
    outcome: Outcome,
) -> int | None:
    """The smallest number of replicas in this profile that is enough; None if no number is."""
    changed = {offer.name: offer for offer in offers if offer.profile == profile}

    def enough(replicas: int) -> bool:
        more = [
            _with_replicas(node, changed[node.name], outcome.resource, replicas)
            if node.name in changed
            else node
            for node in nodes
        ]
        return all_fit(more, outcome.demands, outcome.resource)

    requested = sum(demand.pods * demand.request for demand in outcome.demands)
    clients = [mps_clients(offer.product or "") for offer in changed.values() if offer.strategy == "mps"]
    return smallest(now + 1, min([MAX_SEARCHED, now + requested, *clients]), enough)


def pods_to_admit(
    pool: str, now: int, useful: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], outcome: Outcome
) -> int | None:
    """How many more pods the kubelets of this pool must take; None if no number is enough."""
    names = {offer.name for offer in useful if offer.pool == pool}

    def enough(more: int) -> bool:
        changed = [
            replace(node, free_pods=node.free_pods + more)
            if node.name in names and node.free_pods is not None
            else node
            for node in nodes
        ]
        return all_fit(changed, outcome.demands, outcome.resource)

    return smallest(1, MAX_PODS - now, enough)


def _with_replicas(node: SchedulableNode, offer: NodeOffer, resource: str, replicas: int) -> SchedulableNode:
    """The node with another number of slices. What others use of it stays used."""
    current = offer.resource_offer(resource)
    if current is None:
        return node
    other = offer.with_replicas(resource, replicas)
    used = current.count - node.free[resource]
    free = {**node.free, resource: max(0, other.resources[resource] - used)}
    return replace(node, labels={**node.labels, **other.all_labels}, free=free)


def pods_to_remove(demand: Demand, nodes: Sequence[SchedulableNode], outcome: Outcome) -> int | None:
    """The smallest number of pods fewer of this workload that is enough; at least one pod stays."""
    return smallest(
        1,
        demand.pods - 1,
        lambda fewer: _fits_with(replace(demand, pods=demand.pods - fewer), demand, nodes, outcome),
    )


def request_reduction(demand: Demand, nodes: Sequence[SchedulableNode], outcome: Outcome) -> int | None:
    """The smallest reduction of this workload's request that is enough; at least 1 stays."""
    return smallest(
        1,
        demand.request - 1,
        lambda less: _fits_with(replace(demand, request=demand.request - less), demand, nodes, outcome),
    )


def _fits_with(changed: Demand, demand: Demand, nodes: Sequence[SchedulableNode], outcome: Outcome) -> bool:
    """Whether all pods fit with `changed` instead of `demand`."""
    demands = [changed if one is demand else one for one in outcome.demands]
    return all_fit(nodes, demands, outcome.resource)


def model_hosts(
    useful: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], resource: str
) -> list[NodeOffer]:
    """Of each pool the host with the most room, sorted by pool."""
    room = {node.name: node.free.get(resource, 0) for node in nodes}
    models: dict[str, NodeOffer] = {}
    for offer in useful:
        known = models.get(offer.pool)
        if known is None or room[offer.name] > room[known.name]:
            models[offer.pool] = offer
    return [model for _, model in sorted(models.items())]


def hosts_to_add(model_name: str, nodes: Sequence[SchedulableNode], outcome: Outcome) -> int | None:
    """The smallest number of further hosts like this one that is enough; None if no number is."""
    model = next(node for node in nodes if node.name == model_name)

    def enough(count: int) -> bool:
        added = [_copy(model, f"{model.name} {number}") for number in range(count)]
        return all_fit([*nodes, *added], outcome.demands, outcome.resource)

    return smallest(1, min(MAX_SEARCHED, sum(demand.pods for demand in outcome.demands)), enough)


def _copy(model: SchedulableNode, name: str) -> SchedulableNode:
    return replace(model, name=name, labels={**model.labels, HOSTNAME_LABEL: name})


def smallest(low: int, high: int, holds: Callable[[int], bool]) -> int | None:
    """The smallest number in low..high for which a monotonic condition holds; None if it holds for none."""
    step = 1
    while low <= high and not holds(min(low + step - 1, high)):
        low, step = low + step, step * 2
    if low > high:
        return None
    high = min(low + step - 1, high)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
