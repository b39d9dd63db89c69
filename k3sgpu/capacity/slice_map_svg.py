"""The slice map as a drawing: every node, its cards and their slices, who sits where, what waits."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import groupby
from textwrap import wrap
from xml.sax.saxutils import escape

from k3sgpu.capacity.fit import OUTSIDE_THE_STACK, Fit, Placement
from k3sgpu.capacity.offers import NodeOffer, ResourceOffer
from k3sgpu.capacity.slice_map import MAX_DRAWN_CARDS, devices, outlook, pod_marks, slice_facts, total_lines

WIDTH, MARGIN = 960, 24
CELLS_AT, CELLS_WIDTH, FACTS_AT = 116, 560, 692
CELL_HEIGHT, WIDEST_CELL, CELLS_A_LINE = 30, 96, 40
LINE = 20
COLUMNS = 3
LETTERS_A_LINE = 128
FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif"
INK, PALE, EDGE, PAPER, SHEET, WAITS = "#1f2933", "#5f6c7b", "#d5dbe3", "#f6f8fa", "#ffffff", "#b42318"
COLOURS = (
    "#2f6db5", "#2e8b57", "#c2611c", "#7a4fa3", "#1b8595",
    "#b03a5b", "#66751a", "#8a5a3c", "#4a5fc1", "#9c4391",
)  # fmt: skip
OTHERS = "#7d8894"

Block = tuple[list[str], int]
"""Elements drawn from y = 0 on, and their height."""


def render_svg(fit: Fit) -> str:
    """A document that stands by itself: light, no scripts, no fonts from elsewhere."""
    placements = (*fit.reserved, *fit.placements)
    marks, there = pod_marks(placements), defaultdict[str, list[Placement]](list)
    for placement in placements:
        there[placement.node].append(placement)
    names = [pod.workload for pod in (*fit.placements, *fit.pending)]
    colours = {name: COLOURS[n % len(COLOURS)] for n, name in enumerate(dict.fromkeys(names))}
    colours[OUTSIDE_THE_STACK] = OTHERS
    gpu_nodes = [offer for offer in fit.offers if offer.cards]
    if sum(offer.cards for offer in gpu_nodes) > MAX_DRAWN_CARDS:
        nodes = [_many(gpu_nodes, there)]
    else:
        nodes = [_node(offer, there[offer.name], marks, colours) for offer in gpu_nodes]
    blocks = [
        _heading(total_lines(fit, placements)),
        *nodes,
        _without_gpu([offer.name for offer in fit.offers if not offer.cards]),
        _legend(placements, marks, colours),
        _waiting(fit, colours),
        _texts(outlook(fit) if fit.placements or fit.pending else []),
    ]
    return _document(_stacked([block for block in blocks if block[1]]))


def _stacked(blocks: Sequence[Block]) -> Block:
    parts: list[str] = []
    y = MARGIN
    for elements, height in blocks:
        parts += [f'<g transform="translate(0 {y})">', *elements, "</g>"]
        y += height + 14
    return parts, y - 14 + MARGIN


def _document(block: Block) -> str:
    elements, height = block
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg"',
        f'  viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"',
        f'  font-family="{FONT}" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>',
        *elements,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _heading(lines: Sequence[str]) -> Block:
    first, *others = lines
    elements = [_text(MARGIN, 16, first, size=18, weight=600)]
    elements += [_text(MARGIN, 16 + LINE * n, line, colour=PALE) for n, line in enumerate(others, start=1)]
    return elements, 22 + LINE * len(others)


def _node(
    offer: NodeOffer, placements: Sequence[Placement], marks: dict[str, str], colours: dict[str, str]
) -> Block:
    state = "" if offer.resource_offers else " · in maintenance"
    facts = f"{offer.product} · profile {offer.profile} · pool {offer.pool}{state}"
    elements, y = [_text(MARGIN + 16, 28, offer.name, weight=600, more=facts)], 46
    for share in offer.resource_offers:
        for number, taken in enumerate(devices(share, placements)):
            name = f"{share.partition or 'card'} {number}"
            drawn, height = _device(name, share, taken, marks, colours, placements)
            elements += [f'<g transform="translate(0 {y})">', *drawn, "</g>"]
            y += height + 8
    return [_rect(MARGIN, 0, WIDTH - 2 * MARGIN, y + 6, SHEET, EDGE, 8), *elements], y + 6


def _device(
    name: str, share: ResourceOffer, taken: Sequence[str], marks: dict[str, str], colours: dict[str, str],
    placements: Sequence[Placement],
) -> Block:  # fmt: skip
    """A row of cells, as many lines as it takes; slices of one pod side by side are one field."""
    owner = {placement.pod: placement.workload for placement in placements}
    cells = [*taken, *[""] * (share.replicas - len(taken))]
    width = min(WIDEST_CELL, CELLS_WIDTH // min(len(cells), CELLS_A_LINE))
    lines = [cells[at : at + CELLS_A_LINE] for at in range(0, len(cells), CELLS_A_LINE)]
    size, memory = slice_facts(share, len(taken))
    elements = [
        _text(MARGIN + 16, 20, name, colour=PALE),
        _text(FACTS_AT, 13, size),
        _text(FACTS_AT, 28, memory, size=11, colour=PALE),
    ]
    for row, line in enumerate(lines):
        x, y = CELLS_AT, row * (CELL_HEIGHT + 4)
        for pod, run in groupby(line):
            number = len(list(run))
            fields = [number] if pod else [1] * number
            for field in fields:
                wide = field * width - 3
                elements.append(
                    _rect(x, y, wide, CELL_HEIGHT, colours[owner[pod]] if pod else SHEET, EDGE, 4, not pod)
                )
                if pod and wide >= 8 * len(marks[pod]):
                    elements.append(
                        _text(x + wide / 2, y + 20, marks[pod], colour=SHEET, weight=600, anchor="middle")
                    )
                x += field * width
    return elements, len(lines) * (CELL_HEIGHT + 4) - 4


def _many(offers: Sequence[NodeOffer], there: dict[str, list[Placement]]) -> Block:
    """A bar a node, in columns."""
    column = (WIDTH - 2 * MARGIN) // COLUMNS
    rows = -(-len(offers) // COLUMNS)
    elements: list[str] = []
    for number, offer in enumerate(offers):
        x, y = MARGIN + number // rows * column, number % rows * LINE
        taken, total = sum(placement.count for placement in there[offer.name]), sum(offer.resources.values())
        elements += [
            _text(x, y + 13, offer.name[:16], size=12),
            _rect(x + 124, y + 3, 100, 12, SHEET, EDGE, 3),
            _rect(x + 124, y + 3, min(100, 100 * taken // total), 12, COLOURS[0], COLOURS[0], 3),
            _text(x + 232, y + 13, f"{taken} of {total}", size=12, colour=PALE),
        ]
    return elements, rows * LINE


def _without_gpu(names: Sequence[str]) -> Block:
    lines = wrap(f"no GPU: {', '.join(names)}", LETTERS_A_LINE) if names else []
    return _lines(lines, lambda n, line: _text(MARGIN, LINE * n, line, colour=PALE))


def _legend(placements: Sequence[Placement], marks: dict[str, str], colours: dict[str, str]) -> Block:
    mine: dict[str, list[Placement]] = defaultdict(list)
    for placement in placements:
        mine[placement.workload].append(placement)
    elements: list[str] = []
    for number, (name, some) in enumerate(mine.items()):
        y = number * LINE
        wanted = f"{sum(placement.count for placement in some)} {some[0].resource}"
        pods = "" if name == OUTSIDE_THE_STACK else f"{len(some)} {'pod' if len(some) == 1 else 'pods'}, "
        letter = marks[some[0].pod].rstrip("0123456789")
        elements += [
            _rect(MARGIN, y, 28, 16, colours[name], colours[name], 3),
            _text(MARGIN + 14, y + 12, letter, size=11, colour=SHEET, weight=600, anchor="middle"),
            _text(MARGIN + 38, y + 13, name, more=pods + wanted),
        ]
    return elements, len(mine) * LINE


def _waiting(fit: Fit, colours: dict[str, str]) -> Block:
    """A field for each workload with Pending pods, and what the scheduler says of them."""
    if not fit.pending:
        return [], 0
    elements = [_text(MARGIN + 16, 26, f"Pending: {len(fit.pending)}", colour=WAITS, weight=600)]
    y = 38
    for name, some in groupby(fit.pending, key=lambda pod: pod.workload):
        pods = list(some)
        each = f"{len(pods)} {'pod' if len(pods) == 1 else 'pods'}, {pods[0].count} {pods[0].resource} each"
        elements.append(_rect(MARGIN + 16, y, 14, 14, SHEET, colours[name], 3, dashed=True))
        elements.append(_text(MARGIN + 38, y + 12, name, more=each))
        y += LINE
        for line in wrap(pods[0].message, LETTERS_A_LINE - 8):
            elements.append(_text(MARGIN + 38, y + 12, line, colour=PALE))
            y += LINE
    return [_rect(MARGIN, 0, WIDTH - 2 * MARGIN, y + 8, SHEET, WAITS, 8), *elements], y + 8


def _texts(lines: Sequence[str]) -> Block:
    return _lines(lines, lambda n, line: _text(MARGIN, LINE * n, line))


def _lines(lines: Sequence[str], draw: Callable[[int, str], str]) -> Block:
    return [draw(n, line) for n, line in enumerate(lines, start=1)], LINE * len(lines) + (6 if lines else 0)


def _text(
    x: float, y: float, text: str, *, size: int = 13, colour: str = INK, weight: int = 400,
    anchor: str = "start", more: str = "",
) -> str:  # fmt: skip
    """A line of text; `more` follows it, paler."""
    tail = f'<tspan dx="10" fill="{PALE}" font-weight="400">{escape(more)}</tspan>' if more else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" font-weight="{weight}" '
        f'text-anchor="{anchor}">{escape(text)}{tail}</text>'
    )


def _rect(
    x: float, y: float, width: float, height: float, fill: str, edge: str, radius: int, dashed: bool = False
) -> str:
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius}" fill="{fill}" '
        f'stroke="{edge}"{dash}/>'
    )
