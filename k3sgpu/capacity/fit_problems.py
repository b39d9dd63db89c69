"""A misfit as Problems: what stays Pending, in the scheduler's words, and the ways out."""

from collections.abc import Sequence

from k3sgpu.capacity.offers import NodeOffer
from k3sgpu.capacity.remedies import counted, remedies_for
from k3sgpu.capacity.scheduling import Demand, Outcome, SchedulableNode, may_run_on, pending_message, schedule
from k3sgpu.settings import Problem
from k3sgpu.wellknown import POOL_LABEL


def fit_problems(
    offers: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], outcome: Outcome
) -> list[Problem]:
    """Errors where it cannot fit, a warning where that depends or is not decided, nothing where it fits."""
    if outcome.verdict == "any order":
        return []
    if outcome.verdict != "no order":
        return [_undecided(outcome)]
    if not any(offer.resources.get(outcome.resource) for offer in offers):
        return [_not_offered(offers, nodes, demand) for demand in outcome.demands if demand.pods]
    astray = [demand for demand in outcome.demands if demand.pods and not _homes(nodes, demand)]
    if astray:
        rest = [demand for demand in outcome.demands if demand not in astray]
        found = [_no_such_node(offers, nodes, demand) for demand in astray]
        return found + fit_problems(offers, nodes, schedule(nodes, rest, outcome.resource))
    return [_too_little(offers, nodes, outcome)]


def _homes(nodes: Sequence[SchedulableNode], demand: Demand) -> list[SchedulableNode]:
    """The nodes that have the resource, be it all taken, and let the pods in."""
    return [node for node in nodes if demand.resource in node.free and may_run_on(demand, node)]


def _too_little(offers: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], outcome: Outcome) -> Problem:
    first = next(demand for demand in outcome.demands if demand.workload in outcome.pending)
    wanted = sum(demand.pods * demand.request for demand in outcome.demands)
    offered = sum(offer.resources.get(outcome.resource, 0) for offer in offers)
    free = sum(node.free.get(outcome.resource, 0) for node in nodes)
    left = f"{free}" if free >= offered else f"{offered}, of which others leave {free}"
    apart = "" if wanted > free else ", but not where these pods may go or not together on one node"
    ways = remedies_for(offers, nodes, outcome) or [
        "change several of replicas, gpus, hosts: no single one is enough"
    ]
    return Problem(
        where="workloads" if len(outcome.pending) > 1 else f"workloads.{first.workload}",
        found=f"{pending_phrase(outcome.packing.min_pending, outcome.packing.max_pending, outcome.pods)}: "
        + pending_message(first, nodes),
        expected=f"room for all: they ask for {wanted} {outcome.resource}, the nodes offer {left}{apart}",
        remedy="one of these:\n" + "\n".join(f"- {way}" for way in ways),
    )


def pending_phrase(min_pending: int, max_pending: int, pods: int) -> str:
    """1 of 4 pods stays Pending."""
    if min_pending == max_pending:
        bounds = f"{min_pending}"
    else:
        bounds = f"{min_pending} to {max_pending}" if min_pending else f"up to {max_pending}"
    return f"{bounds} of {counted(pods, 'pod')} {'stays' if max_pending == 1 else 'stay'} Pending"


def _not_offered(offers: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], demand: Demand) -> Problem:
    offered = sorted({name for offer in offers for name, count in offer.resources.items() if count})
    listed = [
        f"{offer.name}: {count} {name} (profile {offer.profile})"
        for offer in offers
        for name, count in offer.resources.items()
        if count
    ]
    return Problem(
        where=f"workloads.{demand.workload}.resource",
        found=f"{demand.resource}, which no node offers. {_all_pending(nodes, demand)}",
        expected="\n".join(["a resource that a node offers:", *listed]) if listed else "a node with a GPU",
        remedy=f"write resource: {' or '.join(offered)} (a profile's renameByDefault decides the name)"
        if offered
        else "add gpu: {product: …, count: …, memoryMiB: …} to a pool",
    )


def _all_pending(nodes: Sequence[SchedulableNode], demand: Demand) -> str:
    return f"Pending: {counted(demand.pods, 'pod')}: {pending_message(demand, nodes)}"


def _no_such_node(offers: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], demand: Demand) -> Problem:
    offering = [node for node in nodes if demand.resource in node.free]
    bars = {node.name: _bars(node, demand) for node in offering}
    barred = all(bars.values())
    asked = ", ".join(f"{key}={value}" for key, value in sorted(demand.selector.items()))
    known = sorted(key for key in demand.selector if any(key in node.labels for node in offering))
    listed = [
        f"{node.name}: "
        + ", ".join([*(f"{key}={node.labels.get(key, '(not set)')}" for key in known), *bars[node.name]])
        for node in offering
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
        found=found + _all_pending(nodes, demand),
        expected="\n".join(["a node that offers it and lets these pods in; there are:", *listed]),
        remedy=remedy,
    )


def _bars(node: SchedulableNode, demand: Demand) -> list[str]:
    """What keeps the pods out, whatever they select."""
    taints = [f"taint {taint.text}" for taint in demand.repelled_by(node)]
    return [*(["cordoned"] if node.unschedulable else []), *taints]


def _undecided(outcome: Outcome) -> Problem:
    bounds = pending_phrase(outcome.packing.min_pending, outcome.packing.max_pending, outcome.pods)
    if outcome.unknown_selector_keys:
        foreign = [
            f"{workload} selects on {', '.join(keys)}"
            for workload, keys in outcome.unknown_selector_keys.items()
        ]
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
