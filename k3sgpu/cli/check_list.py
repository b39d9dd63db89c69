"""`python -m k3sgpu doctor checks`: the list of doctor's checks of hosts."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from k3sgpu.cli.output import print_json, print_text

if TYPE_CHECKING:
    from k3sgpu.doctor.check import Check


def run(options: argparse.Namespace) -> int:
    """Prints the checks. Returns the exit status: 0."""
    from k3sgpu.doctor.registry import checks

    listed = checks()
    if options.json:
        print_json({"checks": as_json(listed)})
    else:
        print_text(as_text(listed))
    return 0


def as_text(listed: Iterable[Check]) -> str:
    """Every check with its severity, what it expects and its remedy."""
    lines = []
    for check in listed:
        waivable = "" if check.waivable else ", cannot be waived"
        remedy = textwrap.indent(check.remedy, " " * 12)[12:]
        lines += [
            f"{check.name}  {severity(check)}{waivable}",
            f"  {check.description}",
            f"  remedy:   {remedy}",
        ]
    return "\n".join(lines)


def as_json(listed: Iterable[Check]) -> list[dict[str, Any]]:
    """Every check as plain values."""
    return [
        {
            "name": check.name,
            "severities": sorted(check.severities),
            "description": check.description,
            "remedy": check.remedy,
            "waivable": check.waivable,
        }
        for check in listed
    ]


def severity(check: Check) -> str:
    """The severities of a check, the worst first."""
    return " or ".join(sorted(check.severities))
