"""Draws rehearsal/reports/bench.svg: each contender's median as a multiple of its baseline's."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from xml.sax.saxutils import escape

from rehearsal.bench import svg_text
from rehearsal.bench.measure import Part, ratio
from rehearsal.bench.report_page import amount

WIDTH, MARGIN, LINE, GAP = 960, 24, 20, 10
SIZE, SMALL, LARGE = 14, 12, 17
FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif"

CASE_AT, CASE_ROOM = MARGIN, 206
NAME_AT, NAME_ROOM = 240, 120
BARS_AT, BARS_ROOM = 370, 380
RATIO_ENDS, MEDIAN_ENDS = 838, WIDTH - MARGIN
BAR, ROW, POINT = 16, 26, 9

CUT_AT = 2.5
"""Longer bars are cut, so that the others stay readable."""

OURS = ("pulumi up", "pulumi preview", "this program")
"""Runs of this program, which share a colour."""
PEERS = 5
"""How many contenders besides this program have a colour of their own. Further ones share the last."""
LIGHT = {
    "sheet": "#ffffff",
    "ink": "#1f2328",
    "pale": "#57606a",
    "grid": "#d8dee4",
    "c0": "#0072b2",
    "c1": "#d55e00",
    "c2": "#009e73",
    "c3": "#8a2be2",
    "c4": "#662200",
    "c5": "#868f99",
}
"""The first three are of Okabe and Ito (2008). All stay apart with each kind of colour blindness, and have a
contrast of 3 or more with the sheet."""
DARK = {
    "sheet": "#0d1117",
    "ink": "#e6edf3",
    "pale": "#9da7b3",
    "grid": "#30363d",
    "c0": "#56b4e9",
    "c1": "#e69f00",
    "c2": "#009e73",
    "c3": "#a05cff",
    "c4": "#eeffaa",
    "c5": "#8b949e",
}
LINES = ("ink", "pale", "grid", "sheet")
"""Colours that lines have, too."""


class Bar(NamedTuple):
    """A contender, its multiple of the baseline, its median as text, and its strictest goal as a multiple."""

    contender: str
    times: float
    median: str
    goal: float | None


class Group(NamedTuple):
    """A case, its baseline's median as text, and its bars."""

    case: str
    baseline: str
    bars: list[Bar]


class Drawing(NamedTuple):
    """Elements of an SVG, the y below them, and those that lie above all others."""

    elements: list[str]
    bottom: float
    above: tuple[str, ...] = ()


def chart(parts: Mapping[str, Part]) -> str:
    """The SVG document, without scripts and external fonts. It follows the viewer's light or dark scheme."""
    drawn = [(part, groups(part)) for _, part in sorted(parts.items())]
    bars = [bar for _, found in drawn for group in found for bar in group.bars]
    longest = axis_end(bars)
    colours = colour_classes(bars)
    elements, y, _ = _head(bars, longest, colours)
    for part, found in drawn:
        if found:
            more, y, _ = _part(part, found, longest, colours, y + GAP)
            elements += more
    height = math.ceil(y + MARGIN)
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" role="img"'
        f' viewBox="0 0 {WIDTH} {height}" font-family="{FONT}">'
    )
    title = "<title>Medians of the benchmarks, as multiples of their baselines</title>"
    sheet = f'<rect class="sheet" width="{WIDTH}" height="{height}" rx="6"/>'
    return "\n".join([opening, title, f"<style>{_style()}</style>", sheet, *elements, "</svg>\n"])


def groups(part: Part) -> list[Group]:
    """The cases of a part that have a baseline, with the other contenders."""
    found = []
    for base in (one for one in part.series if one.contender == part.baseline):
        bars = [
            Bar(
                one.contender,
                ratio(one, base),
                amount(one.median, one.unit),
                strictest_goal(part, one.case, one.contender),
            )
            for one in part.series
            if one.case == base.case and one is not base
        ]
        found.append(Group(base.case, amount(base.median, base.unit), bars))
    return found


