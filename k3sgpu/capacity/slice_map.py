"""The slice map: every node, every card with its slices, who sits where. Plain text, at most 100 columns."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import count
from string import ascii_uppercase
from textwrap import wrap

from k3sgpu.capacity.fit import OUTSIDE_THE_STACK, Fit, Pending, Placement
from k3sgpu.capacity.fit_problems import pending_phrase
from k3sgpu.capacity.memory import device_phrase
from k3sgpu.capacity.offers import NodeOffer, ResourceOffer
from k3sgpu.capacity.outlook import NodeLoss

WIDTH = 100
MAX_LISTED_PODS = 40
"""With more pods than this, the legend has a line a workload instead of a line a pod."""
MAX_DRAWN_CARDS = 64
"""With more cards than this, the map has a line a node instead of a row a card."""

MEMORY_NOTES = {
    "time-slicing": "Time-slicing does not divide memory: a slice's MiB are what is left if all take alike.",
    "mps": "MPS lets each slice have its MiB and no more; a fault of one can still end others on its card.",
}


def render_slice_map(fit: Fit, placements: Sequence[Placement] | None = None) -> str:
    """The map of a fit: who would sit where, and who would be Pending.

    `seats` shows others instead, for instance those of a running cluster. The card a pod sits on is the one
    NVIDIA's plugin would choose: the card of the node with the fewest slices taken.
    """
    planned = placements is None
    shown = (*fit.reserved, *fit.placements) if placements is None else placements
    marks = pod_marks(shown)
    there: dict[str, list[Placement]] = defaultdict(list)
    for placement in shown:
        there[placement.node].append(placement)
    gpu_nodes = [offer for offer in fit.offers if offer.cards]
    if sum(offer.cards for offer in gpu_nodes) > MAX_DRAWN_CARDS:
        nodes = [[_line(offer, there[offer.name]) for offer in gpu_nodes]]
    else:
        nodes = [_node(offer, there[offer.name], marks) for offer in gpu_nodes]
    tail = [*total_lines(fit, shown), *(_pending(fit.pending) if planned else [])]
    later = outlook(fit) if planned and (fit.placements or fit.pending) else []
    blocks = [*nodes, _without_gpu(fit.offers), _legend(shown, marks), tail, later]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def totals(offers: Sequence[NodeOffer], placements: Sequence[Placement]) -> dict[str, tuple[int, int]]:
    """Taken and offered, of each resource that the stack's nodes offer."""
    offered: dict[str, int] = defaultdict(int)
    taken: dict[str, int] = defaultdict(int)
    for offer in offers:
        for resource, number in offer.resources.items():
            offered[resource] += number
    for placement in placements:
        taken[placement.resource] += placement.count
    return {resource: (taken[resource], number) for resource, number in sorted(offered.items()) if number}


def outlook(fit: Fit) -> list[str]:
    """What is known of all pods together, of a rolling update, and of the loss of a node."""
    pods = len(fit.placements) + len(fit.pending)
    verdict = {
        "any order": "fit in any order",
        "some orders": f"fit, but not in any order: {pending_phrase(0, fit.max_pending, pods)}",
        "no order": f"do not fit: {pending_phrase(fit.min_pending, fit.max_pending, pods)}",
        "not decided": f"not decided: {pending_phrase(fit.min_pending, fit.max_pending, pods)}",
    }[fit.verdict]
    lines = [f"The pods {verdict}.", f"Rolling update: {fit.rollout}."]
    lines += [f"Without {_one_of(loss)}: {_lost(loss, pods)}." for loss in fit.node_losses]
    return [line for text in lines for line in _wrapped(text, 2)]


def _one_of(loss: NodeLoss) -> str:
    if len(loss.nodes) == 1:
        return loss.nodes[0]
    return f"any one of {loss.nodes[0]} to {loss.nodes[-1]} ({len(loss.nodes)} alike)"


def _lost(loss: NodeLoss, pods: int) -> str:
    seen = loss.result
    return (
        "all pods find room again"
        if not seen.max_pending
        else pending_phrase(seen.min_pending, seen.max_pending, pods)
    )


def pod_marks(placements: Sequence[Placement]) -> dict[str, str]:
    """A short mark for each pod: a letter for its workload, a number within it; x for what is not ours."""
    letters: dict[str, str] = {}
    numbers: dict[str, Iterator[int]] = defaultdict(lambda: count(1))
    workloads = {placement.pod: placement.workload for placement in placements}
    for workload in workloads.values():
        if workload != OUTSIDE_THE_STACK:
            letters.setdefault(workload, _letter(len(letters)))
    return {
        pod: "x" if workload == OUTSIDE_THE_STACK else f"{letters[workload]}{next(numbers[workload])}"
        for pod, workload in workloads.items()
    }


def _letter(index: int) -> str:
    """A … Z, AA, AB, …"""
    rest, last = divmod(index, len(ascii_uppercase))
    return (_letter(rest - 1) if rest else "") + ascii_uppercase[last]


