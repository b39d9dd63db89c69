"""A row of the registry: a check, its rule, and what `python -m k3sgpu doctor checks` prints about it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from k3sgpu.problem import Severity


@dataclass(frozen=True)
class Check:
    """One thing that doctor checks on hosts."""

    name: str
    """Its name in reports and in the stack file's `waive`."""
    rule: Callable[..., Any]
    """The function that finds the problems. The first line of its docstring is what it expects of a host.

    It takes a machine and the plan, or, between hosts, all machines and the plan, and yields Problems.
    """
    severities: frozenset[Severity]
    """The severities that its problems may have."""
    remedy: str
    """A typical remedy; the problem's own names the host and the values."""
    waivable: bool = True
    """Whether the stack file may waive it."""

    @property
    def description(self) -> str:
        """What it expects of a host, in one line."""
        return (self.rule.__doc__ or "").partition("\n")[0]
