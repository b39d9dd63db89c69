"""A mistake, told so that its reader can mend it: where, what was found, what was expected, what to write."""

import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """One finding. `path` is a stack file path ("pools.rtx.gpu.profile") or a place ("host gpu-1")."""

    path: str
    found: str
    expected: str
    remedy: str
    severity: Severity = "error"


class SettingsError(Exception):
    """The settings cannot be used. `problems` holds every finding; the message is `render(problems)`."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__(render(self.problems))


class InputError(Exception):
    """Input that cannot be used. Its text is one line for the user; the command exits with 2."""


def render(problems: Iterable[Problem]) -> str:
    """The text a user sees: how many, then every problem, errors first, by path. Empty when there is none."""
    ordered = sorted(problems, key=_place)
    if not ordered:
        return ""
    return "\n\n".join([_count(ordered), *(_one(problem) for problem in ordered)])


def _place(problem: Problem) -> tuple[bool, list[str | int]]:
    """Sorts what belongs together side by side; resources[10] comes after resources[9]."""
    parts = re.split(r"(\d+)", problem.path)
    return problem.severity != "error", [int(part) if part.isdecimal() else part for part in parts]


def _count(problems: list[Problem]) -> str:
    errors = sum(problem.severity == "error" for problem in problems)
    counts = [(errors, "error"), (len(problems) - errors, "warning")]
    return ", ".join(f"{n} {word}{'s' if n > 1 else ''}" for n, word in counts if n)


def _one(problem: Problem) -> str:
    rows = [("found", problem.found), ("expected", problem.expected), ("remedy", problem.remedy)]
    lines = [f"{problem.severity}: {problem.path}"]
    for name, text in rows:
        lines.append(f"  {name + ':':<10}{textwrap.indent(text, ' ' * 12)[12:]}")
    return "\n".join(lines)
