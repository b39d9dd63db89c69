"""Reads and writes rehearsal/reports/bench.json: the last measurement of each part, and the computer."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rehearsal.bench.measure import Goal, Limit, Part, Series, Table
from rehearsal.lab import providers
from rehearsal.simulators.plugins import NAMES


def machine() -> str:
    """This computer in one line: processors, memory, versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 1024**2
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    return (
        f"{os.cpu_count()} × {models[0] if models else platform.machine()}, {memory:.0f} GiB, {system}, "
        f"Linux {platform.release()}, Python {platform.python_version()}; provider plugins: {plugins()}"
    )


def plugins() -> str:
    """Which provider plugins the engine gets on this computer."""
    found = [providers.on_path(name) or providers.cached(name) for name in NAMES]
    return "Pulumi's" if all(found) else "stand-ins in Python, which start slower than Pulumi's"


def load(path: Path) -> dict[str, Part]:
    """The parts by letter; empty without a file."""
    if not path.exists():
        return {}
    return {letter: part(raw) for letter, raw in json.loads(path.read_text())["parts"].items()}


def measured_on(path: Path) -> str:
    """The computer that `save` was told. Raises OSError without a file."""
    return json.loads(path.read_text())["machine"]


def save(path: Path, parts: Mapping[str, Part], computer: str) -> None:
    """Writes all parts in the order of their letters."""
    raw = {"machine": computer, "parts": {letter: asdict(parts[letter]) for letter in sorted(parts)}}
    path.write_text(json.dumps(raw, indent=1, ensure_ascii=False) + "\n")


def part(raw: Mapping[str, Any]) -> Part:
    """Parses a part that `save` wrote."""
    return Part(
        **{
            **raw,
            "series": tuple(Series(**{**one, "values": tuple(one["values"])}) for one in raw["series"]),
            "goals": tuple(goal(one) for one in raw["goals"]),
            "tables": tuple(
                Table(one["caption"], tuple(one["head"]), tuple(tuple(row) for row in one["rows"]))
                for one in raw["tables"]
            ),
            "load": tuple(raw["load"]),
        }
    )


def goal(raw: Mapping[str, Any]) -> Goal:
    """Parses a goal that `save` wrote, with or without a limit."""
    limit = raw.get("limit")
    return Goal(**{**raw, "limit": Limit(**limit) if limit else None})
