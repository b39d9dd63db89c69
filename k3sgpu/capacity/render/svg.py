"""The slice map as a drawing: each node, its cards with their slices, and the pod on each slice."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from textwrap import wrap

from k3sgpu.capacity.fit import OUTSIDE_THE_STACK, Fit, Placement
from k3sgpu.capacity.offers import NodeOffer, ResourceOffer
from k3sgpu.capacity.render.summary import (
    draws_cards,
    outlook_lines,
    pod_marks,
    slice_facts,
    total_lines,
    workload_mark,
)
from k3sgpu.capacity.render.svg_elements import (
    CHARACTERS_PER_LINE,
    EDGE,
    LINE,
    MARGIN,
    PALE,
    SHEET,
    WARNING,
    WIDTH,
    Block,
    document,
    moved,
    rectangle,
    text,
    text_lines,
)
from k3sgpu.capacity.slice_usage import by_node, pods_by_device
from k3sgpu.capacity.wording import count_noun

CELLS_X, CELLS_WIDTH, FACTS_X = 116, 560, 692
CELL_HEIGHT, MAX_CELL_WIDTH, CELLS_PER_LINE = 30, 96, 40
NODE_COLUMNS = 3
COLOURS = (
    "#2f6db5", "#2e8b57", "#c2611c", "#7a4fa3", "#1b8595",
    "#b03a5b", "#66751a", "#8a5a3c", "#4a5fc1", "#9c4391",
)  # fmt: skip
COLOUR_OUTSIDE = "#7d8894"


@dataclass(frozen=True)
class _Key:
    """How pods are drawn: a mark for each pod, a colour for each workload."""

    marks: Mapping[str, str]
    colours: Mapping[str, str]
    workloads: Mapping[str, str]

    def colour(self, pod: str) -> str:
        """The colour of the pod's workload."""
        return self.colours[self.workloads[pod]]


def render_svg(fit: Fit) -> str:
    """The drawing as an SVG document."""
    placements = (*fit.reserved, *fit.placements)
    key = _key(fit, placements)
    return document(
        [
            _heading(total_lines(fit, placements)),
            *_node_blocks(fit, placements, key),
            _without_gpu(fit.offers),
            _legend(placements, key),
            _pending(fit, key),
            text_lines(outlook_lines(fit) if fit.placements or fit.pending else []),
        ]
    )


def _key(fit: Fit, placements: Sequence[Placement]) -> _Key:
    names = dict.fromkeys(pod.workload for pod in (*fit.placements, *fit.pending))
    colours = {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}
    return _Key(
        marks=pod_marks(placements),
        colours={**colours, OUTSIDE_THE_STACK: COLOUR_OUTSIDE},
        workloads={one.pod: one.workload for one in placements},
    )


def _heading(lines: Sequence[str]) -> Block:
    first, *others = lines
    elements = [text(MARGIN, 16, first, size=18, weight=600)]
    elements += [
        text(MARGIN, 16 + LINE * number, line, colour=PALE) for number, line in enumerate(others, start=1)
    ]
    return elements, 22 + LINE * len(others)


def _node_blocks(fit: Fit, placements: Sequence[Placement], key: _Key) -> list[Block]:
    """A block for each GPU node; a single block with a bar for each if there are many cards or slices."""
    gpu_nodes = [offer for offer in fit.offers if offer.cards]
    nodes = by_node(placements)
    if not draws_cards(gpu_nodes, placements):
        return [_node_bars(gpu_nodes, nodes)]
    return [_node(offer, nodes[offer.name], key) for offer in gpu_nodes]


def _node(offer: NodeOffer, placements: Sequence[Placement], key: _Key) -> Block:
    state = "" if offer.resource_offers else " · in maintenance"
    facts = f"{offer.product} · profile {offer.profile} · pool {offer.pool}{state}"
    elements, y = [text(MARGIN + 16, 28, offer.name, weight=600, more=facts)], 46
    for resource in offer.resource_offers:
        for index, pods in enumerate(pods_by_device(resource, placements)):
            drawn, height = _device(f"{resource.partition or 'card'} {index}", resource, pods, key)
            elements += moved(drawn, y)
            y += height + 8
    return [rectangle(MARGIN, 0, WIDTH - 2 * MARGIN, y + 6, SHEET, EDGE, 8), *elements], y + 6


