"""Problems of the fit: which pods stay Pending, why, and the remedies."""

from collections.abc import Sequence
from dataclasses import replace

from k3sgpu.capacity.node_filters import Demand, may_run_on, pending_message
from k3sgpu.capacity.offers import NodeOffer
from k3sgpu.capacity.packing.pack import Packing
from k3sgpu.capacity.remedies import remedies_for
from k3sgpu.capacity.schedulable_nodes import SchedulableNode
from k3sgpu.capacity.scheduling import Outcome, all_fit, schedule
from k3sgpu.capacity.taints import untolerated
from k3sgpu.capacity.wording import count_noun, pending_phrase
from k3sgpu.settings import Problem
from k3sgpu.wellknown import POOL_LABEL, PRODUCT_LABEL


def fit_problems(
    offers: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], outcome: Outcome
) -> list[Problem]:
    """Errors if the pods cannot fit, a warning if it depends or is not decided, nothing if they fit."""
    if outcome.verdict == "any order":
        return []
    if outcome.verdict != "no order":
        return [_undecided(outcome)]
    if not any(offer.resources.get(outcome.resource) for offer in offers):
        return [_not_offered(offers, nodes, demand) for demand in outcome.demands if demand.pods]
    without_node = [one for one in outcome.demands if one.pods and not _has_usable_node(nodes, one)]
    if without_node:
        rest = [demand for demand in outcome.demands if demand not in without_node]
        found = [_no_usable_node(offers, nodes, demand) for demand in without_node]
        return found + fit_problems(offers, nodes, schedule(nodes, rest, outcome.resource))
    return [_not_enough_room(offers, nodes, outcome)]


def _has_usable_node(nodes: Sequence[SchedulableNode], demand: Demand) -> bool:
    """Whether a node has the resource (free or not) and admits the pods."""
    return any(demand.resource in node.free and may_run_on(demand, node) for node in nodes)


def _not_enough_room(
    offers: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], outcome: Outcome
) -> Problem:
    pending, packing = outcome.pending, outcome.packing
    first = next(demand for demand in outcome.demands if demand.workload in pending)
    wanted = sum(demand.pods * demand.request for demand in outcome.demands)
    offered = sum(offer.resources.get(outcome.resource, 0) for offer in offers)
    free = sum(node.free.get(outcome.resource, 0) for node in nodes)
    left = f"{free}" if free >= offered else f"{offered}, of which others leave {free}"
    if wanted > free:
        apart = ""
    elif all_fit([replace(node, free_pods=None) for node in nodes], outcome.demands, outcome.resource):
        apart = f",\nbut {_kubelets_take(nodes, outcome)}"
    else:
        apart = ", but not on nodes that these pods may use, or not enough on one node"
    remedies = remedies_for(offers, nodes, outcome) or [
        "change several of replicas, gpus, hosts: no single one is enough"
    ]
    return Problem(
        where="workloads" if len(pending) > 1 else f"workloads.{first.workload}",
        found=f"{pending_phrase(packing.min_pending, packing.max_pending, outcome.pods)}: "
        + pending_message(first, nodes),
        expected=f"room for all: they ask for {wanted} {outcome.resource}, the nodes offer {left}{apart}",
        remedy="one of these:\n" + "\n".join(f"- {remedy}" for remedy in remedies),
    )


def _kubelets_take(nodes: Sequence[SchedulableNode], outcome: Outcome) -> str:
    """What limits the pods, where the resource does not."""
    usable = [
        node
        for node in nodes
        if node.free.get(outcome.resource) and any(may_run_on(one, node) for one in outcome.demands)
    ]
    listed = sorted({node.free_pods for node in usable if node.free_pods is not None})
    each = " or ".join(map(str, listed[:3])) if len(listed) <= 3 else f"{listed[0]} to {listed[-1]}"
    return f"the kubelet of a node takes {each} pods besides those of k3s and the operator (max-pods)"


def too_many_pods(nodes: Sequence[SchedulableNode], demands: Sequence[Demand], packing: Packing) -> Problem:
    """An error: there are slices enough, but the kubelets do not take so many pods."""
    pods = sum(one.pods for one in demands)
    slots = sum(node.free_pods for node in nodes if node.free_pods is not None and any(node.free.values()))
    return Problem(
        where="workloads",
        found=f"{count_noun(pods, 'pod')}: no kubelet takes {packing.min_pending} of them (Too many pods)",
        expected=f"no more pods than the kubelets of nodes with cards take, {slots} besides those of k3s\n"
        "and the operator (max-pods, 110 by default)",
        remedy="write fewer pods, add hosts, or raise kubeletArgs: {max-pods: ...} in the pool",
    )


def undecided_pods() -> Problem:
    """A warning: pods of different requests may use up what a kubelet takes."""
    return Problem(
        "workloads",
        "so many pods that a kubelet's limit (max-pods) may be reached before its slices are used up",
        "room for all pods, in any order",
        "leave more room, or raise kubeletArgs: {max-pods: ...} in the pool",
        "warning",
    )


