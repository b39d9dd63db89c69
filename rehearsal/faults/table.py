"""Writes rehearsal/reports/faults.md: the last result of every fault."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from rehearsal.faults.fault import Fault, readable
from rehearsal.faults.run import Result

HEAD = """# Faults

Written by `make faults`. Every fault of the [catalogue](../README.md#faults) is injected into the rehearsal's
machines, network or cluster while the real engine runs, and then remedied as the message says. An entry
passes when

- the message names host, cause and remedy (column "expected output"), and the operation ends in time,
- the same operation succeeds after the remedy,
- a preview then changes nothing or, after a destroy, the machines are clean,
- no secret is exposed: not in the engine's output, events and state, in journals, in process lists and
  environments (sampled all the time), in temporary files or in files on machines; in plain text, base64 or
  URL encoding.

`make faults FAULTS=all` runs all entries, `FAULTS=name,area` some, `make faults` a sample that CI runs every
time. An entry that was not run keeps its last result until its text changes; then it says "not run".
"""
COLUMNS = (
    "| fault | when: what happens | expected output | took | remedy | result |\n|---|---|---|---|---|---|"
)
STAMP = re.compile(r"^\| (\S+) \|.*<!-- (\w+) -->$")


def write(path: Path, results: Sequence[Result], catalogue: Mapping[str, Fault], date: str) -> None:
    """Writes the page: rows of `results`, and the page's present rows of entries that have not changed."""
    kept = current_rows(path.read_text() if path.exists() else "", catalogue)
    new = {result.fault.name: row(result, date) for result in results}
    rows = {name: new.get(name) or kept.get(name) or row_of_unrun(entry) for name, entry in catalogue.items()}
    parts = [HEAD]
    if results:
        parts.append(f"Last run {date}, on {machine()}.\n")
    for area in dict.fromkeys(entry.area for entry in catalogue.values()):
        mine = [rows[name] for name, entry in catalogue.items() if entry.area == area]
        parts.append("\n".join([f"## Area {area}\n", COLUMNS, *mine, ""]))
    path.write_text("\n".join(parts))


def current_rows(text: str, catalogue: Mapping[str, Fault]) -> dict[str, str]:
    """By fault: the rows of a page whose stamp is that of the present entry."""
    found = (STAMP.match(line) for line in text.splitlines())
    return {
        match[1]: match[0]
        for match in found
        if match and match[1] in catalogue and catalogue[match[1]].stamp == match[2]
    }


def row(result: Result, date: str) -> str:
    """The row of a result."""
    fault = result.fault
    outcome = f"passed, {date}" if result.passed else f"**failed**, {date}: {cell(result.failure)}"
    return cells(fault, f"{result.seconds:.0f} s (at most {fault.max_seconds})", outcome)


def row_of_unrun(fault: Fault) -> str:
    """The row of an entry without a result."""
    return cells(fault, f"(at most {fault.max_seconds} s)", "not run")


def cells(fault: Fault, took: str, outcome: str) -> str:
    """A row of the table, with the entry's stamp in a comment."""
    expected = (
        "<br>".join(f"`{cell(readable(words))}`" for words in fault.expected_output)
        or "none: the operation succeeds"
    )
    parts = [
        fault.name,
        f"{fault.when}: {cell(fault.description)}",
        expected,
        took,
        cell(fault.remedy),
        outcome,
    ]
    return f"| {' | '.join(parts)} | <!-- {fault.stamp} -->"


def cell(text: str) -> str:
    """A text in one line, safe in a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def machine() -> str:
    """This computer: processors, memory and kernel."""
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    name = model[1] if model else platform.machine()
    return f"{os.cpu_count()} × {name}, {memory:.0f} GiB, Linux {platform.release()}"
