"""An entry of the catalogue: how a fault is injected, what the engine must print, and what remedies it."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rehearsal.faults.context import FaultContext

When = Literal["preview", "first up", "change", "refresh", "upgrade", "destroy"]
Scope = Literal["k3s", "full"]
Injection = Callable[[FaultContext], Iterator[None]]


# Between a line and a later one of the same block there are other lines, and no empty one.
_MORE_LINES = r"\n(?:.+\n)*? *"
_FOUND = r"\n *found: +"
_READABLE = {
    _MORE_LINES: " … ",
    _FOUND: ": ",
    r"\n\s*": " ",
    r"\S+": "…",
    r"\d+": "…",
    r"\d": "…",
    ".+": "",
    ".*": "…",
}


def problem(name: str, found: str, remedy: str = "") -> str:
    """A regular expression for a problem of a resource or check; `found` and `remedy` are expressions too."""
    return f"{name}{_FOUND}{found}" + (f".*{_MORE_LINES}remedy: +{remedy}" if remedy else "")


def host_problem(host: str, check: str, found: str) -> str:
    """A regular expression for a problem that a check of doctor or of the readiness gate found on `host`."""
    return rf"{host}  .+{_MORE_LINES}error: {problem(check, found)}"


def readable(pattern: str) -> str:
    """A regular expression of an entry as people read it: … stands for what varies."""
    for part, text in _READABLE.items():
        pattern = pattern.replace(part, text)
    return re.sub(r"\\(.)", r"\1", re.sub(r" +", " ", pattern))


@dataclass(frozen=True)
class Fault:
    """One entry.

    `injection` puts the fault in, yields while the operation of `when` runs, and then does what the engine's
    message asks for. Its docstring describes the fault.
    """

    injection: Injection
    source: str
    """The source text of the injection, read when the catalogue was loaded."""
    area: str
    when: When
    expected_output: Sequence[str]
    """Regular expressions; the engine's output must match all of them."""
    max_seconds: int
    """Limit for the operation, on a busy computer with two cores."""
    remedy: str
    fails: bool = True
    """Whether the operation fails. An operation that succeeds needs no remedy."""
    scope: Scope = "k3s"
    """Whether the stack has k3s alone, or the operator, slices and a workload as well."""

    @property
    def name(self) -> str:
        """The injection's name with hyphens."""
        return self.injection.__name__.replace("_", "-")

    @property
    def description(self) -> str:
        """The injection's docstring in one line."""
        return " ".join((self.injection.__doc__ or "").split())

    @property
    def stamp(self) -> str:
        """A hash of the whole entry. A result counts for the entry with the same stamp only."""
        rest = (
            self.area,
            self.when,
            *self.expected_output,
            self.max_seconds,
            self.remedy,
            self.fails,
            self.scope,
        )
        return hashlib.sha256(f"{self.source}{rest}".encode()).hexdigest()[:8]


def fault(
    area: str,
    when: When,
    *expected_output: str,
    max_seconds: int,
    remedy: str,
    fails: bool = True,
    scope: Scope = "k3s",
) -> Callable[[Injection], Fault]:
    """Makes a catalogue entry of an injection."""
    return lambda injection: Fault(
        injection,
        inspect.getsource(injection),
        area,
        when,
        expected_output,
        max_seconds,
        remedy,
        fails,
        scope,
    )
