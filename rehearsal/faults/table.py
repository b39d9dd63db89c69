"""rehearsal/reports/faults.md: what every fault looked like when it was last run."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from rehearsal.faults.fault import Fault
from rehearsal.faults.run import Result

HEAD = """# Faults that were survived

Written by `make faults`: every fault of the catalogue (`faults/`) is put into the rehearsal's machines,
network or cluster while the real engine runs, and taken away as the message asks for. An entry passes when
the message names host, cause and remedy, the verdict came in time, the next run heals, a further one finds
nothing to do (or, after a destroy, clean machines), and no secret lies open: in what the engine said, its
events and state, journals, process lists and environments sampled all the time, temporary files, and files
on machines, in plain text, base64 and URL-encoded. Entries that were not run keep the result of the last run
of the same entry.

`make faults FAULTS=all` runs all, `FAULTS=name,area` some, `make faults` a sample, which CI runs every time.
"""
COLUMNS = "| fault | when | seen | verdict within | healed by | result |\n|---|---|---|---|---|---|"
STAMP = re.compile(r"^\| (\S+) \|.*<!-- (\w+) -->$")


def write(path: Path, results: Sequence[Result], catalogue: Mapping[str, Fault], date: str) -> None:
    """Writes the page: `results`, and of the page that is there the rows of other entries that are still
    the same."""
    kept = rows_of(path.read_text() if path.exists() else "", catalogue)
    told = {result.fault.name: row(result, date) for result in results}
    rows = {name: told.get(name) or kept.get(name) or unrun(entry) for name, entry in catalogue.items()}
    parts = [HEAD, f"Last run {date}, on {machine()}.\n"]
    for area in dict.fromkeys(entry.area for entry in catalogue.values()):
        mine = [rows[name] for name, entry in catalogue.items() if entry.area == area]
        parts.append("\n".join([f"## {area.capitalize()}\n", COLUMNS, *mine, ""]))
    path.write_text("\n".join(parts))


def rows_of(text: str, catalogue: Mapping[str, Fault]) -> dict[str, str]:
    """By fault: rows of a page that belong to the entries of now."""
    found = (STAMP.match(line) for line in text.splitlines())
    return {
        match[1]: match[0]
        for match in found
        if match and match[1] in catalogue and catalogue[match[1]].stamp == match[2]
    }


def row(result: Result, date: str) -> str:
    """One entry's row, with the stamp of the entry."""
    fault = result.fault
    outcome = f"passed, {date}" if result.passed else f"**failed**, {date}: {cell(result.failure)}"
    return cells(fault, f"{result.seconds:.0f} s (at most {fault.max_seconds})", outcome)


def unrun(fault: Fault) -> str:
    """The row of an entry that was not run as it is."""
    return cells(fault, f"(at most {fault.max_seconds} s)", "not run")


def cells(fault: Fault, within: str, outcome: str) -> str:
    seen = (
        "<br>".join(f"`{cell(readable(words))}`" for words in fault.expected_output)
        or "nothing: it goes through"
    )
    parts = [
        fault.name,
        f"{fault.when}: {cell(fault.description)}",
        seen,
        within,
        cell(fault.remedy),
        outcome,
    ]
    return f"| {' | '.join(parts)} | <!-- {fault.stamp} -->"


def readable(pattern: str) -> str:
    """A regular expression as people read it."""
    return re.sub(
        r"\\(.)", r"\1", pattern.replace(r".*\n.*", " … ").replace(r"\S+", "…").replace(r"\d+", "…")
    )


def cell(text: str) -> str:
    """A text that breaks no table."""
    return " ".join(text.split()).replace("|", "\\|")


def machine() -> str:
    """This computer, in a few words."""
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    name = model[1] if model else platform.machine()
    return f"{os.cpu_count()} × {name}, {memory:.0f} GiB, Linux {platform.release()}"
