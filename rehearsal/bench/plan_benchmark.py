"""Part (h): `python -m k3sgpu plan` by number of nodes."""

import copy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from rehearsal.bench.measure import Goal, Part, Series, linear
from rehearsal.lab.engine import ROOT
from rehearsal.lab.fixture import PREFIX, stack_config
from rehearsal.process import RehearsalError

SIZES = (50, 100, 203, 400)
SERVERS = 3
GOAL_NODES, GOAL_SECONDS = 203, 8.0
LIMIT_SECONDS = 600
ABOUT = """\
The plan of the stack of `Pulumi.dev.yaml` with three servers and this many nodes in all: the whole program
under Pulumi's mocks and all policies, in a process of its own, without an engine."""


def measure(rounds: int, log: Callable[[str], object]) -> Part:
    """Measures all sizes."""
    series = []
    with tempfile.TemporaryDirectory() as folder:
        for nodes in SIZES:
            file = Path(folder, f"Pulumi.plan-{nodes}.yaml")
            keys = {f"{PREFIX}{key}": value for key, value in config(nodes).items()}
            file.write_text(yaml.safe_dump({"config": keys}))
            taken = tuple(seconds(file) for _ in range(rounds))
            log(f"  (h) {nodes} nodes: {', '.join(f'{one:.2f}' for one in taken)}")
            series.append(Series(f"{nodes} nodes", "plan", taken))
    medians = {nodes: one.median for nodes, one in zip(SIZES, series, strict=True)}
    goals = (
        Goal(
            f"{GOAL_NODES} nodes ≤ {GOAL_SECONDS:g} s",
            medians[GOAL_NODES] <= GOAL_SECONDS,
            f"{medians[GOAL_NODES]:.1f} s",
        ),
        straight(medians),
    )
    return Part("h", "The plan by size", ABOUT, "", tuple(series), goals)


def seconds(file: Path) -> float:
    """How long the plan of a stack file takes. Raises RehearsalError when there is none."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "k3sgpu", "plan", "--file", file]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    if done.returncode:
        raise RehearsalError(f"plan of {file.name}:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
    return time.perf_counter() - began


def config(nodes: int) -> dict[str, Any]:
    """The configuration of a stack with this many nodes."""
    stack = copy.deepcopy(stack_config("dev"))
    servers = {f"server-{n}": f"10.8.0.{n}" for n in range(1, SERVERS + 1)}
    agents = {f"gpu-{n}": f"10.9.{n // 200}.{n % 200 + 1}" for n in range(nodes - SERVERS)}
    stack["pools"]["control"]["hosts"], stack["pools"]["rtx"]["hosts"] = servers, agents
    stack["ssh"] = {"privateKeyFile": "~/.ssh/id_ed25519"}  # `plan` makes a key in its place
    stack["k3s"] |= {
        "protect": True,  # as a policy wants it
        "initialServer": "server-1",
        "registrationAddress": "10.8.0.1",
        "clusterCidr": "10.64.0.0/12",  # room for 4,096 nodes
    }
    return stack


def straight(medians: dict[int, float]) -> Goal:
    """The goal that the cost grows in proportion to the size."""
    bend = linear(medians)
    return Goal("linear: the last step's slope ≤ 1.2 × the one before", bend <= 1.2, f"{bend:.2f} ×")
