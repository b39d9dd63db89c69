"""Hints: what to do about an error, found by a pattern in the error's text."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from k3sgpu.problem import Problem


@dataclass(frozen=True)
class Hint:
    """One row of a table of known errors.

    Its texts may hold {names}, which `find_hint` fills in; a brace that stays is doubled.
    """

    pattern: str
    """A regular expression (re.search)."""
    advice: str
    """What to do, or commands to paste."""
    found: str = ""
    """What the error means. Only for a hint that is printed as a problem of its own."""
    expected: str = ""
    """What should be instead. Only for a hint that is printed as a problem of its own."""

    def as_problem(self, where: str) -> Problem:
        """The hint as a problem of `where`, the resource that has the error."""
        return Problem(where, self.found, self.expected, self.advice)


def find_hint(hints: Iterable[Hint], text: str, **values: object) -> Hint | None:
    """The first of `hints` whose pattern is in `text`, with `values` filled in; None when there is none."""
    for hint in hints:
        if re.search(hint.pattern, text):
            return replace(
                hint,
                advice=hint.advice.format(**values),
                found=hint.found.format(**values),
                expected=hint.expected.format(**values),
            )
    return None
