"""A misfit as Problems: what stays Pending, in the scheduler's words, and the ways out."""

from collections.abc import Sequence

from k3sgpu.capacity.offers import NodeOffer
from k3sgpu.capacity.remedies import counted, ways_out
from k3sgpu.capacity.scheduling import Demand, Outcome, Place, may_run_on, schedule, verdict
from k3sgpu.settings import POOL_LABEL, Problem


def problems_of(offers: Sequence[NodeOffer], places: Sequence[Place], outcome: Outcome) -> list[Problem]:
    """Errors where it cannot fit, a warning where that depends or is not decided, nothing where it fits."""
    if outcome.verdict == "any order":
        return []
    if outcome.verdict != "no order":
        return [_undecided(outcome)]
    if not any(offer.resources.get(outcome.resource) for offer in offers):
        return [_not_offered(offers, places, demand) for demand in outcome.demands if demand.pods]
    astray = [demand for demand in outcome.demands if demand.pods and not _homes(places, demand)]
    if astray:
        rest = [demand for demand in outcome.demands if demand not in astray]
        found = [_no_such_node(offers, places, demand) for demand in astray]
        return found + problems_of(offers, places, schedule(places, rest, outcome.resource))
    return [_too_little(offers, places, outcome)]


def _homes(places: Sequence[Place], demand: Demand) -> list[Place]:
    """The nodes that have the resource, be it all taken, and let the pods in."""
    return [place for place in places if demand.resource in place.free and may_run_on(demand, place)]


def _too_little(offers: Sequence[NodeOffer], places: Sequence[Place], outcome: Outcome) -> Problem:
    first = next(demand for demand in outcome.demands if demand.workload in outcome.pending)
    wanted = sum(demand.pods * demand.request for demand in outcome.demands)
    offered = sum(offer.resources.get(outcome.resource, 0) for offer in offers)
    free = sum(place.free.get(outcome.resource, 0) for place in places)
    left = f"{free}" if free >= offered else f"{offered}, of which others leave {free}"
    apart = "" if wanted > free else ", but not where these pods may go or not together on one node"
    ways = ways_out(offers, places, outcome) or [
        "change several of replicas, gpus, hosts: no single one is enough"
    ]
    return Problem(
        where="workloads" if len(outcome.pending) > 1 else f"workloads.{first.workload}",
        found=f"{still_pending(outcome.packing.least, outcome.packing.most, outcome.pods)}: "
        + verdict(first, places),
        expected=f"room for all: they ask for {wanted} {outcome.resource}, the nodes offer {left}{apart}",
        remedy="one of these:\n" + "\n".join(f"- {way}" for way in ways),
    )


def still_pending(least: int, most: int, pods: int) -> str:
    """1 of 4 pods stays Pending."""
    bounds = f"{least}" if least == most else f"{least} to {most}" if least else f"up to {most}"
    return f"{bounds} of {counted(pods, 'pod')} {'stays' if most == 1 else 'stay'} Pending"


def _not_offered(offers: Sequence[NodeOffer], places: Sequence[Place], demand: Demand) -> Problem:
    offered = sorted({name for offer in offers for name, count in offer.resources.items() if count})
    listed = [
        f"{offer.name}: {count} {name} (profile {offer.profile})"
        for offer in offers
        for name, count in offer.resources.items()
        if count
    ]
    return Problem(
        where=f"workloads.{demand.workload}.resource",
        found=f"{demand.resource}, which no node offers. {_all_pending(places, demand)}",
        expected="\n".join(["a resource that a node offers:", *listed]) if listed else "a node with a GPU",
        remedy=f"write resource: {' or '.join(offered)} (a profile's renameByDefault decides the name)"
        if offered
        else "add gpu: {product: …, count: …, memoryMiB: …} to a pool",
    )


def _all_pending(places: Sequence[Place], demand: Demand) -> str:
    return f"Pending: {counted(demand.pods, 'pod')}: {verdict(demand, places)}"


def _no_such_node(offers: Sequence[NodeOffer], places: Sequence[Place], demand: Demand) -> Problem:
    offering = [place for place in places if demand.resource in place.free]
    bars = {place.name: _bars(place, demand) for place in offering}
    barred = all(bars.values())
    asked = ", ".join(f"{key}={value}" for key, value in sorted(demand.selector.items()))
    known = sorted(key for key in demand.selector if any(key in place.labels for place in offering))
    listed = [
        f"{place.name}: "
        + ", ".join([*(f"{key}={place.labels.get(key, '(not set)')}" for key in known), *bars[place.name]])
        for place in offering
    ]
    if barred:
        path, found = f"workloads.{demand.workload}", f"no node with {demand.resource} lets these pods in. "
        remedy = (
            "take the taint (the pool's taints, kubectl taint) or the cordon (kubectl uncordon) away,\n"
            f"or write workloads.{demand.workload}.tolerations"
        )
    elif demand.selector.keys() == {POOL_LABEL}:
        path = f"workloads.{demand.workload}.pool"
        found = f"{demand.selector[POOL_LABEL]}, of which no node offers {demand.resource}. "
        pools = sorted({offer.pool for offer in offers if offer.resources.get(demand.resource)})
        remedy = f"write pool: {' or '.join(pools)}, or remove it"
    else:
        path = f"workloads.{demand.workload}.nodeSelector"
        found = f"{asked}, which no node with {demand.resource} has. "
        remedy = "write one of these labels, or remove nodeSelector"
    if "nvidia.com/gpu.product" in known:
        remedy += " (accelerator keeps its value when sharing is switched on or off; gpu.product does not)"
    return Problem(
        where=path,
        found=found + _all_pending(places, demand),
        expected="\n".join(["a node that offers it and lets these pods in; there are:", *listed]),
        remedy=remedy,
    )


def _bars(place: Place, demand: Demand) -> list[str]:
    """What keeps the pods out, whatever they select."""
    taints = [f"taint {taint.text}" for taint in demand.repelled_by(place)]
    return [*(["cordoned"] if place.unschedulable else []), *taints]


def _undecided(outcome: Outcome) -> Problem:
    bounds = still_pending(outcome.packing.least, outcome.packing.most, outcome.pods)
    if outcome.open_keys:
        foreign = [f"{workload} selects on {', '.join(keys)}" for workload, keys in outcome.open_keys.items()]
        found = f"{'; '.join(foreign)}: not a label whose nodes are known beforehand; {bounds}"
        remedy = "see to it that enough nodes carry the label, or select on accelerator"
    elif outcome.verdict == "some orders":
        found = (
            f"the pods fit {outcome.resource} in some order, the scheduler may take them in another: {bounds}"
        )
        remedy = "leave more room, make all requests equal, or keep workloads apart with nodeSelector"
    else:
        found = f"requests of {outcome.resource} for which no placement was found or ruled out: {bounds}"
        remedy = "leave more room, or make all requests equal"
    return Problem("workloads", found, "room for all, in whatever order they come", remedy, "warning")