def _device(name: str, resource: ResourceOffer, pods: Sequence[str], key: _Key) -> Block:
    """The slices of one card or partition as cells, on as many lines as it takes, and its facts."""
    slices = [*pods, *[""] * (resource.replicas - len(pods))]
    cell_width = min(MAX_CELL_WIDTH, CELLS_WIDTH // min(len(slices), CELLS_PER_LINE))
    lines = [slices[at : at + CELLS_PER_LINE] for at in range(0, len(slices), CELLS_PER_LINE)]
    usage, memory = slice_facts(resource, len(pods))
    elements = [
        text(MARGIN + 16, 20, name, colour=PALE),
        text(FACTS_X, 13, usage),
        text(FACTS_X, 28, memory, size=11, colour=PALE),
    ]
    for number, line in enumerate(lines):
        elements += _cells(line, cell_width, number * (CELL_HEIGHT + 4), key)
    return elements, len(lines) * (CELL_HEIGHT + 4) - 4


def _cells(slices: Sequence[str], cell_width: int, y: int, key: _Key) -> list[str]:
    """A line of slices. Neighbouring slices of one pod are one field; each free slice is a dashed one."""
    elements: list[str] = []
    x = CELLS_X
    for pod, run in groupby(slices):
        number = len(list(run))
        for cells in [number] if pod else [1] * number:
            width = cells * cell_width - 3
            fill = key.colour(pod) if pod else SHEET
            elements.append(rectangle(x, y, width, CELL_HEIGHT, fill, EDGE, 4, dashed=not pod))
            if pod and width >= 8 * len(key.marks[pod]):
                mark = key.marks[pod]
                elements.append(text(x + width / 2, y + 20, mark, colour=SHEET, weight=600, anchor="middle"))
            x += cells * cell_width
    return elements


def _node_bars(offers: Sequence[NodeOffer], placements: Mapping[str, list[Placement]]) -> Block:
    """A bar for each node, in columns."""
    column_width = (WIDTH - 2 * MARGIN) // NODE_COLUMNS
    rows = -(-len(offers) // NODE_COLUMNS)
    elements: list[str] = []
    for number, offer in enumerate(offers):
        x, y = MARGIN + number // rows * column_width, number % rows * LINE
        taken, total = sum(one.count for one in placements[offer.name]), sum(offer.resources.values())
        filled = 100 * min(taken, total) // total if total else 0
        facts = f"{taken} of {total}" if offer.resource_offers else "in maintenance"
        elements += [
            text(x, y + 13, offer.name[:16], size=12),
            rectangle(x + 124, y + 3, 100, 12, SHEET, EDGE, 3),
            rectangle(x + 124, y + 3, filled, 12, COLOURS[0], COLOURS[0], 3),
            text(x + 232, y + 13, facts, size=12, colour=PALE),
        ]
    return elements, rows * LINE


def _without_gpu(offers: Sequence[NodeOffer]) -> Block:
    names = [offer.name for offer in offers if not offer.cards]
    lines = wrap(f"no GPU: {', '.join(names)}", CHARACTERS_PER_LINE) if names else []
    return text_lines(lines, colour=PALE)


def _legend(placements: Sequence[Placement], key: _Key) -> Block:
    by_workload: dict[str, list[Placement]] = defaultdict(list)
    for placement in placements:
        by_workload[placement.workload].append(placement)
    elements: list[str] = []
    for number, (name, own) in enumerate(by_workload.items()):
        y, colour = number * LINE, key.colours[name]
        slices = f"{sum(one.count for one in own)} {own[0].resource}"
        pods = "" if name == OUTSIDE_THE_STACK else f"{count_noun(sum(one.pods for one in own), 'pod')}, "
        mark = workload_mark(key.marks[own[0].pod])
        elements += [
            rectangle(MARGIN, y, 28, 16, colour, colour, 3),
            text(MARGIN + 14, y + 12, mark, size=11, colour=SHEET, weight=600, anchor="middle"),
            text(MARGIN + 38, y + 13, name, more=pods + slices),
        ]
    return elements, len(by_workload) * LINE


def _pending(fit: Fit, key: _Key) -> Block:
    """A field for each workload with Pending pods, with the scheduler's message."""
    if not fit.pending:
        return [], 0
    elements = [
        text(MARGIN + 16, 26, f"Pending: {sum(one.pods for one in fit.pending)}", colour=WARNING, weight=600)
    ]
    y = 38
    for name, run in groupby(fit.pending, key=lambda pod: pod.workload):
        pods = list(run)
        facts = f"{count_noun(sum(one.pods for one in pods), 'pod')}, {pods[0].count} {pods[0].resource} each"
        elements.append(rectangle(MARGIN + 16, y, 14, 14, SHEET, key.colours[name], 3, dashed=True))
        elements.append(text(MARGIN + 38, y + 12, name, more=facts))
        y += LINE
        for line in wrap(pods[0].message, CHARACTERS_PER_LINE - 8):
            elements.append(text(MARGIN + 38, y + 12, line, colour=PALE))
            y += LINE
    return [rectangle(MARGIN, 0, WIDTH - 2 * MARGIN, y + 8, SHEET, WARNING, 8), *elements], y + 8
