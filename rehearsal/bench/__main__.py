"""`make bench`: measures parts and writes bench.md, bench.svg and bench.json in rehearsal/reports."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rehearsal.bench import (
    changes,
    cold_install,
    fit_benchmark,
    peer_tool,
    plan_benchmark,
    results,
    scale,
    single_run,
)
from rehearsal.bench.measure import Part
from rehearsal.bench.report_page import page
from rehearsal.bench.svg_chart import chart
from rehearsal.lab.engine import ROOT, EngineFailed
from rehearsal.process import RehearsalError

REPORTS = ROOT / "rehearsal" / "reports"
REMARKS = Path(__file__).parent / "remarks.md"
ADDRESSES = [f"10.77.2.{last}" for last in range(1, 255)]


def main(arguments: list[str] | None = None) -> int:
    """Returns 0, or 1 after printing on stderr why a contender failed."""
    parser = argparse.ArgumentParser(prog="python -m rehearsal.bench", description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {','.join(PARTS)} (all)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender runs (3)")
    parser.add_argument(
        "--peers",
        type=peer_tool.parse_peers,
        default={},
        help="other installers of k3s over SSH, name=path,name=path: rehearsal/bench/peer_tool.py",
    )
    parser.add_argument("--clusters", default="1+1,3+5,1+20", help="(a): servers+agents (1+1,3+5,1+20)")
    parser.add_argument("--nodes", type=int, default=20, help="(c): nodes of the cluster (20)")
    parser.add_argument("--agents", default="10,100,300,1000", help="(e): how many (10,100,300,1000)")
    parser.add_argument(
        "--render", action="store_true", help="measure nothing: write page and chart from bench.json"
    )
    options = parser.parse_args(arguments)
    if options.render:
        data = REPORTS / "bench.json"
        write_report(REPORTS, results.load(data), results.measured_on(data))
        return 0
    letters = options.parts.split(",")
    unknown = sorted(set(letters) - set(PARTS))
    if unknown:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    os.chdir(ROOT)  # a stack file's paths are relative to the project
    try:
        for letter in letters:
            before = os.getloadavg()[0]
            part = PARTS[letter](options)
            when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
            save_part(REPORTS, replace(part, when=when, load=(before, os.getloadavg()[0])))
    except (RehearsalError, EngineFailed, single_run.RunFailed) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


def save_part(folder: Path, part: Part) -> None:
    """Adds or replaces a measured part in bench.json, and writes the report from it.

    Part (a) takes long, so its sizes are added or replaced one by one.
    """
    data = folder / "bench.json"
    before = results.load(data)
    if part.letter == "a" and "a" in before:
        part = cold_install.with_other_sizes(part, before["a"])
    parts = {**before, part.letter: part}
    computer = results.machine()
    results.save(data, parts, computer)
    write_report(folder, parts, computer)


def write_report(folder: Path, parts: Mapping[str, Part], computer: str) -> None:
    """Writes bench.md and bench.svg."""
    (folder / "bench.svg").write_text(chart(parts))
    (folder / "bench.md").write_text(page(parts, computer, REMARKS.read_text(), PARTS))


def log(text: str) -> None:
    """Prints progress on stderr."""
    print(text, file=sys.stderr, flush=True)


PARTS: Mapping[str, Callable[[argparse.Namespace], Part]] = {
    "a": lambda options: cold_install.measure(
        options.rounds, options.peers, ADDRESSES, options.clusters.split(","), log
    ),
    "b": lambda options: changes.nothing_changed(options.rounds, options.peers, ADDRESSES, log),
    "c": lambda options: changes.one_agent_more(options.rounds, options.nodes, ADDRESSES, log),
    "d": lambda options: changes.one_profile_changed(options.rounds, ADDRESSES, log),
    "e": lambda options: scale.measure(options.rounds, tuple(map(int, options.agents.split(","))), log),
    "f": lambda options: fit_benchmark.measure(options.rounds),
    "h": lambda options: plan_benchmark.measure(options.rounds, log),
}

if __name__ == "__main__":
    sys.exit(main())
