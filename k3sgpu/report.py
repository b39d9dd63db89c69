"""What was looked at and what was found there, as one text or as JSON."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from k3sgpu.problem import SEVERITIES, Problem, block, counts

QUIET_ABOVE = 20  # with more machines than this, those in order share one line


@dataclass(frozen=True)
class Report:
    """The verdict of one look: what was looked at (name → one line about it), what was found."""

    title: str
    subjects: Mapping[str, str]
    problems: Sequence[Problem]
    notes: Sequence[str] = ()
    """What stands beside the problems: words of others that help to understand them."""

    @property
    def errors(self) -> int:
        return sum(problem.severity == "error" for problem in self.problems)

    @property
    def warnings(self) -> int:
        return sum(problem.severity == "warning" for problem in self.problems)

    @property
    def waived(self) -> int:
        return sum(problem.severity == "waived" for problem in self.problems)

    @property
    def exit_code(self) -> int:
        """0: fine, warnings allowed. 1: errors."""
        return 1 if self.errors else 0


def as_text(report: Report) -> str:
    """The report for people: what has errors first, one line for what is in order."""
    groups = _groups(report)
    lines = [f"{report.title}: {counts(report.problems) or 'all in order'}"]
    for name, problems in groups:
        if problems:
            lines += [
                "",
                _subject(report, name),
                *(textwrap.indent(block(one, one.check), "  ") for one in problems),
            ]
    fine = [name for name, problems in groups if not problems]
    if fine and any(problems for _, problems in groups):
        lines.append("")
    if len(fine) > QUIET_ABOVE:
        lines.append(f"in order: {names(fine)}")
    else:
        lines += [f"ok  {_subject(report, name)}" for name in fine]
    if report.notes:
        lines += ["", *(f"  {note}" for note in report.notes)]
    return "\n".join(lines)


def names(hosts: Sequence[str]) -> str:
    """Hosts in a line: all of them, or how many and the first and last."""
    return ", ".join(hosts) if len(hosts) <= QUIET_ABOVE else f"{len(hosts)} ({hosts[0]} … {hosts[-1]})"


def as_json(report: Report) -> dict[str, Any]:
    """The report for programs: flat, one entry a problem."""
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


def _groups(report: Report) -> list[tuple[str, list[Problem]]]:
    names = list(dict.fromkeys([*report.subjects, *(problem.where for problem in report.problems)]))
    groups = [
        (
            name,
            sorted(
                (f for f in report.problems if f.where == name), key=lambda f: SEVERITIES.index(f.severity)
            ),
        )
        for name in names
    ]
    return sorted(groups, key=lambda group: -sum(f.severity == "error" for f in group[1]))


def _subject(report: Report, name: str) -> str:
    about = report.subjects.get(name)
    return f"{name}  {about}" if about else name
