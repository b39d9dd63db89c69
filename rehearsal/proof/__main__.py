"""`python -m rehearsal.proof`: walks through the article on machines that have this computer's NVIDIA cards.

It boots one machine for each card, at most two, runs the program on them, and writes what every step has seen
to a file of runs and to the page beside it. With `--simulated` it walks where there is no card. `make bundle`
makes what a computer without network needs for it.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from rehearsal.lab import cards, machines, processes
from rehearsal.lab.cards import RealCard
from rehearsal.lab.engine import ROOT
from rehearsal.lab.fixture import PREFIX, stack_fixture
from rehearsal.lab.stack import STATE
from rehearsal.process import RehearsalError
from rehearsal.proof import failure, report, versions
from rehearsal.proof.proof_cluster import ProofCluster
from rehearsal.proof.steps import STEPS
from rehearsal.proof.walk import StepResult, walk
from rehearsal.toolchain import cache, host

STACK = "proof"
FOLDER = STATE / STACK
STACK_FILE = Path(__file__).parent / "Pulumi.proof.yaml"
REPORT = ROOT / "rehearsal/reports/proof.json"
SIMULATED_REPORT = STATE / "proof-simulated.json"
SECOND_ADDRESS = 1
"""How much higher the second machine's address is than the first one's."""


def main() -> int:
    """Returns 0 when no step has failed, 1 when one has, 2 when no walk was possible."""
    parser = argparse.ArgumentParser(prog="prove", description=__doc__)
    parser.add_argument("--file", type=Path, default=STACK_FILE, help="the stack file (rehearsal/proof)")
    parser.add_argument("--report", type=Path, help="the file of runs, which gets another one")
    parser.add_argument(
        "--simulated",
        action="store_true",
        help="use the simulated cards of the stack file, and compute nothing",
    )
    parser.add_argument(
        "--keep-going", action="store_true", help="go on after a step that fails, unless it is essential"
    )
    parser.add_argument("--add", type=Path, help="only add the runs of this file to the report")
    arguments = parser.parse_args()
    target = arguments.report or (SIMULATED_REPORT if arguments.simulated else REPORT)
    if arguments.add:
        report.save(target, [*report.load(target), *report.load(arguments.add)])
        return 0
    os.chdir(ROOT)  # a stack file's paths are relative to the project
    signal.signal(signal.SIGTERM, stop)
    try:
        host.check_kubelets()
        found = () if arguments.simulated else cards.found()
        if not found and not arguments.simulated:
            raise RehearsalError(
                "this computer: found no NVIDIA card, expected one with its driver (nvidia-smi -L); "
                "make bundle, and copy it to a computer with a card"
            )
        run = prove(read_config(arguments.file), found[:2], target, arguments.keep_going)
    except RehearsalError as error:
        print(error, file=sys.stderr)
        return 2
    return 1 if any(step.outcome == "failed" for step in run.steps) else 0


def prove(
    config: dict[str, Any], found: Sequence[RealCard], target: Path, keep_going: bool = False
) -> report.Run:
    """Walks through all steps, and writes the report after each. Removes the machines in any case.

    Without cards in `found` it leaves out the steps that need one, and the cards are simulated.
    What the cluster looked like when a step failed goes to files beside the report.
    """
    began = time.monotonic()
    machines.down(STACK, FOLDER / "state")  # of a walk that was killed
    if FOLDER.exists():
        cache.remove_tree(FOLDER)
    FOLDER.mkdir(parents=True)
    if found:
        declare_cards(config, found)
    earlier = report.load(target)
    run = report.Run(
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M"),
        cards=[f"{card.product}, {card.memory_mib} MiB" for card in found] or ["simulated"],
        driver=found[0].driver if found else "simulated",
    )

    with stack_fixture(STACK, FOLDER, config, kubelets="real", cards=tuple(found)) as fixture:
        proof = ProofCluster(fixture, has_card=bool(found))
        run.versions = versions.of_parts(fixture.tools)

        def record(results: Sequence[StepResult]) -> None:
            run.steps, run.seconds = list(results), round(time.monotonic() - began, 1)
            report.save(target, [*earlier, run])
            print(describe(results[-1]), flush=True)
            if results[-1].outcome == "failed":
                seen = target.with_name(f"{target.stem}-failure-{len(results)}.txt")
                seen.write_text(failure.describe(fixture, proof.machines))

        walk(STEPS, proof, has_card=bool(found), keep_going=keep_going, interrupt=end_engine, record=record)
    return run


def stop(number: int, frame: object) -> None:
    """Ends this process as Ctrl-C does: the machines are removed."""
    end_engine()
    sys.exit(128 + number)


def end_engine() -> None:
    """Ends an engine that runs, with its plugins. The SDK would wait for it."""
    for pid in processes.of_engine(FOLDER / "state" / STACK / "engine"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def read_config(path: Path) -> dict[str, Any]:
    """The configuration of a stack file, without the project's prefix. Raises RehearsalError without one."""
    if not path.exists():
        raise RehearsalError(f"{path}: found no stack file, expected one with a pool of one host with a card")
    return {
        key.removeprefix(PREFIX): value for key, value in yaml.safe_load(path.read_text())["config"].items()
    }


def declare_cards(config: dict[str, Any], found: Sequence[RealCard]) -> None:
    """Writes the cards into the first pool, and adds a pool with an agent for the second card."""
    name, first = next(iter(config["pools"].items()))
    first["gpu"].update(
        product=found[0].product, memoryMiB=found[0].memory_mib, driverVersion=found[0].driver
    )
    if len(found) == 1:
        return
    (host_name, address), *_ = first["hosts"].items()
    network, _, last = address.rpartition(".")
    gpu = {**first["gpu"], "product": found[1].product, "memoryMiB": found[1].memory_mib}
    config["pools"][f"{name}-agent"] = {
        "role": "agent",
        "hosts": {f"{host_name}-agent": f"{network}.{int(last) + SECOND_ADDRESS}"},
        "gpu": gpu,
    }


def describe(result: StepResult) -> str:
    """A step's result for the terminal."""
    facts = "".join(f"\n    {line}" for fact in result.seen for line in fact.splitlines())
    return f"{result.outcome:8} {result.seconds:6.1f} s  {result.name}: {result.shows}{facts}"


if __name__ == "__main__":
    sys.exit(main())
