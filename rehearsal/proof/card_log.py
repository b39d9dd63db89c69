"""Reads the log of card-test, the CUDA program in the pods (programs/card-test.c)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

VERDICT = re.compile(r"^(\d+) device\(s\).*: Test (PASSED|FAILED)$", re.MULTILINE)
LONGEST_STEP = 3
"""The most seconds between two lines of a program that computes all the time: it prints one a second, and
checks the sums in between, which takes longer on a shared card."""


@dataclass(frozen=True)
class Second:
    """What the program has done in one second."""

    number: int
    launches: int
    median_ms: float
    wrong: int


@dataclass(frozen=True)
class CardLog:
    """The log of one run of the program."""

    verdict: str
    """The last line that says how a test ended; empty while there is none."""
    devices: int
    """How many cards the program could see."""
    passed: bool
    seconds: tuple[Second, ...]

    @property
    def last_second(self) -> int:
        """The number of the last second with a line; 0 before the first."""
        return self.seconds[-1].number if self.seconds else 0


def parse(text: str) -> CardLog:
    """Reads a log. Lines that the program did not print are left out."""
    verdicts = list(VERDICT.finditer(text))
    last = verdicts[-1] if verdicts else None
    return CardLog(
        verdict=last[0] if last else "",
        devices=int(last[1]) if last else 0,
        passed=last is not None and last[2] == "PASSED",
        seconds=tuple(_second(line) for line in text.splitlines() if line.startswith('{"seconds"')),
    )


def _second(line: str) -> Second:
    fields = json.loads(line)
    return Second(fields["seconds"], fields["launches"], fields["median_ms"], fields["wrong"])


def interruptions(seconds: Sequence[Second]) -> list[str]:
    """What shows that a program did not compute all the time: seconds that are missing or have no launch, and
    wrong sums.
    """
    found = [
        f"second {after.number} follows second {before.number}"
        for before, after in pairwise(seconds)
        if not 0 < after.number - before.number <= LONGEST_STEP
    ]
    found += [f"no launch in second {one.number}" for one in seconds if not one.launches]
    return found + [f"{one.wrong} wrong sums in second {one.number}" for one in seconds if one.wrong]
