"""Elements of the drawing: text, rectangles, stacked blocks, and the document around them."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

WIDTH, MARGIN = 960, 24
LINE = 20
"""Height of a line of text."""
GAP = 14
"""Space between two blocks."""
CHARACTERS_PER_LINE = 128
FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif"
INK, PALE, EDGE, PAPER, SHEET, WARNING = "#1f2933", "#5f6c7b", "#d5dbe3", "#f6f8fa", "#ffffff", "#b42318"

Block = tuple[list[str], int]
"""Elements drawn from y = 0 on, and their height."""


def document(blocks: Sequence[Block]) -> str:
    """A self-contained SVG document with the blocks one below the other: no scripts, no external fonts."""
    elements, height = _stack([block for block in blocks if block[1]])
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg"',
        f'  viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"',
        f'  font-family="{FONT}" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>',
        *elements,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _stack(blocks: Sequence[Block]) -> Block:
    parts: list[str] = []
    y = MARGIN
    for elements, height in blocks:
        parts += moved(elements, y)
        y += height + GAP
    return parts, y - GAP + MARGIN


def moved(elements: Sequence[str], y: int) -> list[str]:
    """The elements, further down by `y`."""
    return [f'<g transform="translate(0 {y})">', *elements, "</g>"]


def text_lines(lines: Sequence[str], colour: str = INK) -> Block:
    """Lines of text below each other."""
    elements = [
        text(MARGIN, LINE * number, line, colour=colour) for number, line in enumerate(lines, start=1)
    ]
    return elements, LINE * len(lines) + (6 if lines else 0)


def text(
    x: float, y: float, content: str, *, size: int = 13, colour: str = INK, weight: int = 400,
    anchor: str = "start", more: str = "",
) -> str:  # fmt: skip
    """A line of text; `more` follows it in a paler colour."""
    tail = f'<tspan dx="10" fill="{PALE}" font-weight="400">{escape(more)}</tspan>' if more else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" font-weight="{weight}" '
        f'text-anchor="{anchor}">{escape(content)}{tail}</text>'
    )


def rectangle(
    x: float, y: float, width: float, height: float, fill: str, edge: str, radius: int, dashed: bool = False
) -> str:
    """A rectangle with rounded corners."""
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius}" fill="{fill}" '
        f'stroke="{edge}"{dash}/>'
    )
