"""A problem as the user sees it: where it is, what was found, what is expected, and the remedy."""

import re
import textwrap
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from k3sgpu.foreign_text import escape_lines

Severity = Literal["error", "warning", "waived"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "waived")
"""All severities, the worst first."""


@dataclass(frozen=True)
class Problem:
    """An error, a warning, or a failed check that the stack file waives.

    `where` is a path of the stack file (pools.rtx.gpu.profile), a host or a Node.
    """

    where: str
    found: str
    expected: str
    remedy: str
    """What to change, or a command to paste; one or more lines."""
    severity: Severity = "error"
    check: str = ""
    """The name of the check that found it: a rule of doctor or a condition of the readiness gate."""

    @property
    def title(self) -> str:
        """`where`, and the name of the check if any."""
        return f"{self.where}: {self.check}" if self.check else self.where


class SettingsError(Exception):
    """Settings that cannot be used. `problems` has all of them; the message is `render(problems)`."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__(render(self.problems))


class InputError(Exception):
    """Input that cannot be used. Its text is one line for the user; the command exits with 2."""


def render(problems: Iterable[Problem]) -> str:
    """The text for the user: the number of problems, then each problem, errors first, sorted by place.

    Empty without problems.
    """
    ordered = sorted(problems, key=_place)
    if not ordered:
        return ""
    return "\n\n".join([counts(ordered), *(block(problem, problem.title) for problem in ordered)])


def counts(problems: Collection[Problem]) -> str:
    """The number of problems by severity: `1 error, 2 warnings`."""
    numbers = {kind: sum(problem.severity == kind for problem in problems) for kind in SEVERITIES}
    words = {
        kind: kind if number == 1 or kind == "waived" else f"{kind}s" for kind, number in numbers.items()
    }
    return ", ".join(f"{number} {words[kind]}" for kind, number in numbers.items() if number)


def block(problem: Problem, title: str) -> str:
    """One problem under a title, with a line or more for each part; a waived one is a single line.

    Whatever its parts hold, it has no control characters but newlines.
    """
    if problem.severity == "waived":
        return escape_lines(f"waived: {title}: {problem.found}")
    rows = [("found", problem.found), ("expected", problem.expected), ("remedy", problem.remedy)]
    lines = [f"{problem.severity}: {title}"]
    for name, text in rows:
        lines.append(f"  {name + ':':<10}{textwrap.indent(text, ' ' * 12)[12:]}")
    return escape_lines("\n".join(lines))


def numeric_order(text: str) -> list[str | int]:
    """A sort key with the numbers of a text in numeric order: gpu-2 before gpu-10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", text)]


def _place(problem: Problem) -> tuple[int, list[str | int]]:
    """A sort key: by severity, then by place."""
    return SEVERITIES.index(problem.severity), numeric_order(problem.where)
