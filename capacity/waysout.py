"""The ways out of a misfit, as arithmetic: of each kind the smallest change that is enough, and its cost."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from settings import MPS_CLIENTS, NO_SHARING

from .offer import NodeOffer
from .scheduling import Demand, Outcome, all_fit, may_run_on

MOST = 4096
"""Larger numbers (slices of a card, machines) are no way out."""
SHOWN = 3
"""Workloads, and pools, for which a change is worked out."""


def ways_out(offers: Sequence[NodeOffer], outcome: Outcome) -> list[str]:
    """Each way alone makes room for all pods; one step less of it does not."""
    return [
        *_more_slices(offers, outcome),
        *_fewer_pods(offers, outcome),
        *_smaller_requests(offers, outcome),
        *_more_machines(offers, outcome),
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


def _useful(offers: Sequence[NodeOffer], outcome: Outcome) -> list[NodeOffer]:
    """Nodes that offer the resource to a workload with Pending pods."""
    stuck = [demand for demand in outcome.demands if demand.workload in outcome.pending]
    return [
        offer
        for offer in offers
        if offer.resources.get(outcome.resource) and any(may_run_on(demand, offer) for demand in stuck)
    ]


def _more_slices(offers: Sequence[NodeOffer], outcome: Outcome) -> Iterator[str]:
    resource, demands = outcome.resource, outcome.demands
    most = min(MOST, sum(demand.pods * demand.request for demand in demands))
    for name in sorted({offer.profile for offer in _useful(offers, outcome)}):
        mine = [offer for offer in _useful(offers, outcome) if offer.profile == name]
        now = max(share.replicas for offer in mine if (share := offer.share(resource)))

        def with_slices(count: int, name: str = name) -> list[NodeOffer]:
            return [offer.sliced(resource, count) if offer.profile == name else offer for offer in offers]

        limit = MPS_CLIENTS if mine[0].way == "mps" else most
        needed = _smallest(now + 1, limit, lambda count: all_fit(with_slices(count), demands, resource))
        if needed is None:
            continue
        cost = _memory_cost(mine, resource, now, needed)
        if name == NO_SHARING:
            pools = ", ".join(sorted({offer.pool for offer in mine}))
            yield f"share the cards of pool {pools}: a profile with replicas: {needed} ({cost})"
        else:
            yield f"sharing.profiles.{name}: replicas: {needed} instead of {now} ({cost})"


def _memory_cost(mine: Sequence[NodeOffer], resource: str, now: int, needed: int) -> str:
    sizes = sorted({share.memory_mib for offer in mine if (share := offer.share(resource))})
    each = ", ".join(f"{size // now} -> {size // needed}" for size in sizes)
    if all(offer.way == "mps" for offer in mine):
        return f"{each} MiB for each slice, and as much less of the processors"
    return f"{each} MiB for each slice, which nothing enforces; more sharers take turns on the card"


def _stuck(outcome: Outcome) -> list[Demand]:
    """The first few workloads with Pending pods: a list for each of fifty would help nobody."""
    return [demand for demand in outcome.demands if demand.workload in outcome.pending][:SHOWN]


def _fewer_pods(offers: Sequence[NodeOffer], outcome: Outcome) -> Iterator[str]:
    for demand in _stuck(outcome):

        def with_fewer(fewer: int, demand: Demand = demand) -> list[Demand]:
            return [replace(one, pods=one.pods - fewer) if one is demand else one for one in outcome.demands]

        fewer = _smallest(1, demand.pods - 1, lambda n: all_fit(offers, with_fewer(n), outcome.resource))
        if fewer:
            yield (
                f"workloads.{demand.workload}: replicas: {demand.pods - fewer} instead of {demand.pods} "
                f"({counted(fewer, 'pod')} fewer)"
            )


def _smaller_requests(offers: Sequence[NodeOffer], outcome: Outcome) -> Iterator[str]:
    shared = all(offer.replicas > 1 for offer in _useful(offers, outcome))
    for demand in _stuck(outcome):

        def with_less(less: int, demand: Demand = demand) -> list[Demand]:
            return [
                replace(one, request=one.request - less) if one is demand else one for one in outcome.demands
            ]

        less = _smallest(1, demand.request - 1, lambda n: all_fit(offers, with_less(n), outcome.resource))
        if less:
            cost = (
                "more than one slice promises a pod no more of a time-sliced card"
                if shared
                else f"{counted(less, 'card')} fewer for each pod"
            )
            change = f"gpus: {demand.request - less} instead of {demand.request}"
            yield f"workloads.{demand.workload}: {change} ({cost})"


def _more_machines(offers: Sequence[NodeOffer], outcome: Outcome) -> Iterator[str]:
    models = {offer.pool: offer for offer in reversed(_useful(offers, outcome))}
    most = min(MOST, sum(demand.pods for demand in outcome.demands))
    for _, model in sorted(models.items())[:SHOWN]:

        def with_more(count: int, model: NodeOffer = model) -> list[NodeOffer]:
            return [*offers, *(_another(model, f"{model.name} {number}") for number in range(count))]

        count = _smallest(1, most, lambda n: all_fit(with_more(n), outcome.demands, outcome.resource))
        if count:
            cards = counted(model.cards * count, "more card")
            each = f"{model.replicas} slices each" if model.replicas > 1 else "not shared"
            yield f"{counted(count, 'more host')} like {model.name} ({cards}, {each})"


def _another(model: NodeOffer, name: str) -> NodeOffer:
    return replace(model, name=name, labels={**model.labels, "kubernetes.io/hostname": name})
