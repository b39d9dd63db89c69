"""The report of a check: what was checked and which problems were found, as text or as JSON."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from k3sgpu.foreign_text import escape_lines
from k3sgpu.problem import SEVERITIES, Problem, block, counts

MAX_LISTED = 20
"""Above this number, subjects without a problem share a line, and those with the same problems a block."""
WIDTH = 100
"""Of a line with host names, in columns."""


@dataclass(frozen=True)
class Report:
    """The result of one check."""

    title: str
    subjects: Mapping[str, str]
    """What was checked: name → one line about it."""
    problems: Sequence[Problem]
    notes: Sequence[str] = ()
    """Further lines, for instance events of the cluster that help to understand a problem."""

    @property
    def errors(self) -> int:
        """How many problems are errors."""
        return sum(problem.severity == "error" for problem in self.problems)

    @property
    def warnings(self) -> int:
        """How many problems are warnings."""
        return sum(problem.severity == "warning" for problem in self.problems)

    @property
    def waived(self) -> int:
        """How many problems the stack file waives."""
        return sum(problem.severity == "waived" for problem in self.problems)

    @property
    def exit_code(self) -> int:
        """0 without errors, warnings allowed; 1 with errors."""
        return 1 if self.errors else 0


def as_text(report: Report) -> str:
    """The report for people: subjects with errors first, one line for each without a problem. Of many
    subjects, those with the same problems share a block.

    Whatever its parts hold, it has no control characters but newlines.
    """
    groups = _problems_by_subject(report)
    lines = [f"{report.title}: {counts(report.problems) or 'no problems'}"]
    for text, alike in _blocks(groups):
        some = 1 < len(alike) < len(groups)
        head = textwrap.fill(", ".join(alike), WIDTH, break_on_hyphens=False) if some else names(alike)
        lines += ["", _subject(report, alike[0]) if len(alike) == 1 else head, text]
    fine = [name for name, problems in groups if not problems]
    if fine and len(fine) < len(groups):
        lines.append("")
    if len(fine) > MAX_LISTED:
        lines.append(f"ok: {names(fine)}")
    else:
        lines += [f"ok  {_subject(report, name)}" for name in fine]
    if report.notes:
        lines += ["", *(f"  {note}" for note in report.notes)]
    return escape_lines("\n".join(lines))


def names(hosts: Sequence[str]) -> str:
    """Host names in a line: all of them, or with many how many, the first and the last."""
    return ", ".join(hosts) if len(hosts) <= MAX_LISTED else f"{len(hosts)} ({hosts[0]} … {hosts[-1]})"


def as_json(report: Report) -> dict[str, Any]:
    """The report for programs: flat, with one entry for each problem."""
    return {
        "title": report.title,
        "ok": report.errors == 0,
        "errors": report.errors,
        "warnings": report.warnings,
        "waived": report.waived,
        "subjects": dict(report.subjects),
        "problems": [asdict(problem) for problem in report.problems],
        "notes": list(report.notes),
    }


def _problems_by_subject(report: Report) -> list[tuple[str, list[Problem]]]:
    """The problems of each subject, the worst first; the subject with most errors comes first."""
    groups: dict[str, list[Problem]] = {name: [] for name in report.subjects}
    for problem in report.problems:
        groups.setdefault(problem.where, []).append(problem)
    for problems in groups.values():
        problems.sort(key=lambda problem: SEVERITIES.index(problem.severity))
    return sorted(groups.items(), key=lambda group: -sum(one.severity == "error" for one in group[1]))


def _blocks(groups: Sequence[tuple[str, list[Problem]]]) -> list[tuple[str, list[str]]]:
    """The text of the problems, and the subjects that have them: one, or of many subjects all with this
    text.
    """
    blocks: dict[tuple[str, str], list[str]] = {}
    for name, problems in groups:
        if problems:
            text = "\n".join(textwrap.indent(block(problem, problem.check), "  ") for problem in problems)
            blocks.setdefault((text, name if len(groups) <= MAX_LISTED else ""), []).append(name)
    return [(text, alike) for (text, _), alike in blocks.items()]


def _subject(report: Report, name: str) -> str:
    about = report.subjects.get(name)
    return f"{name}  {about}" if about else name
