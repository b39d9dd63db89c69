"""A misfit as Problems: what stays Pending, in the scheduler's words, and the ways out."""

from collections.abc import Sequence

from settings import Problem

from .offer import NodeOffer
from .scheduling import Demand, Outcome, may_run_on, schedule, verdict
from .waysout import counted, ways_out


def problems_of(nodes: Sequence[NodeOffer], outcome: Outcome) -> list[Problem]:
    """Errors where it cannot fit, a warning where that is not decided, nothing where it fits."""
    if outcome.fits is True:
        return []
    if outcome.fits is None:
        return [_undecided(outcome)]
    if not any(offer.resources.get(outcome.resource) for offer in nodes):
        return [_not_offered(nodes, outcome, demand) for demand in outcome.demands if demand.pods]
    astray = [demand for demand in outcome.demands if demand.pods and not _homes(nodes, outcome, demand)]
    if astray:
        rest = [demand for demand in outcome.demands if demand not in astray]
        found = [_no_such_node(nodes, outcome, demand) for demand in astray]
        return found + problems_of(nodes, schedule(nodes, rest, outcome.resource))
    return [_too_little(nodes, outcome)]


def _homes(nodes: Sequence[NodeOffer], outcome: Outcome, demand: Demand) -> list[NodeOffer]:
    """The nodes that offer the resource and that the selector allows."""
    return [offer for offer in nodes if offer.resources.get(outcome.resource) and may_run_on(demand, offer)]


def _too_little(nodes: Sequence[NodeOffer], outcome: Outcome) -> Problem:
    first = next(demand for demand in outcome.demands if demand.workload in outcome.pending)
    pending, pods = sum(outcome.pending.values()), sum(demand.pods for demand in outcome.demands)
    wanted = sum(demand.pods * demand.request for demand in outcome.demands)
    offered = sum(offer.resources.get(outcome.resource, 0) for offer in nodes)
    apart = "" if wanted > offered else ", but not where these pods may go or not together on one node"
    ways = ways_out(nodes, outcome) or ["change several of replicas, gpus, hosts: no single one is enough"]
    return Problem(
        path="workloads" if len(outcome.pending) > 1 else f"workloads.{first.workload}",
        found=f"{pending} of {counted(pods, 'pod')} {'stays' if pending == 1 else 'stay'} Pending: "
        + verdict(first, nodes, outcome.free),
        expected=f"room for all: they ask for {wanted} {outcome.resource}, the nodes offer {offered}{apart}",
        remedy="one of these:\n" + "\n".join(f"- {way}" for way in ways),
    )


def _not_offered(nodes: Sequence[NodeOffer], outcome: Outcome, demand: Demand) -> Problem:
    offered = sorted({name for offer in nodes for name, count in offer.resources.items() if count})
    listed = [
        f"{offer.name}: {count} {name} (profile {offer.profile})"
        for offer in nodes
        for name, count in offer.resources.items()
        if count
    ]
    return Problem(
        path=f"workloads.{demand.workload}.resource",
        found=f"{demand.resource}, which no node offers. {_all_pending(nodes, outcome, demand)}",
        expected="\n".join(["a resource that a node offers:", *listed]) if listed else "a node with a GPU",
        remedy=f"write resource: {' or '.join(offered)} (a profile's renameByDefault decides the name)"
        if offered
        else "add gpu: {product: …, count: …, memoryMiB: …} to a pool",
    )


def _all_pending(nodes: Sequence[NodeOffer], outcome: Outcome, demand: Demand) -> str:
    return f"Pending: {counted(demand.pods, 'pod')}: {verdict(demand, nodes, outcome.free)}"


def _no_such_node(nodes: Sequence[NodeOffer], outcome: Outcome, demand: Demand) -> Problem:
    offering = [offer for offer in nodes if offer.resources.get(outcome.resource)]
    known = sorted(demand.selector.keys() - set(demand.undecided))
    listed = [
        f"{offer.name}: " + ", ".join(f"{key}={offer.all_labels.get(key, '(not set)')}" for key in known)
        for offer in offering
    ]
    hint = " (accelerator keeps its value when sharing is switched on or off; gpu.product does not)"
    return Problem(
        path=f"workloads.{demand.workload}.nodeSelector",
        found=", ".join(f"{key}={value}" for key, value in sorted(demand.selector.items()))
        + f", which no node with {outcome.resource} has. {_all_pending(nodes, outcome, demand)}",
        expected="\n".join(["labels of a node that offers it:", *listed]),
        remedy="write one of these labels, or remove nodeSelector"
        + (hint if "nvidia.com/gpu.product" in known else ""),
    )


def _undecided(outcome: Outcome) -> Problem:
    foreign = [
        f"{demand.workload} selects on {', '.join(demand.undecided)}"
        for demand in outcome.demands
        if demand.undecided and demand.pods
    ]
    if foreign:
        found = f"{'; '.join(foreign)}: not a label whose nodes are known beforehand"
        remedy = "see to it that enough nodes carry the label, or select on accelerator"
    elif not outcome.pending:
        found = f"the pods fit {outcome.resource} in some order, the scheduler may take them in another"
        remedy = "leave more room, make all requests equal, or keep workloads apart with nodeSelector"
    else:
        found = f"requests of {outcome.resource} for which no placement was found or ruled out"
        remedy = "leave more room, or make all requests equal"
    return Problem("workloads", found, "room for all, in whatever order they come", remedy, "warning")