def _not_offered(offers: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], demand: Demand) -> Problem:
    offered = [(offer, name, count) for offer in offers for name, count in offer.resources.items() if count]
    listed = [f"{offer.name}: {count} {name} (profile {offer.profile})" for offer, name, count in offered]
    names = " or ".join(sorted({name for _, name, _ in offered}))
    return Problem(
        where=f"workloads.{demand.workload}.resource",
        found=f"{demand.resource}, which no node offers. {_all_pending(nodes, demand)}",
        expected="\n".join(["a resource that a node offers:", *listed]) if listed else "a node with a GPU",
        remedy=f"write resource: {names} (a profile's renameByDefault decides the name)"
        if offered
        else "add gpu: {product: …, count: …, memoryMiB: …} to a pool",
    )


def _no_usable_node(offers: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], demand: Demand) -> Problem:
    offering = [node for node in nodes if demand.resource in node.free]
    barriers = {node.name: _barriers(node, demand) for node in offering}
    known = sorted(key for key in demand.selector if any(key in node.labels for node in offering))
    listed = [
        f"{node.name}: "
        + ", ".join([*(f"{key}={node.labels.get(key, '(not set)')}" for key in known), *barriers[node.name]])
        for node in offering
    ]
    if all(barriers.values()):
        where, found, remedy = _repelled(demand)
    elif demand.selector.keys() == {POOL_LABEL}:
        where, found, remedy = _wrong_pool(offers, demand)
    else:
        where, found, remedy = _wrong_selector(demand)
    if PRODUCT_LABEL in known:
        remedy += " (accelerator keeps its value when sharing is switched on or off; gpu.product does not)"
    return Problem(
        where=where,
        found=found + _all_pending(nodes, demand),
        expected="\n".join(
            ["a node that offers it and admits these pods; the nodes that offer it:", *listed]
        ),
        remedy=remedy,
    )


def _repelled(demand: Demand) -> tuple[str, str, str]:
    """Where, found, remedy: each node that offers the resource is cordoned or tainted."""
    return (
        f"workloads.{demand.workload}",
        f"no node with {demand.resource} admits these pods. ",
        (
            "remove the taint (the pool's taints, kubectl taint) or the cordon (kubectl uncordon),\n"
            f"or write workloads.{demand.workload}.tolerations"
        ),
    )


def _wrong_pool(offers: Sequence[NodeOffer], demand: Demand) -> tuple[str, str, str]:
    """Where, found, remedy: the workload's pool does not offer the resource."""
    pools = sorted({offer.pool for offer in offers if offer.resources.get(demand.resource)})
    return (
        f"workloads.{demand.workload}.pool",
        f"{demand.selector[POOL_LABEL]}, of which no node offers {demand.resource}. ",
        f"write pool: {' or '.join(pools)}, or remove it",
    )


def _wrong_selector(demand: Demand) -> tuple[str, str, str]:
    """Where, found, remedy: no node that offers the resource has the labels of the selector."""
    wanted = ", ".join(f"{key}={value}" for key, value in sorted(demand.selector.items()))
    return (
        f"workloads.{demand.workload}.nodeSelector",
        f"{wanted}, which no node with {demand.resource} has. ",
        "write one of these labels, or remove nodeSelector",
    )


def _barriers(node: SchedulableNode, demand: Demand) -> list[str]:
    """What keeps the pods off the node, besides its labels."""
    taints = [f"taint {taint.text}" for taint in untolerated(node.taints, demand.tolerations)]
    return [*(["cordoned"] if node.unschedulable else []), *taints]


def _all_pending(nodes: Sequence[SchedulableNode], demand: Demand) -> str:
    return f"Pending: {count_noun(demand.pods, 'pod')}: {pending_message(demand, nodes)}"


def _undecided(outcome: Outcome) -> Problem:
    bounds = pending_phrase(outcome.packing.min_pending, outcome.packing.max_pending, outcome.pods)
    if unknown := outcome.unknown_selector_keys:
        listed = "; ".join(f"{workload} selects on {', '.join(keys)}" for workload, keys in unknown.items())
        found = f"{listed}: it is not known before the run which nodes have this label; {bounds}"
        remedy = "make sure that enough nodes have the label, or select on accelerator"
    elif outcome.verdict == "some orders":
        found = f"all pods fit {outcome.resource} in some orders, but the scheduler may use another: {bounds}"
        remedy = "leave more room, make all requests equal, or keep workloads apart with nodeSelector"
    else:
        found = f"a placement of all {outcome.resource} requests was neither found nor ruled out: {bounds}"
        remedy = "leave more room, or make all requests equal"
    return Problem("workloads", found, "room for all pods, in any order", remedy, "warning")
