"""A problem as the user sees it: where, what was found, what was expected, what to change."""

import re
import textwrap
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "waived"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "waived")
"""The worst first."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, or should be better (warning), or that the stack file waives.

    `where` is a path of the stack file (pools.rtx.gpu.profile), or the host or Node that it is about.
    """

    where: str
    found: str
    expected: str
    remedy: str
    """What to change, or a command to paste; several lines are possible."""
    severity: Severity = "error"
    check: str = ""
    """The name of the check that found it: of doctor's rules, or of the readiness gate."""

    @property
    def title(self) -> str:
        """Where it is, and which check says so."""
        return f"{self.where}: {self.check}" if self.check else self.where


class SettingsError(Exception):
    """The settings cannot be used. `problems` holds every finding; the message is `render(problems)`."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__(render(self.problems))


class InputError(Exception):
    """Input that cannot be used. Its text is one line for the user; the command exits with 2."""


def render(problems: Iterable[Problem]) -> str:
    """The text a user sees: how many, then every problem, errors first, by place. Empty when there is
    none."""
    ordered = sorted(problems, key=_place)
    if not ordered:
        return ""
    return "\n\n".join([counts(ordered), *(block(problem, problem.title) for problem in ordered)])


def counts(problems: Collection[Problem]) -> str:
    """1 error, 2 warnings."""
    numbers = {kind: sum(problem.severity == kind for problem in problems) for kind in SEVERITIES}
    words = {
        kind: kind if number == 1 or kind == "waived" else f"{kind}s" for kind, number in numbers.items()
    }
    return ", ".join(f"{number} {words[kind]}" for kind, number in numbers.items() if number)


def block(problem: Problem, title: str) -> str:
    """One problem under a title; a waived one is a single line."""
    if problem.severity == "waived":
        return f"waived: {title}: {problem.found}"
    rows = [("found", problem.found), ("expected", problem.expected), ("remedy", problem.remedy)]
    lines = [f"{problem.severity}: {title}"]
    for name, text in rows:
        lines.append(f"  {name + ':':<10}{textwrap.indent(text, ' ' * 12)[12:]}")
    return "\n".join(lines)


def _place(problem: Problem) -> tuple[int, list[str | int]]:
    """Sorts what belongs together side by side; resources[10] comes after resources[9]."""
    parts = re.split(r"(\d+)", problem.where)
    return SEVERITIES.index(problem.severity), [int(part) if part.isdecimal() else part for part in parts]
