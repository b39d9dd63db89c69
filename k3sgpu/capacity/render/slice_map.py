"""The slice map as plain text: each node, its cards with their slices, and the pod on each slice."""

from collections.abc import Mapping, Sequence

from k3sgpu.capacity.fit import Fit, Pending, Placement
from k3sgpu.capacity.offers import NodeOffer
from k3sgpu.capacity.render.summary import (
    WIDTH,
    draws_cards,
    outlook_lines,
    pod_marks,
    slice_facts,
    total_lines,
    workload_mark,
    wrapped,
)
from k3sgpu.capacity.render.team_table import TeamUse, team_lines
from k3sgpu.capacity.slice_usage import by_node, pods_by_device
from k3sgpu.capacity.wording import count_noun

MAX_DRAWN_NODES = 16
"""With more GPU nodes than these, each has a line instead of a row per card."""
MAX_LISTED_PODS = 40
"""With more pods than this, the legend has a line per workload instead of a line per pod."""
BAR_LENGTH = 20


def render_slice_map(
    fit: Fit,
    placements: Sequence[Placement] | None = None,
    *,
    running: Sequence[Placement] = (),
    used: Mapping[tuple[str, str, str], TeamUse] | None = None,
) -> str:
    """The map of a fit, at most WIDTH columns wide.

    `placements` replaces those of the fit, for instance by those of a running cluster; the map then leaves
    out what is Pending or may happen later. `running` are the pods of members in a running cluster; `used` is
    what all pods of teams use there, by team, pool and resource.
    """
    shown = (*fit.reserved, *running, *fit.placements) if placements is None else placements
    blocks = [
        *_node_blocks(fit, shown),
        _without_gpu(fit.offers),
        _legend(shown),
        [*total_lines(fit, shown), *(_pending(fit.pending) if placements is None else [])],
        outlook_lines(fit) if placements is None and (fit.placements or fit.pending) else [],
        team_lines(fit.teams, used),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _node_blocks(fit: Fit, placements: Sequence[Placement]) -> list[list[str]]:
    """A block for each GPU node; a single block with a line for each if there are many nodes, cards or
    slices.
    """
    nodes, marks = by_node(placements), pod_marks(placements)
    gpu_nodes = [offer for offer in fit.offers if offer.cards]
    if len(gpu_nodes) > MAX_DRAWN_NODES or not draws_cards(gpu_nodes, placements):
        return [[_node_line(offer, nodes[offer.name]) for offer in gpu_nodes]]
    return [_node_block(offer, nodes[offer.name], marks) for offer in gpu_nodes]


def _node_line(offer: NodeOffer, placements: Sequence[Placement]) -> str:
    taken, total = sum(one.count for one in placements), sum(offer.resources.values())
    filled = BAR_LENGTH * min(taken, total) // total if total else 0
    cards = f"{offer.cards} x {offer.product}, profile {offer.profile}"
    state = "" if offer.resource_offers else ", in maintenance"
    return f"{offer.name:<16} [{'#' * filled:.<{BAR_LENGTH}}] {taken} of {total}  {cards}{state}"[:WIDTH]


def _node_block(offer: NodeOffer, placements: Sequence[Placement], marks: dict[str, str]) -> list[str]:
    names = ", ".join(one.name for one in offer.resource_offers) or "in maintenance"
    lines = wrapped(f"{offer.name}  {offer.product}, profile {offer.profile}, {names}, pool {offer.pool}", 2)
    width = max([2, *(len(marks[one.pod]) for one in placements)])
    for resource in offer.resource_offers:
        for index, pods in enumerate(pods_by_device(resource, placements)):
            lead = f"  {resource.partition or 'card'} {index}  "
            slices = [marks[pod] for pod in pods] + [""] * (resource.replicas - len(pods))
            lines += _device_rows(lead, slices, width)
            lines.append(" " * len(lead) + "; ".join(slice_facts(resource, len(pods))))
    return lines


def _device_rows(lead: str, slices: Sequence[str], width: int) -> list[str]:
    """The slices of one device as cells, on as many lines as it takes; `lead` stands before the first."""
    cells = [f"[{mark:^{width}}]" for mark in slices]
    per_line = (WIDTH - len(lead)) // (width + 2)
    rows = ["".join(cells[at : at + per_line]) for at in range(0, len(cells), per_line)]
    return [(" " * len(lead) if number else lead) + row for number, row in enumerate(rows)]


def _without_gpu(offers: Sequence[NodeOffer]) -> list[str]:
    names = [offer.name for offer in offers if not offer.cards]
    return wrapped(f"no GPU: {', '.join(names)}", 2) if names else []


def _legend(placements: Sequence[Placement]) -> list[str]:
    marks = pod_marks(placements)
    if sum(one.pods for one in placements) <= MAX_LISTED_PODS:
        rows = [(marks[one.pod], one.pod, f"{one.count} {one.resource} on {one.node}") for one in placements]
    else:
        workloads = dict.fromkeys(one.workload for one in placements)
        rows = [_workload_row(name, placements, marks) for name in workloads]
    width = max((len(mark) for mark, _, _ in rows), default=0)
    return [
        line for mark, name, facts in rows for line in wrapped(f"{mark:<{width}}  {name}  {facts}", width + 2)
    ]


def _workload_row(name: str, placements: Sequence[Placement], marks: dict[str, str]) -> tuple[str, str, str]:
    own = [one for one in placements if one.workload == name]
    pods = count_noun(sum(one.pods for one in own), "pod")
    facts = f"{pods}, {sum(one.count for one in own)} {own[0].resource}"
    return workload_mark(marks[own[0].pod]), name, facts


def _pending(pending: Sequence[Pending]) -> list[str]:
    if not pending:
        return []
    shown, more = pending[:MAX_LISTED_PODS], sum(one.pods for one in pending[MAX_LISTED_PODS:])
    lines = [f"Pending ({sum(one.pods for one in pending)}):"]
    lines += [line for pod in shown for line in wrapped(f"  {pod.pod}  {pod.message}", 6)]
    return [*lines, f"  and {more} more"] if more > 0 else lines
