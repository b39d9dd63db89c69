"""The ways out of a misfit, as arithmetic: of each kind the smallest change that is enough, and its cost."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from k3sgpu.capacity.offers import NodeOffer
from k3sgpu.capacity.scheduling import Demand, Outcome, SchedulableNode, all_fit, may_run_on
from k3sgpu.settings import MPS_CLIENTS, NO_SHARING

MAX_SEARCHED = 4096
"""Larger numbers (slices of a card, machines) are no way out."""
MAX_SHOWN = 3
"""Workloads, and pools, for which a change is worked out."""
MEASURED = {
    "time-slicing": "busy ones take turns, on an H200 for 17 % less in all",
    "mps": "busy ones share the processors, on an H200 without loss",
}
"""One run of 2 to 6 processes that keep one card busy, against one that has it alone
(docs/explanation/how-fit-decides.md)."""


def remedies_for(
    offers: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], outcome: Outcome
) -> list[str]:
    """Each way alone makes room for all pods; one step less of it does not."""
    return [
        *_more_slices(offers, nodes, outcome),
        *_fewer_pods(nodes, outcome),
        *_smaller_requests(offers, nodes, outcome),
        *_more_machines(offers, nodes, outcome),
    ]


def counted(number: int, noun: str) -> str:
    """1 pod, 2 pods."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _smallest(low: int, high: int, holds: Callable[[int], bool]) -> int | None:
    """The smallest number in low..high for which a condition holds that, once true, stays true."""
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


def _useful(
    offers: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], outcome: Outcome
) -> list[NodeOffer]:
    """Nodes of the stack that offer the resource to a workload with Pending pods."""
    stuck = [demand for demand in outcome.demands if demand.workload in outcome.pending]
    open_to = {node.name for node in nodes if any(may_run_on(demand, node) for demand in stuck)}
    return [offer for offer in offers if offer.resources.get(outcome.resource) and offer.name in open_to]


def _more_slices(
    offers: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], outcome: Outcome
) -> Iterator[str]:
    resource, useful = outcome.resource, _useful(offers, nodes, outcome)
    asked = sum(demand.pods * demand.request for demand in outcome.demands)
    for name in sorted({offer.profile for offer in useful}):
        mine = [offer for offer in useful if offer.profile == name]
        now = max(share.replicas for offer in mine if (share := offer.resource_offer(resource)))
        changed = {offer.name: offer for offer in offers if offer.profile == name}

        def with_slices(count: int, changed: Mapping[str, NodeOffer] = changed) -> list[SchedulableNode]:
            return [
                _sliced(node, changed[node.name], resource, count) if node.name in changed else node
                for node in nodes
            ]

        limit = MPS_CLIENTS if mine[0].strategy == "mps" else min(MAX_SEARCHED, now + asked)
        needed = _smallest(now + 1, limit, lambda n: all_fit(with_slices(n), outcome.demands, resource))
        if needed is None:
            continue
        cost = _sharing_cost(mine, resource, now, needed)
        if name == NO_SHARING:
            pools = ", ".join(sorted({offer.pool for offer in mine}))
            yield f"share the cards of pool {pools}: a profile with replicas: {needed} ({cost})"
        else:
            yield f"sharing.profiles.{name}: replicas: {needed} instead of {now} ({cost})"


def _sliced(node: SchedulableNode, offer: NodeOffer, resource: str, count: int) -> SchedulableNode:
    """The place with another number of slices: what others use of it stays used."""
    share = offer.resource_offer(resource)
    if share is None:
        return node
    other = offer.with_replicas(resource, count)
    used = share.count - node.free[resource]
    free = {**node.free, resource: max(0, other.resources[resource] - used)}
    return replace(node, labels={**node.labels, **other.all_labels}, free=free)


def _sharing_cost(mine: Sequence[NodeOffer], resource: str, now: int, needed: int) -> str:
    sizes = sorted({share.memory_mib for offer in mine if (share := offer.resource_offer(resource))})
    each = ", ".join(f"{size // now} -> {size // needed}" for size in sizes)
    way = mine[0].strategy
    held = "MPS holds each to it" if way == "mps" else "nothing holds a pod to it"
    return f"{each} MiB a slice, {held}; {needed} sharers of a card instead of {now}: {MEASURED[way]}"


def _stuck(outcome: Outcome) -> list[Demand]:
    """The first few workloads with Pending pods: a list for each of fifty would help nobody."""
    return [demand for demand in outcome.demands if demand.workload in outcome.pending][:MAX_SHOWN]


def _fewer_pods(nodes: Sequence[SchedulableNode], outcome: Outcome) -> Iterator[str]:
    for demand in _stuck(outcome):

        def with_fewer(fewer: int, demand: Demand = demand) -> list[Demand]:
            return [replace(one, pods=one.pods - fewer) if one is demand else one for one in outcome.demands]

        fewer = _smallest(1, demand.pods - 1, lambda n: all_fit(nodes, with_fewer(n), outcome.resource))
        if fewer:
            change = f"{demand.counted_by}: {demand.pods - fewer} instead of {demand.pods}"
            yield f"workloads.{demand.workload}: {change} ({counted(fewer, 'pod')} fewer)"


def _smaller_requests(
    offers: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], outcome: Outcome
) -> Iterator[str]:
    shared = all(offer.replicas > 1 for offer in _useful(offers, nodes, outcome))
    for demand in _stuck(outcome):

        def with_less(less: int, demand: Demand = demand) -> list[Demand]:
            return [
                replace(one, request=one.request - less) if one is demand else one for one in outcome.demands
            ]

        less = _smallest(1, demand.request - 1, lambda n: all_fit(nodes, with_less(n), outcome.resource))
        if less:
            cost = (
                "costs no compute: of a card in turns, two slices promise a pod no more than one"
                if shared
                else f"{counted(less, 'card')} fewer for each pod"
            )
            change = f"gpus: {demand.request - less} instead of {demand.request}"
            yield f"workloads.{demand.workload}: {change} ({cost})"


def _more_machines(
    offers: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], outcome: Outcome
) -> Iterator[str]:
    by_name = {node.name: node for node in nodes}
    models: dict[str, NodeOffer] = {}
    for offer in _useful(offers, nodes, outcome):
        known = models.get(offer.pool)
        room = by_name[offer.name].free[outcome.resource]
        if known is None or room > by_name[known.name].free[outcome.resource]:
            models[offer.pool] = offer
    limit = min(MAX_SEARCHED, sum(demand.pods for demand in outcome.demands))
    for _, model in sorted(models.items())[:MAX_SHOWN]:

        def with_more(count: int, model: SchedulableNode = by_name[model.name]) -> list[SchedulableNode]:
            return [*nodes, *(_another(model, f"{model.name} {number}") for number in range(count))]

        count = _smallest(1, limit, lambda n: all_fit(with_more(n), outcome.demands, outcome.resource))
        if count:
            cards = counted(model.cards * count, "more card")
            each = f"{model.replicas} slices each" if model.replicas > 1 else "not shared"
            yield f"{counted(count, 'more host')} like {model.name} ({cards}, {each})"


def _another(model: SchedulableNode, name: str) -> SchedulableNode:
    return replace(model, name=name, labels={**model.labels, "kubernetes.io/hostname": name})
