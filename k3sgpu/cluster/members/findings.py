"""A reason why pods do not run, and what would help."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from k3sgpu.foreign_text import escape, escape_lines

Cause = Literal[
    "quota",
    "room",
    "preemption",
    "eviction",
    "admission",
    "pod security",
    "card",
    "node",
    "time limit",
    "own constraint",
    "volume",
    "image",
    "program",
    "waiting",
    "gone",
    "fine",
]
"""What stands in the way. `fine`: nothing does; `waiting`: it will go on by itself."""

LONGEST_MESSAGE = 1000
"""Characters of a message of the API that are shown."""


@dataclass(frozen=True)
class Finding:
    """One reason. `found` and `remedy` may have several lines."""

    cause: Cause
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class PodFindings:
    """The reasons of pods that have the same."""

    pods: tuple[str, ...]
    """Empty for reasons why there is no pod."""
    findings: tuple[Finding, ...]


def group(findings: Iterable[tuple[str, tuple[Finding, ...]]]) -> list[PodFindings]:
    """Returns the findings by pod, with pods of the same findings together."""
    alike: dict[tuple[Finding, ...], list[str]] = {}
    for pod, some in findings:
        alike.setdefault(some, []).append(pod)
    return [PodFindings(tuple(pods), some) for some, pods in alike.items()]


def as_text(title: str, groups: Iterable[PodFindings]) -> str:
    """The findings for people; every line of it is printable."""
    lines = [title]
    for one in groups:
        pods = [escape(pod) for pod in one.pods]
        lines += ["", f"pod{'s' if len(pods) > 1 else ''} {', '.join(pods)}" if pods else "no pod"]
        for finding in one.findings:
            lines.append(f"  {finding.cause}: {textwrap.indent(finding.found, ' ' * 4)[4:]}")
            if finding.remedy:
                lines.append(f"    what helps: {textwrap.indent(finding.remedy, ' ' * 16)[16:]}")
    return escape_lines("\n".join(lines))


def message(text: object) -> str:
    """A message of the API, in its own words."""
    return escape(str(text), LONGEST_MESSAGE)