def strictest_goal(part: Part, case: str, contender: str) -> float | None:
    """The smallest limit for a contender in a case, as a multiple of the baseline; None without a limit."""
    base = part.of(case, part.baseline)
    limits = [goal.limit for goal in part.goals if goal.limit]
    return min(
        (
            limit.times * ratio(part.of(case, limit.other), base)
            for limit in limits
            if (limit.case, limit.contender) == (case, contender)
        ),
        default=None,
    )


def axis_end(bars: Iterable[Bar]) -> float:
    """The multiple at the right end of the axis."""
    most = max((value for bar in bars for value in (bar.times, bar.goal or 0)), default=1)
    return max(1.5, math.ceil(2 * min(most, CUT_AT)) / 2)


def colour_classes(bars: Iterable[Bar]) -> dict[str, str]:
    """The CSS class by contender, in the order of the legend."""
    names = list(dict.fromkeys(bar.contender for bar in bars))
    peers = [name for name in names if name not in OURS]
    ours = {name: "c0" for name in names if name in OURS}
    return ours | {name: f"c{min(at, PEERS)}" for at, name in enumerate(peers, 1)}


def _head(bars: list[Bar], longest: float, colours: Mapping[str, str]) -> Drawing:
    """The title, how to read the chart, and the legend."""
    y = MARGIN + LARGE
    elements = [_text(MARGIN, y, "Medians as multiples of the baseline", "ink", LARGE, bold=True)]
    how = "Shorter is better."
    if any(bar.times > longest for bar in bars):
        how += f" A pointed bar is cut at {longest:g} ×: its number says how long it is."
    y += LINE + 4
    elements.append(_text(MARGIN, y, how, "pale"))
    entries: list[tuple[str, str]] = []
    names = [name for name in colours if name in OURS]
    if names:
        entries.append(("c0", f"this program: {', '.join(names)}" if names != [OURS[2]] else OURS[2]))
    entries += [(css, name) for name, css in colours.items() if name not in OURS]
    entries.append(("baseline", "baseline"))
    if any(bar.goal for bar in bars):
        entries.append(("goal", "goal, the strictest"))
    x, y = MARGIN, y + LINE + 8
    for css, name in entries:
        room = 24 + svg_text.width(name, SIZE) + 20
        if x > MARGIN and x + room > WIDTH - MARGIN:
            x, y = MARGIN, y + LINE
        if css == "baseline":
            elements.append(_line(x + 8, y - 12, y + 2, "pale", 2))
        elif css == "goal":
            elements += _tick(x + 8, y - 5)
        else:
            elements.append(f'<rect class="{css}" x="{x:.1f}" y="{y - 12}" width="16" height="14" rx="3"/>')
        elements.append(_text(x + 24, y, name, "ink"))
        x += room
    return Drawing(elements, y + 8)


def _part(part: Part, found: list[Group], longest: float, colours: Mapping[str, str], top: float) -> Drawing:
    """A part: its title, an axis, and its groups of bars."""
    y = top
    elements = [f'<line class="s-grid" x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y:.1f}" y2="{y:.1f}"/>']
    title = f"({part.letter}) {part.title}"
    for line in svg_text.wrap(title, WIDTH - 2 * MARGIN, SIZE + 1, bold=True):
        y += LINE + 2
        elements.append(_text(MARGIN, y, line, "ink", SIZE + 1, bold=True))
    y += LINE
    room = NAME_AT + NAME_ROOM - MARGIN
    baseline = svg_text.wrap(f"baseline: {part.baseline}", room, SMALL)
    elements += [_text(MARGIN, y + LINE * at, line, "pale", SMALL) for at, line in enumerate(baseline)]
    y += LINE * (len(baseline) - 1)
    elements += [
        _text(BARS_AT + BARS_ROOM * value / longest, y, f"{value:g} ×", "pale", SMALL, anchor="middle")
        for value in range(math.floor(longest) + 1)
    ]
    elements.append(_text(RATIO_ENDS, y, "ratio", "pale", SMALL, anchor="end"))
    elements.append(_text(MEDIAN_ENDS, y, "median", "pale", SMALL, anchor="end"))
    began = y = y + 6
    bars: list[str] = []
    goals: list[str] = []
    for group in found:
        more, y, above = _group(group, longest, colours, y + 4)
        bars += more
        goals += above
    grid = [
        _line(BARS_AT + BARS_ROOM * value / longest, began, y, "grid", 1)
        for value in range(math.floor(longest) + 1)
        if value != 1
    ]
    base = _line(BARS_AT + BARS_ROOM / longest, began, y, "pale", 2)
    return Drawing([*elements, *grid, *bars, base, *goals], y)


