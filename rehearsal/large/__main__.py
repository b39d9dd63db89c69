"""`make e2e-large`: a hundred machines, from `up` to destroy; writes large.md and large.json in
rehearsal/reports.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rehearsal.bench import results, single_run
from rehearsal.bench.bench_stack import BenchStack, bench_stack
from rehearsal.lab import machine_records, machines, trace
from rehearsal.lab.engine import ROOT, EngineFailed
from rehearsal.large import large_stack, usage
from rehearsal.large.report import Connections, Walk, WalkStep, page
from rehearsal.process import RehearsalError
from rehearsal.progress import duration

REPORTS = ROOT / "rehearsal" / "reports"
REMARKS = Path(__file__).parent / "remarks.md"
STACK = "large"
GROUPS = f"{machine_records.PREFIX}{STACK}-"


def main(arguments: list[str] | None = None) -> int:
    """Returns 0, or 1 after printing on stderr which step failed."""
    parser = argparse.ArgumentParser(prog="python -m rehearsal.large", description=__doc__)
    parser.add_argument("--servers", type=int, default=1, help="how many servers (1)")
    parser.add_argument("--agents", type=int, default=99, help="how many agents (99)")
    parser.add_argument("--output", type=Path, default=REPORTS, help="folder of large.md and large.json")
    options = parser.parse_args(arguments)
    most = len(large_stack.AGENTS)
    if not 1 <= options.agents <= most or options.servers not in (1, 3, 5):
        parser.error(f"expected 1, 3 or 5 servers, and 1 to {most} agents")
    os.chdir(ROOT)  # a stack file's paths are relative to the project
    try:
        walk = run(options.servers, options.agents)
    except (RehearsalError, EngineFailed) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    save(options.output, walk)
    return 1 if any(step.failure for step in walk.steps) else 0


def run(servers: int, agents: int) -> Walk:
    """Boots the machines, takes all steps, and removes the machines. A step that fails is taken once more."""
    steps: list[WalkStep] = []
    with bench_stack(STACK, large_stack.config(servers, agents)) as one:
        logs = one.stack.state / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with usage.measured(GROUPS) as used:
            one.start_machines()
            one.create_stack()
        steps.append(WalkStep("machines boot", time.monotonic() - began, usage=used))
        log(steps[-1])
        for name, operation, change, check in STEPS:
            if change:
                change(one)
            for again in ("", ", run again"):
                output = logs / f"{len(steps)}-{operation}.log"
                steps.append(take(one, f"{name}{again}", operation, check, output))
                log(steps[-1])
                if not steps[-1].failure:
                    break
        began = time.monotonic()
        machines.down(one.stack.name, one.stack.state)
        steps.append(WalkStep("machines removed", time.monotonic() - began))
        log(steps[-1])
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Walk(servers, agents, results.machine(), when, steps)


Check = Callable[[BenchStack], None]
STEPS: tuple[tuple[str, str, Check | None, Check], ...] = (
    ("first up", "up", None, large_stack.check_cluster),
    ("nothing changed", "up", None, large_stack.check_cluster),
    ("one profile changed", "up", large_stack.change_profile, large_stack.check_cluster),
    ("k3s upgraded", "up", large_stack.upgrade, large_stack.check_cluster),
    ("ten agents removed", "up", large_stack.remove_agents, large_stack.check_cluster),
    ("destroy", "destroy", None, large_stack.check_nothing_left),
)


def take(one: BenchStack, name: str, operation: str, check: Check, output: Path) -> WalkStep:
    """Runs the engine once, checks the cluster, and returns what was measured."""
    print(f"{name}: the engine's output is in {output}", file=sys.stderr, flush=True)
    began, failure, run = time.time(), "", None
    with usage.measured(GROUPS) as used:
        try:
            run = one.run(operation, log=output)
        except single_run.RunFailed as error:
            failure = str(error)
    ended = time.time()
    step = WalkStep(name, run.seconds if run else ended - began, usage=used, failure=failure)
    step.lines = output.read_text(errors="replace").count("\n")
    step.state_mib = len(one.stack.engine(one.tools).state().encode()) / 1024**2
    if run:
        step.counts, step.engine_mib, step.program_mib = dict(run.counts), run.engine_mib, run.program_mib
        step.longest = sorted(
            ((what, end - start) for what, start, end in run.steps), key=lambda pair: -pair[1]
        )[:5]
    try:
        logins = trace.logins(one.machines, began, ended)
        step.connections = Connections.of(logins, one.config["pools"]["control"]["hosts"])
        if run:
            write_kubeconfig(one, operation)
            check(one)
    except RehearsalError as error:
        step.failure = f"{step.failure}\n{error}".strip()
    return step


def write_kubeconfig(one: BenchStack, operation: str) -> None:
    """Writes the stack's kubeconfig for kubectl after an `up`."""
    if operation == "up":
        one.stack.kubeconfig.touch(mode=0o600)
        one.stack.kubeconfig.write_text(one.stack.engine(one.tools).outputs()["kubeconfig"])


def save(folder: Path, walk: Walk) -> None:
    """Writes large.json, with one walk for each number of servers and agents, and large.md from it."""
    data = folder / "large.json"
    walks = [Walk.parse(raw) for raw in json.loads(data.read_text())] if data.exists() else []
    walks = [one for one in walks if (one.servers, one.agents) != (walk.servers, walk.agents)] + [walk]
    walks.sort(key=lambda one: (one.agents, one.servers))
    data.write_text(json.dumps([asdict(one) for one in walks], indent=1, ensure_ascii=False) + "\n")
    (folder / "large.md").write_text(page(walks, REMARKS.read_text()))


def log(step: WalkStep) -> None:
    """Prints a step on stderr."""
    connections = f", {step.connections.total} SSH connections" if step.connections else ""
    memory = (
        f", engine {step.engine_mib:.0f} MiB, program {step.program_mib:.0f} MiB" if step.engine_mib else ""
    )
    print(
        f"{step.name}: {duration(step.seconds)}, {step.counts}{memory}{connections},"
        f" busy {step.usage.busy:.0%}, least free {step.usage.least_free_mib:.0f} MiB, {step.usage.seconds}"
        + (f"\nFAILED: {step.failure}" if step.failure else ""),
        file=sys.stderr,
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
