"""Remedies for pods that do not fit, as sentences: of each kind the smallest change that is enough."""

from collections.abc import Iterator, Sequence

from k3sgpu.capacity import remedy_search as search
from k3sgpu.capacity.offers import NodeOffer
from k3sgpu.capacity.schedulable_nodes import SchedulableNode
from k3sgpu.capacity.scheduling import Outcome
from k3sgpu.capacity.wording import count_noun
from k3sgpu.settings import NO_SHARING

MAX_LISTED = 3
"""Remedies are worked out for so many workloads, and so many pools; more would hide the useful ones."""
MEASURED_COST = {
    "time-slicing": "busy pods take turns (measured on an H200: 17 % less in total)",
    "mps": "each gets a fixed part of the processors (measured on an H200: also when it is alone)",
}
"""Measured: 2 to 6 processes that keep one H200 busy, against one process alone; one with MPS's limits."""


def remedies_for(
    offers: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], outcome: Outcome
) -> list[str]:
    """Each remedy alone makes room for all pods; one step less of it does not."""
    useful = search.useful_offers(offers, nodes, outcome)
    return [
        *_more_slices(offers, useful, nodes, outcome),
        *_fewer_pods(nodes, outcome),
        *_smaller_requests(useful, nodes, outcome),
        *_more_pods(useful, nodes, outcome),
        *_more_hosts(useful, nodes, outcome),
    ]


def _more_slices(
    offers: Sequence[NodeOffer],
    useful: Sequence[NodeOffer],
    nodes: Sequence[SchedulableNode],
    outcome: Outcome,
) -> Iterator[str]:
    for profile in sorted({offer.profile for offer in useful}):
        own = [offer for offer in useful if offer.profile == profile]
        now = max(one.replicas for offer in own if (one := offer.resource_offer(outcome.resource)))
        needed = search.replicas_needed(profile, now, offers, nodes, outcome)
        if needed is None:
            continue
        cost = sharing_cost(own, outcome.resource, now, needed)
        if profile == NO_SHARING:
            pools = ", ".join(sorted({offer.pool for offer in own}))
            yield f"share the cards of pool {pools}: a profile with replicas: {needed} ({cost})"
        else:
            yield f"sharing.profiles.{profile}: replicas: {needed} instead of {now} ({cost})"


def sharing_cost(offers: Sequence[NodeOffer], resource: str, now: int, needed: int) -> str:
    """What more slices of each card cost: memory of a slice, and what sharers take from each other."""
    sizes = sorted({one.memory_mib for offer in offers if (one := offer.resource_offer(resource))})
    each = ", ".join(f"{size // now} -> {size // needed}" for size in sizes)
    strategy = offers[0].strategy
    limit = "MPS enforces it" if strategy == "mps" else "nothing enforces it"
    cost = MEASURED_COST[strategy]
    return f"{each} MiB a slice, {limit}; {needed} sharers of a card instead of {now}: {cost}"


def _fewer_pods(nodes: Sequence[SchedulableNode], outcome: Outcome) -> Iterator[str]:
    for demand in search.pending_demands(outcome)[:MAX_LISTED]:
        if fewer := search.pods_to_remove(demand, nodes, outcome):
            change = f"{demand.pods_key}: {demand.pods - fewer} instead of {demand.pods}"
            yield f"workloads.{demand.workload}: {change} ({count_noun(fewer, 'pod')} fewer)"


def _smaller_requests(
    useful: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], outcome: Outcome
) -> Iterator[str]:
    shared = all(offer.max_replicas > 1 for offer in useful)
    for demand in search.pending_demands(outcome)[:MAX_LISTED]:
        if less := search.request_reduction(demand, nodes, outcome):
            cost = (
                "costs no compute: two slices of a time-sliced card give a pod no more than one does"
                if shared
                else f"{count_noun(less, 'card')} fewer for each pod"
            )
            change = f"gpus: {demand.request - less} instead of {demand.request}"
            yield f"workloads.{demand.workload}: {change} ({cost})"


def _more_pods(
    useful: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], outcome: Outcome
) -> Iterator[str]:
    for pool in sorted({offer.pool for offer in useful})[:MAX_LISTED]:
        limits = {offer.max_pods for offer in useful if offer.pool == pool and offer.max_pods}
        now = max(limits, default=0)
        if now and (more := search.pods_to_admit(pool, now, useful, nodes, outcome)):
            yield f"pools.{pool}.kubeletArgs: {{max-pods: {now + more}}} instead of {now}"


def _more_hosts(
    useful: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], outcome: Outcome
) -> Iterator[str]:
    for model in search.model_hosts(useful, nodes, outcome.resource)[:MAX_LISTED]:
        if count := search.hosts_to_add(model.name, nodes, outcome):
            cards = count_noun(model.cards * count, "more card")
            each = f"{model.max_replicas} slices each" if model.max_replicas > 1 else "not shared"
            yield f"{count_noun(count, 'more host')} like {model.name} ({cards}, {each})"
