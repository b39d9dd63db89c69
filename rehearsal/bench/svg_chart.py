"""Draws rehearsal/reports/bench.svg: each contender's median as a multiple of its baseline's."""

from collections.abc import Mapping
from xml.sax.saxutils import escape

from rehearsal.bench.measure import Part, ratio
from rehearsal.bench.report_page import amount

WIDTH, MARGIN, LINE = 960, 24, 26
BARS_AT, BARS_WIDTH = 380, 380
INK, PALE, BASE, OURS = "#1f2933", "#5f6c7b", "#c9d2dc", "#2f6db5"
FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif"
Bar = tuple[str, float, str, bool]
"""A label, a multiple of the baseline, the text beside the bar, whether it is the baseline."""


def bars(part: Part) -> list[Bar]:
    """The bars of a part: its series that have a baseline."""
    cases = {one.case for one in part.series if one.contender == part.baseline}
    return [
        (
            f"{one.case}: {one.contender}",
            ratio(one, part.of(one.case, part.baseline)),
            amount(one.median, one.unit),
            one.contender == part.baseline,
        )
        for one in part.series
        if one.case in cases
    ]


def chart(parts: Mapping[str, Part]) -> str:
    """The SVG document, without scripts and external fonts."""
    drawn: list[str] = []
    y = MARGIN
    for letter, part in sorted(parts.items()):
        these = bars(part)
        if not these:
            continue
        y += LINE
        drawn.append(_text(MARGIN, y, f"({letter}) {part.title}", INK, 600))
        longest = max(1.5, *(times for _, times, _, _ in these))
        for label, times, beside, base in these:
            y += LINE
            width = BARS_WIDTH * times / longest
            drawn.append(_text(MARGIN, y, label, PALE if base else INK))
            drawn.append(
                f'<rect x="{BARS_AT}" y="{y - 14}" width="{width:.1f}" height="18" rx="3"'
                f' fill="{BASE if base else OURS}"/>'
            )
            text = beside if base else f"{beside}, {times:.2f} ×"
            drawn.append(_text(BARS_AT + width + 8, y, text, PALE if base else INK))
        y += LINE // 2
    height = y + MARGIN
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' viewBox="0 0 {WIDTH} {height}" font-family="{FONT}" font-size="14">'
    )
    sheet = f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    return "\n".join([opening, sheet, *drawn, "</svg>\n"])


def _text(x: float, y: float, text: str, colour: str, weight: int = 400) -> str:
    return f'<text x="{x:.1f}" y="{y}" fill="{colour}" font-weight="{weight}">{escape(text)}</text>'
