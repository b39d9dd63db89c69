"""`make suffers`: measures who suffers beside a misbehaving program, and writes the report of it.

Where the card's machine lacks this project's packages, run `who_suffers.py` there, and write the report from
its file: `make suffers FROM=who_suffers.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rehearsal.bench.report_page import rows
from rehearsal.lab.stack import STATE
from rehearsal.process import RehearsalError
from rehearsal.proof import who_suffers
from rehearsal.toolchain import c_programs

REPORTS = Path(__file__).parents[1] / "reports"
UNHARMED = 0.9  # of the launches a second that the neighbour does alone
HEAD = """\
# Who suffers

Written by `make suffers` from [who-suffers.json](who-suffers.json). A well-behaved program computes on a
card without a pause and checks its results. Another program starts beside it, misbehaves in one way, and is
killed some seconds later. [The programs](../proof/programs) are C over CUDA's driver API.

{card}, {memoryMiB} MiB, driver {driver}, {date}; each case once. MPS with limits is what NVIDIA's device
plugin sets up for {sharers} slices: each client gets 1/{sharers} of the memory and of the processors. The
plugin also sets the card to exclusive mode; here it stayed in mode {computeMode}. A new program asks for
{memoryPercent} % of the memory, a slice's part.
"""
TITLES = {"time-slicing": "time-slicing", "mps": "MPS, no limits", "mps-limits": "MPS, the plugin's limits"}
WAYS = {
    "well-behaved": "behaves well: computes in the same way",
    "take-memory": "takes all memory that it gets",
    "hold-memory": "takes 80 % of the memory, and idles",
    "illegal-address": "writes to an illegal address",
    "trap": "fails an assertion in a kernel",
    "endless-kernel": "runs an endless kernel that fills the card",
    "killed-in-kernel": "was killed in that kernel",
    "long-kernels": "runs kernels of 200 ms that fill the card",
    "many-contexts": "computes in up to 64 contexts",
}
Case = Mapping[str, Any]


def page(found: Mapping[str, Any]) -> str:
    """The page of a measurement."""
    sharings = [one for one in found["sharings"] if "notMeasured" not in one["alone"]]
    parts = [
        HEAD.format(**found),
        *_section("Alone", [_alone(sharings)], ("", *_titles(sharings))),
        *_section("The neighbour, while the other one runs", *_by_way(sharings, _beside)),
        *_section("The neighbour, after the other one was killed", *_by_way(sharings, _after)),
        *_section("A new program, while the other one runs", *_by_way(sharings, _new("beside"))),
        *_section("A new program, after the other one was killed", *_by_way(sharings, _new("after"))),
        *_section("What the misbehaving one got", *_by_way(sharings, _misbehaver)),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _titles(sharings: list[Mapping[str, Any]]) -> list[str]:
    return [TITLES[one["name"]] for one in sharings]


def _section(title: str, body: list[list[str]], head: tuple[str, ...]) -> list[str]:
    return [f"## {title}", "", *rows(head, body), ""]


def _alone(sharings: list[Mapping[str, Any]]) -> list[str]:
    rates = [
        f"{one['alone']['launchesPerSecond']:.0f}/s · {one['alone']['medianMs']:.2f} ms" for one in sharings
    ]
    return ["launches, median time of one", *rates]


def _by_way(
    sharings: list[Mapping[str, Any]], cell: Callable[[Case, Case], str]
) -> tuple[list[list[str]], tuple[str, ...]]:
    """A row for each way: what `cell` says of its case, by the sharing's measurement alone."""
    cases = [{case["way"]: case for case in one["cases"]} for one in sharings]
    body = [
        [
            title,
            *(
                _cell(cell, by_way.get(way), one["alone"])
                for one, by_way in zip(sharings, cases, strict=True)
            ),
        ]
        for way, title in WAYS.items()
    ]
    return body, ("the other one", *_titles(sharings))


def _cell(cell: Callable[[Case, Case], str], case: Case | None, alone: Case) -> str:
    if case is None or "notMeasured" in case or not case["misbehaver"]:
        return "not measured"
    return cell(case, alone)


def _beside(case: Case, alone: Case) -> str:
    return neighbour_text(case["neighbour"]["beside"], alone)


def _after(case: Case, alone: Case) -> str:
    return neighbour_text(case["neighbour"]["after"], alone)


def neighbour_text(seen: Case, alone: Case) -> str:
    """Whether the neighbour was unharmed, slowed, stood still or failed."""
    if "error" in seen:
        return f"**fails**: {seen['error']}"
    if "stalledSeconds" in seen:
        return f"**stands still** for {seen['stalledSeconds']:g} s"
    if seen["wrong"]:
        return f"**{seen['wrong']} wrong results**"
    share = seen["launchesPerSecond"] / alone["launchesPerSecond"]
    if share >= UNHARMED:
        return "unharmed"
    factor = f"{1 / share:.1f}" if share > 0.1 else f"{1 / share:.0f}"
    return f"slowed {factor} ×, longest launch {seen['longestMs']:.0f} ms"


def _new(time: str) -> Callable[[Case, Case], str]:
    def cell(case: Case, _: Case) -> str:
        seen = case["newProgram"][time]
        if "error" in seen:
            return (
                f"**fails**: {seen['call']}, {seen['error']}"
                if "call" in seen
                else f"**fails**: {seen['error']}"
            )
        if "waitedSeconds" in seen:
            return f"**waits** more than {seen['waitedSeconds']:g} s"
        return f"passes after {seen['seconds']:g} s"

    return cell


def _misbehaver(case: Case, _: Case) -> str:
    text = case["misbehaver"].removeprefix("begun: ").removeprefix("failed: ")
    text = "nothing to note" if text.startswith("{") else text
    return text if case["misbehaverDied"] else f"{text}; did not die when killed"


def compile_programs(folder: Path) -> None:
    """Compiles the CUDA programs into `folder`. Raises RehearsalError when that fails."""
    folder.mkdir(parents=True, exist_ok=True)
    for program in c_programs.card_programs():
        c_programs.compile_into(folder, program)


def main() -> int:
    """Returns 0 when the report is written, 1 when a part of it was not measured, 2 when nothing was."""
    parser = argparse.ArgumentParser(prog="suffers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--from", dest="source", type=Path, help="a file of who_suffers.py, from another machine"
    )
    arguments = parser.parse_args()
    complete, report = True, REPORTS / "who-suffers.json"
    if arguments.source:
        report.write_text(arguments.source.read_text())
    else:
        try:
            compile_programs(STATE / "who-suffers")
            complete = who_suffers.measure_all(STATE / "who-suffers", report)
        except (who_suffers.Unmeasurable, RehearsalError) as error:
            print(error, file=sys.stderr)
            return 2
    report.with_suffix(".md").write_text(page(json.loads(report.read_text())))
    print(f"wrote {report.with_suffix('.md')}")
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
