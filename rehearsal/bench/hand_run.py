"""The same scripts, sent by plain ssh: each as soon as what it needs is there. No engine takes part."""

import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from rehearsal.bench.bench_stack import BenchStack
from rehearsal.lab import ssh
from rehearsal.lab.engine import ROOT
from rehearsal.lab.machine_records import RunningMachine
from rehearsal.process import RehearsalError
from tools.mocked_program import Graph, Hidden, Registered

TOKENS = "cluster-tokens"
LIMIT_SECONDS = 900
Runner = Callable[["Script"], str]


@dataclass(frozen=True)
class Script:
    """A Command's `create`. `address` is None where it runs on this computer; `after` are other scripts."""

    name: str
    address: str | None
    text: str
    stdin: str
    environment: Mapping[str, str]
    after: frozenset[str]


def scripts(graph: Graph) -> list[Script]:
    """Of all Commands that do something when they are created."""
    doing = {one.name: one for one in graph if ":Command" in one.type and "create" in one.inputs}
    return [_script(one, graph.before(one) & doing.keys()) for one in doing.values()]


def _script(one: Registered, after: Iterable[str]) -> Script:
    inputs = {key: _open(value) for key, value in one.inputs.items()}
    return Script(
        one.name,
        inputs["connection"]["host"] if "connection" in inputs else None,
        inputs["create"],
        inputs.get("stdin") or "",
        inputs.get("environment") or {},
        frozenset(after),
    )


def _open(value: Any) -> Any:
    return value.value if isinstance(value, Hidden) else value


def install(stand: BenchStack) -> float:
    """Seconds for a whole cluster. The clock stands while the tokens are put into the scripts of the rest."""
    run = _runner(stand.booted)
    first = scripts(stand.graph())
    until = next(one for one in first if one.name == TOKENS)
    begin = [one for one in first if one.name in {*until.after, TOKENS}]
    seconds, said = timed(begin, run)
    rest = [one for one in scripts(stand.graph(said[TOKENS])) if one.name not in said]
    return seconds + timed(rest, run, done=said)[0]


def join(stand: BenchStack, name: str) -> float:
    """Seconds for one agent of the stand's configuration, and nothing else."""
    run = _runner(stand.booted)
    tokens = next(one for one in scripts(stand.graph()) if one.name == TOKENS)
    (alone,) = [one for one in scripts(stand.graph(run(tokens))) if one.name == f"cluster-agent-{name}"]
    began = time.perf_counter()
    run(alone)
    return time.perf_counter() - began


def timed(
    todo: Sequence[Script], run: Runner, done: Mapping[str, str] | None = None
) -> tuple[float, dict[str, str]]:
    """Runs each script when those it comes after have run: seconds, and by name what each printed.

    Raises what `run` raises.
    """
    said, waiting = dict(done or {}), list(todo)
    running: dict[Future[str], str] = {}
    began = time.perf_counter()
    with ThreadPoolExecutor(max_workers=max(len(todo), 1)) as pool:
        while waiting or running:
            ready = [one for one in waiting if one.after <= said.keys()]
            waiting = [one for one in waiting if one not in ready]
            running |= {pool.submit(run, one): one.name for one in ready}
            for ended in wait(running, return_when=FIRST_COMPLETED).done:
                said[running.pop(ended)] = ended.result()
    return time.perf_counter() - began, said


def _runner(booted: Mapping[str, RunningMachine]) -> Runner:
    by_address = {one.address: one for one in booted.values()}

    def run(script: Script) -> str:
        there = script.address and [*ssh.ssh_command(by_address[script.address]), script.text]
        done = subprocess.run(
            there or ["/bin/sh", "-c", script.text],
            cwd=ROOT,
            env={**os.environ, **script.environment},
            input=script.stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
        )
        if done.returncode:
            raise RehearsalError(f"by hand, {script.name}:\n{done.stderr[-2000:]}")
        return done.stdout

    return run
