"""Renders rehearsal/reports/bench.md from the results."""

import re
from collections.abc import Iterable, Mapping, Sequence

from rehearsal.bench.measure import Part, Series, ratio

HEAD = """\
# Benchmarks

![each contender's median as a multiple of its baseline's](bench.svg)

{goals}
"""
METHOD = """\
## How it was measured

By `make bench`. `BENCH=a,b` selects parts, `ROUNDS=n` sets how often each contender runs,
`PEER=name=path,…` names other installers of k3s over SSH (`rehearsal/bench/peer_tool.py` describes their
interface), and `NODES=n` the size of the cluster in part (c). All contenders of a part take turns in one run,
so the ratios mean something even where the seconds do not: the machines of the rehearsal share one computer,
and kubelets and GPUs are simulated ([fidelity](../../docs/explanation/fidelity.md)). A run of the engine
counts from the start of Python with the SDK to the end of the CLI's command, each in a process of its own.
The numbers are in [bench.json](bench.json); `python -m rehearsal.bench --render` writes this page from them,
and from `rehearsal/bench/remarks.md`.

**The computer:** {machine}
"""
LONG_TABLE = 8
"""A table with more rows is folded."""
UNITS = {"s": ("ms", 1000), "MiB": ("KiB", 1024)}
"""The unit below a unit, and how many make one."""
_NUMBER = re.compile(r"[<≤~]?\d[\d,.]*( ?[^\W\d]{1,4}| ×| %)?")


def page(parts: Mapping[str, Part], machine: str, remarks: str, known: Iterable[str]) -> str:
    """The page.

    `remarks` is written by a person, with a heading such as "### (a) …" for each part with a missed goal. The
    rest follows from the numbers. `known` has the letters of all parts.
    """
    body = [_goal_row(part, number) for _, part in sorted(parts.items()) for number in range(len(part.goals))]
    lines = [HEAD.format(goals="\n".join(rows(("part", "goal", "found", "met"), body)))]
    missed = [letter for letter, part in sorted(parts.items()) if not all(goal.met for goal in part.goals)]
    unexplained = [letter for letter in missed if not re.search(rf"^#+ \({letter}\)", remarks, re.MULTILINE)]
    for text, letters in (
        ("Missed, and not explained yet", unexplained),
        ("Not measured yet", [letter for letter in known if letter not in parts]),
    ):
        if letters:
            lines.append(f"{text}: {', '.join(letters)}.\n")
    lines += [remarks.strip(), "", METHOD.format(machine=machine)]
    return "\n".join([*lines, *(section(part) for _, part in sorted(parts.items()))]).rstrip() + "\n"


def section(part: Part) -> str:
    """The section of a part: description, medians, tables."""
    lines = [f"## {_heading(part)}", "", part.about.strip(), ""]
    if part.series:
        head = ["case", "contender", "median", "least – most", "rounds"]
        if part.baseline:
            head.append(f"× {part.baseline}")
        lines += [*rows(head, [_row(part, one)[: len(head)] for one in part.series]), ""]
    for table in part.tables:
        drawn = rows(table.head, table.rows)
        if len(table.rows) > LONG_TABLE:
            summary = re.sub("`([^`]*)`", r"<code>\1</code>", table.caption)
            lines += ["<details>", f"<summary>{summary}</summary>", "", *drawn, "", "</details>", ""]
        else:
            lines += [f"{table.caption}:", "", *drawn, ""]
    before, after = part.load or (0, 0)
    lines += [f"Measured {part.when}; load average {before:.1f} before, {after:.1f} after.", ""]
    return "\n".join(lines)


def rows(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table. Columns of numbers, with or without a unit, are right-aligned."""
    kinds = ["---:" if _numeric([line[at] for line in body]) else "---" for at in range(len(head))]
    return [f"| {' | '.join(line)} |" for line in (head, kinds, *body)]


def amount(value: float, unit: str) -> str:
    """A number with three significant digits and its unit, or the next smaller one below a tenth."""
    if unit in UNITS and 0 < value < 0.1:
        unit, factor = UNITS[unit]
        value *= factor
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}"


def _heading(part: Part) -> str:
    return f"({part.letter}) {part.title}"


def _goal_row(part: Part, number: int) -> tuple[str, ...]:
    """A goal, with a link to its part on the part's first row."""
    goal = part.goals[number]
    anchor = re.sub(r"[^\w\- ]", "", _heading(part).lower()).replace(" ", "-")
    link = f"[{_heading(part)}](#{anchor})" if number == 0 else ""
    return link, goal.text, goal.found, "yes" if goal.met else "**no**"


def _numeric(cells: Sequence[str]) -> bool:
    """Whether most cells that are not empty are numbers or ranges of them."""
    filled = [cell for cell in cells if cell]
    numbers = [cell for cell in filled if all(map(_NUMBER.fullmatch, cell.split(" – ")))]
    return 2 * len(numbers) > len(filled)


def _row(part: Part, one: Series) -> tuple[str, ...]:
    least, most = one.spread
    try:
        times = f"{ratio(one, part.of(one.case, part.baseline)):.2f}"
    except KeyError:
        times = ""
    return (
        one.case,
        one.contender,
        amount(one.median, one.unit),
        f"{amount(least, one.unit)} – {amount(most, one.unit)}",
        str(len(one.values)),
        "" if one.contender == part.baseline else times,
    )
