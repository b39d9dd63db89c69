"""The baseline without an engine: the same scripts over plain ssh, each as soon as its inputs exist."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

from k3sgpu.handoff.environment import split_variable
from k3sgpu.handoff.staging import parse_stage_plan, stage_plan_json
from rehearsal.bench.bench_stack import BenchStack
from rehearsal.lab import ssh
from rehearsal.lab.engine import ROOT
from rehearsal.lab.machine_records import RunningMachine
from rehearsal.process import RehearsalError
from tools.mocked_program import Graph, Hidden, Registered

TOKENS, STAGE = "cluster-tokens", "cluster-stage"
STAGE_PLAN = "K3SGPU_STAGE_PLAN"
LIMIT_SECONDS = 900
Runner = Callable[["Script"], str]


@dataclass(frozen=True)
class Script:
    """A Command's `create`. `address` is None when it runs on this computer; `after` names the scripts before
    it.
    """

    name: str
    address: str | None
    text: str
    stdin: str
    environment: Mapping[str, str]
    after: frozenset[str]


def scripts(graph: Graph) -> list[Script]:
    """The scripts of all Commands that do something on create."""
    with_create = {one.name: one for one in graph if ":Command" in one.type and "create" in one.inputs}
    return [_script(one, graph.before(one) & with_create.keys()) for one in with_create.values()]


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


def install(stack: BenchStack) -> float:
    """Installs a whole cluster and returns the seconds, without the time for putting tokens into scripts."""
    run = _runner(stack.machines)
    first = scripts(stack.graph())
    until = next(one for one in first if one.name == TOKENS)
    begin = [one for one in first if one.name in {*until.after, TOKENS}]
    seconds, output = timed(begin, run)
    rest = [one for one in scripts(stack.graph(output[TOKENS])) if one.name not in output]
    return seconds + timed(rest, run, done=output)[0]


def join(stack: BenchStack, name: str) -> float:
    """Stages one agent, runs its join script, and returns the seconds."""
    run = _runner(stack.machines)
    tokens = next(one for one in scripts(stack.graph()) if one.name == TOKENS)
    by_name = {one.name: one for one in scripts(stack.graph(run(tokens)))}
    staging, joining = of_one_host(by_name[STAGE], name), by_name[f"cluster-agent-{name}"]
    began = time.perf_counter()
    run(staging)
    run(joining)
    return time.perf_counter() - began


def of_one_host(staging: Script, name: str) -> Script:
    """The staging of one host alone."""
    text = "".join(value for key, value in staging.environment.items() if key.startswith(STAGE_PLAN))
    plan = parse_stage_plan(json.loads(text))
    plan["hosts"] = [host for host in plan["hosts"] if host["name"] == name]
    return replace(staging, environment=split_variable(STAGE_PLAN, stage_plan_json(plan)))


def timed(
    todo: Sequence[Script], run: Runner, done: Mapping[str, str] | None = None
) -> tuple[float, dict[str, str]]:
    """Runs each script after the ones before it: the seconds, and the output of each by name.

    Raises what `run` raises.
    """
    output, waiting = dict(done or {}), list(todo)
    running: dict[Future[str], str] = {}
    began = time.perf_counter()
    with ThreadPoolExecutor(max_workers=max(len(todo), 1)) as pool:
        while waiting or running:
            ready = [one for one in waiting if one.after <= output.keys()]
            waiting = [one for one in waiting if one not in ready]
            running |= {pool.submit(run, one): one.name for one in ready}
            for ended in wait(running, return_when=FIRST_COMPLETED).done:
                output[running.pop(ended)] = ended.result()
    return time.perf_counter() - began, output


def _runner(machines: Mapping[str, RunningMachine]) -> Runner:
    by_address = {one.address: one for one in machines.values()}

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
            raise RehearsalError(f"hand run, {script.name}:\n{done.stderr[-2000:]}")
        return done.stdout

    return run