def _group(group: Group, longest: float, colours: Mapping[str, str], top: float) -> Drawing:
    """A case: at the left its name and baseline, at the right a row for each contender."""
    y = top
    elements: list[str] = []
    goals: list[str] = []
    baseline = f"baseline {group.baseline}"
    for text, css, size in ((group.case, "ink", SIZE), (baseline, "pale", SMALL)):
        for line in svg_text.wrap(text, CASE_ROOM, size):
            elements.append(_text(CASE_AT, y + 17, line, css, size))
            y += LINE - 2
    left, y = y, top
    for bar in group.bars:
        elements.append(_bar(bar.times, longest, colours[bar.contender], y + ROW / 2))
        if bar.goal and bar.goal <= longest:
            goals += _tick(BARS_AT + BARS_ROOM * bar.goal / longest, y + ROW / 2)
        elements.append(_text(RATIO_ENDS, y + 18, amount(bar.times, "×"), "ink", bold=True, anchor="end"))
        elements.append(_text(MEDIAN_ENDS, y + 18, bar.median, "pale", anchor="end"))
        lines = svg_text.wrap(bar.contender, NAME_ROOM, SIZE)
        elements += [_text(NAME_AT, y + 18 + LINE * at, line, "ink") for at, line in enumerate(lines)]
        y += ROW + LINE * (len(lines) - 1)
    return Drawing(elements, max(left, y) + 6, tuple(goals))


def _bar(times: float, longest: float, css: str, middle: float) -> str:
    """A bar from the start of the axis, pointed if it is cut."""
    end = BARS_AT + BARS_ROOM * min(times, longest) / longest
    top, bottom = middle - BAR / 2, middle + BAR / 2
    tip = f"H{end:.1f}V{bottom:.1f}"
    if times > longest:
        tip = f"H{end - POINT:.1f}L{end:.1f} {middle:.1f}L{end - POINT:.1f} {bottom:.1f}"
    return f'<path class="{css}" d="M{BARS_AT} {top:.1f}{tip}H{BARS_AT}z"/>'


def _tick(x: float, middle: float) -> list[str]:
    """A goal: a short line with a margin, so that it shows on a bar as well as beside it."""
    top, bottom = middle - BAR / 2 - 3, middle + BAR / 2 + 3
    return [_line(x, top, bottom, "sheet", 6), _line(x, top, bottom, "ink", 3)]


def _line(x: float, top: float, bottom: float, colour: str, width: int) -> str:
    return (
        f'<line class="s-{colour}" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"'
        f' stroke-width="{width}"/>'
    )


def _text(
    x: float, y: float, text: str, colour: str, size: int = SIZE, *, bold: bool = False, anchor: str = "start"
) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text class="{colour}" x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"'
        f"{weight}>{escape(text)}</text>"
    )


def _style() -> str:
    """The colours by class, in a light and in a dark scheme."""

    def rules(colours: Mapping[str, str]) -> str:
        fills = "".join(f".{name}{{fill:{colour}}}" for name, colour in colours.items())
        return fills + "".join(f".s-{name}{{stroke:{colours[name]}}}" for name in LINES)

    return f"{rules(LIGHT)}@media (prefers-color-scheme:dark){{{rules(DARK)}}}"
