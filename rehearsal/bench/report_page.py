"""Renders rehearsal/reports/bench.md from the results."""

from collections.abc import Mapping, Sequence

from rehearsal.bench.measure import Part, Series, ratio

HEAD = """\
# Benchmarks

Written by `make bench`. `BENCH=a,b` selects parts, `ROUNDS=n` sets how often each contender runs, and
`PEER=path` names another installer of k3s over SSH (`rehearsal/bench/peer_tool.py` describes its interface).
All contenders of a part take turns in one run, so the ratios mean something even where the seconds do not:
the machines of the rehearsal share one computer, and kubelets and GPUs are simulated
([fidelity](../../docs/explanation/fidelity.md)). A run of the engine counts from the start of Python with
the SDK to the end of the CLI's command, each in a process of its own. The numbers are in
[bench.json](bench.json).

**The computer:** {machine}

![ratio of each median to its baseline](bench.svg)

| | goal | found | met |
|---|---|---|---|
{goals}
"""
LETTERS = "abcdef"


def page(parts: Mapping[str, Part], machine: str, remarks: str) -> str:
    """The page. `remarks` is written by a person, the rest follows from the numbers."""
    goals = [
        f"| {letter} | {goal.text} | {goal.found} | {'yes' if goal.met else '**no**'} |"
        for letter, part in sorted(parts.items())
        for goal in part.goals
    ]
    head = HEAD.format(machine=machine, goals="\n".join(goals))
    unmeasured = [letter for letter in LETTERS if letter not in parts]
    if unmeasured:
        head += f"\nNot measured yet: {', '.join(unmeasured)}.\n"
    sections = [section(part) for _, part in sorted(parts.items())]
    return "\n".join([head, remarks.strip(), "", *sections]).rstrip() + "\n"


def section(part: Part) -> str:
    """The section of a part: description, medians, tables."""
    lines = [f"## ({part.letter}) {part.title}", "", part.about, ""]
    if part.series:
        head = ("case", "contender", "median", "least – most", "rounds", f"× {part.baseline}")
        lines += [*rows(head, [_row(part, one) for one in part.series]), ""]
    for table in part.tables:
        lines += [f"{table.caption}:", "", *rows(table.head, table.rows), ""]
    before, after = part.load or (0, 0)
    lines += [f"Measured {part.when}; load average {before:.1f} before, {after:.1f} after.", ""]
    return "\n".join(lines)


def rows(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table."""
    return [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *body)]


def amount(value: float, unit: str) -> str:
    """A number with three significant digits and its unit."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {unit}"


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