def _line(offer: NodeOffer, placements: Sequence[Placement]) -> str:
    taken = sum(placement.count for placement in placements)
    total, cards = sum(offer.resources.values()), f"{offer.cards} x {offer.product}, profile {offer.profile}"
    bar = "#" * (taken * 20 // total) if taken <= total else "#" * 20
    return f"{offer.name:<16} [{bar:.<20}] {taken} of {total}  {cards}"[:WIDTH]


def _node(offer: NodeOffer, placements: Sequence[Placement], marks: dict[str, str]) -> list[str]:
    names = ", ".join(share.name for share in offer.resource_offers) or "in maintenance"
    lines = _wrapped(f"{offer.name}  {offer.product}, profile {offer.profile}, {names}, pool {offer.pool}", 2)
    width = max([2, *(len(marks[placement.pod]) for placement in placements)])
    for share in offer.resource_offers:
        for index, taken in enumerate(devices(share, placements)):
            lead = f"  {share.partition or 'card'} {index}  "
            cells = [
                f"[{marks.get(pod, ''):^{width}}]" for pod in taken + [""] * (share.replicas - len(taken))
            ]
            per_line = (WIDTH - len(lead)) // (width + 2)
            rows = ["".join(cells[at : at + per_line]) for at in range(0, len(cells), per_line)]
            lines += [(" " * len(lead) if number else lead) + row for number, row in enumerate(rows)]
            lines.append(" " * len(lead) + "; ".join(slice_facts(share, len(taken))))
    return lines


def devices(share: ResourceOffer, placements: Sequence[Placement]) -> list[list[str]]:
    """For each card or partition the pods on its slices, a pod once for each slice."""
    devices: list[list[str]] = [[] for _ in range(share.devices)]
    for placement in placements:
        for _ in range(placement.count if placement.resource == share.name else 0):
            min(devices, key=len).append(placement.pod)
    return devices


def slice_facts(share: ResourceOffer, taken: int) -> tuple[str, str]:
    """Of one card or partition: how much of it is taken, and its memory."""
    size = f"about {share.memory_mib} MiB" if share.partition else f"{share.memory_mib} MiB"
    if share.replicas == 1:
        return "taken" if taken else "free", f"{size}, not shared"
    free = max(share.replicas - taken, 0)
    return (
        f"{taken} of {share.replicas} slices taken, {free} free",
        f"{size}, about {share.mib_per_slice} MiB a slice",
    )


def _without_gpu(offers: Sequence[NodeOffer]) -> list[str]:
    names = [offer.name for offer in offers if not offer.cards]
    return _wrapped(f"no GPU: {', '.join(names)}", 2) if names else []


def _legend(placements: Sequence[Placement], marks: dict[str, str]) -> list[str]:
    if len(placements) <= MAX_LISTED_PODS:
        rows = [
            (
                marks[placement.pod],
                placement.pod,
                f"{placement.count} {placement.resource} on {placement.node}",
            )
            for placement in placements
        ]
    else:
        rows = [
            _workload(name, placements, marks)
            for name in dict.fromkeys(placement.workload for placement in placements)
        ]
    width = max((len(mark) for mark, _, _ in rows), default=0)
    return [
        line for mark, who, what in rows for line in _wrapped(f"{mark:<{width}}  {who}  {what}", width + 2)
    ]


def _workload(name: str, placements: Sequence[Placement], marks: dict[str, str]) -> tuple[str, str, str]:
    mine = [placement for placement in placements if placement.workload == name]
    return (
        marks[mine[0].pod].rstrip("0123456789"),
        name,
        f"{len(mine)} pods, {sum(placement.count for placement in mine)} {mine[0].resource}",
    )


def total_lines(fit: Fit, placements: Sequence[Placement]) -> list[str]:
    """How much of each resource is taken, what declared memory may meet, and what is not promised."""
    shares = [share for offer in fit.offers for share in offer.resource_offers]
    sliced = {share.name for share in shares if share.replicas > 1}
    partitions = {share.name for share in shares if share.partition}
    lines = []
    for resource, (taken, offered) in totals(fit.offers, placements).items():
        what = "slices" if resource in sliced else "partitions" if resource in partitions else "cards"
        lines.append(f"{taken} of {offered} {what} taken ({resource})")
    for load in fit.memory_loads:
        declared = f"up to {load.most_mib} of {load.memory_mib} MiB declared {device_phrase(load)}"
        lines += _wrapped(f"{declared} ({load.resource})", 2)
    ways = {offer.strategy for offer in fit.offers if offer.replicas > 1}
    return [*lines, *(MEMORY_NOTES[way] for way in sorted(ways))] or ["no slices: no node has a GPU"]


def _pending(pending: Sequence[Pending]) -> list[str]:
    if not pending:
        return []
    shown, more = pending[:MAX_LISTED_PODS], len(pending) - MAX_LISTED_PODS
    lines = [f"Pending ({len(pending)}):"]
    lines += [line for pod in shown for line in _wrapped(f"  {pod.pod}  {pod.message}", 6)]
    return [*lines, f"  and {more} more"] if more > 0 else lines


def _wrapped(text: str, indent: int) -> list[str]:
    """Lines of at most WIDTH columns; the first keeps its own indentation, the others get `indent`."""
    lead = " " * (len(text) - len(text.lstrip()))
    return wrap(text.lstrip(), WIDTH, initial_indent=lead, subsequent_indent=" " * indent)
