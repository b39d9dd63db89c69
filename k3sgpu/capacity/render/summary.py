"""Lines that the text and the drawing of a fit have in common."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import count
from string import ascii_uppercase
from textwrap import wrap

from k3sgpu.capacity.fit import OUTSIDE_THE_STACK, Fit, Placement
from k3sgpu.capacity.offers import NodeOffer, ResourceOffer
from k3sgpu.capacity.scheduling import FitSummary
from k3sgpu.capacity.slice_usage import totals
from k3sgpu.capacity.wording import any_of, device_phrase, pending_phrase

WIDTH = 100
"""The longest line of a text, in columns."""
MAX_DRAWN_CARDS = 64
MAX_DRAWN_SLICES = MAX_DRAWN_CARDS * 48
"""With more cards or slices than these, a picture has a bar per node instead of a row per card."""
WALLS = {
    "time-slicing": "time-slicing walls off faults, and only promises memory (one pod can take all; the MiB "
    "assume equal use) and time (6 times slower beside an endless kernel on an H200).",
    "mps": "MPS divides memory and processors (not beside a pod with many contexts), and does not contain "
    "faults (a fault in one pod, or its kill in a long kernel, ended the others on an H200).",
}
"""What divides slices by strategy, as rehearsal/reports/who-suffers.md measured it."""


def total_lines(fit: Fit, placements: Sequence[Placement]) -> list[str]:
    """How much of each resource is taken, how much memory is declared, and what sharing does not ensure."""
    resources = [one for offer in fit.offers for one in offer.resource_offers]
    sliced = {one.name for one in resources if one.replicas > 1}
    partitions = {one.name for one in resources if one.partition}
    lines: list[str] = []
    for name, (taken, offered) in totals(fit.offers, placements).items():
        noun = "slices" if name in sliced else "partitions" if name in partitions else "cards"
        lines.append(f"{taken} of {offered} {noun} taken ({name})")
    for load in fit.memory_loads:
        declared = f"up to {load.most_mib} of {load.memory_mib} MiB declared {device_phrase(load)}"
        lines += wrapped(f"{declared} ({load.resource})", 2)
    shared = [offer for offer in fit.offers if offer.max_replicas > 1]
    for strategy in sorted({offer.strategy for offer in shared}):
        profiles = ", ".join(sorted({offer.profile for offer in shared if offer.strategy == strategy}))
        lines += wrapped(f"Profile {profiles}: {WALLS[strategy]}", 2)
    return lines or ["no slices: no node has a GPU"]


def outlook_lines(fit: Fit) -> list[str]:
    """What is certain for all pods, during a rolling update, and after the loss of a node."""
    pods = fit.pods
    lines = [f"The pods {_verdict_phrase(fit, pods)}.", f"Rolling update: {rolling_update_text(fit)}."]
    lines += [f"Without {any_of(loss.nodes)}: {_loss_phrase(loss.result, pods)}." for loss in fit.node_losses]
    return [line for text in lines for line in wrapped(text, 2)]


def _verdict_phrase(fit: Fit, pods: int) -> str:
    pending = pending_phrase(fit.min_pending, fit.max_pending, pods)
    return {
        "any order": "fit in any order",
        "some orders": f"fit, but not in any order: {pending}",
        "no order": f"do not fit: {pending}",
        "not decided": f"not decided: {pending}",
    }[fit.verdict]


def _loss_phrase(result: FitSummary, pods: int) -> str:
    if not result.max_pending:
        return "all pods find room again"
    return pending_phrase(result.min_pending, result.max_pending, pods)


def rolling_update_text(fit: Fit) -> str:
    """Whether the new pods of a rolling update find room.

    A Deployment of this program removes a pod before it creates the next one (maxSurge 0, maxUnavailable 1).
    So the new pod finds the old one's slices, unless another pod took them.
    """
    if fit.verdict == "any order":
        return "every new pod finds room, however many Deployments are updated at once"
    if fit.pending:
        return "a Pending pod may take the slices of a pod that is being replaced; the new pod then waits"
    return "one Deployment at a time, every new pod finds room; with several, a new pod may have to wait"


def draws_cards(offers: Sequence[NodeOffer], placements: Sequence[Placement]) -> bool:
    """Whether a picture of these nodes shows each card and its slices."""
    offered = sum(one.count for offer in offers for one in offer.resource_offers)
    taken = sum(one.count for one in placements)
    return sum(offer.cards for offer in offers) <= MAX_DRAWN_CARDS and max(offered, taken) <= MAX_DRAWN_SLICES


def slice_facts(resource: ResourceOffer, taken: int) -> tuple[str, str]:
    """For one card or partition: how much of it is taken, and its memory."""
    size = f"about {resource.memory_mib} MiB" if resource.partition else f"{resource.memory_mib} MiB"
    if resource.replicas == 1:
        return "taken" if taken else "free", f"{size}, not shared"
    free = max(resource.replicas - taken, 0)
    return (
        f"{taken} of {resource.replicas} slices taken, {free} free",
        f"{size}, about {resource.mib_per_slice} MiB a slice",
    )


def pod_marks(placements: Sequence[Placement]) -> dict[str, str]:
    """A short mark for each pod: a letter for its workload and a number; x for pods outside the stack."""
    workloads = {one.pod: one.workload for one in placements}
    own = [name for name in dict.fromkeys(workloads.values()) if name != OUTSIDE_THE_STACK]
    letters = {name: _letters(index) for index, name in enumerate(own)}
    numbers: dict[str, Iterator[int]] = defaultdict(lambda: count(1))
    return {
        pod: f"{letters[workload]}{next(numbers[workload])}" if workload in letters else "x"
        for pod, workload in workloads.items()
    }


def workload_mark(pod_mark: str) -> str:
    """The part of a pod's mark that all pods of its workload share."""
    return pod_mark.rstrip("0123456789")


def _letters(index: int) -> str:
    """A … Z, AA, AB, …"""
    rest, last = divmod(index, len(ascii_uppercase))
    return (_letters(rest - 1) if rest else "") + ascii_uppercase[last]


def wrapped(text: str, indent: int) -> list[str]:
    """Lines of at most WIDTH columns; all but the first are indented by `indent`."""
    lead = " " * (len(text) - len(text.lstrip()))
    return wrap(text.lstrip(), WIDTH, initial_indent=lead, subsequent_indent=" " * indent)
