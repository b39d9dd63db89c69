"""A stack of the bench: a stage whose engine runs in its own processes, on machines that may be new."""

import copy
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import yaml

from rehearsal.bench import single_run
from rehearsal.lab import machines
from rehearsal.lab.fixture import PREFIX, StackFixture, stack_config
from rehearsal.lab.machine_records import RunningMachine
from rehearsal.lab.stack import STATE, RehearsedStack
from rehearsal.progress import Progress
from rehearsal.toolchain import toolbox
from tools import mocked_program

SERVERS, AGENTS = "control", "plain"


@dataclass
class BenchStack(StackFixture):
    """One stack."""

    booted: dict[str, RunningMachine] = field(default_factory=dict)

    def start_machines(self) -> dict[str, RunningMachine]:
        """The machines that the configuration names, and the engine's plugins."""
        self.booted = super().start_machines()
        return self.booted

    def reset(self) -> None:
        """The same machines with empty disks, and a state without anything in it."""
        machines.down(self.stack.name, self.stack.state)
        shutil.rmtree(self.stack.engine(self.tools).folder, ignore_errors=True)
        self.start_machines()
        self.create_stack()

    def create_stack(self) -> None:
        """The stack exists, and the engine has its plugins."""
        self.write_stack_file()
        self.stack.install_plugins(self.tools, Progress())
        self.stack.engine(self.tools).create_stack()

    def run(self, operation: str, program: str = "ours", **more: Any) -> single_run.Run:
        """Runs the engine once; `environment` and `path` precede this process's. Raises RunFailed."""
        self.write_stack_file()
        engine = self.stack.engine(self.tools)
        environment = {**os.environ, **more.pop("environment", {})}
        spec = {
            "operation": operation,
            "program": program,
            "stack": engine.stack,
            "stack_file": str(engine.stack_file),
            "folder": str(engine.folder),
            "pulumi": str(engine.pulumi),
            "path": [*map(str, more.pop("path", ())), *map(str, engine.path)],
            **more,
        }
        return single_run.run(spec, environment)

    def graph(self, tokens: str = mocked_program.TOKENS) -> mocked_program.Graph:
        """What the program registers for this stack, with the scripts that it would send."""
        self.write_stack_file()
        config = yaml.safe_load(self.stack.stack_file.read_text())["config"]
        keys = {key.removeprefix(PREFIX): value for key, value in config.items()}
        return mocked_program.run(keys, stack=self.stack.name, tokens=tokens)

    def add_agent(self, name: str, address: str) -> None:
        """One more in the configuration, and its machine."""
        pool = self.config["pools"].setdefault(AGENTS, {"role": "agent", "hosts": {}})
        pool["hosts"][name] = address
        self.start_machines()


@contextmanager
def stand(name: str, config: Mapping[str, Any]) -> Iterator[BenchStack]:
    """A stand whose machines are gone afterwards, whatever happened on it."""
    tools = toolbox.prepare(Progress())
    state = STATE / name
    one = BenchStack(
        RehearsedStack(name, state / f"Pulumi.{name}.yaml", state), tools, copy.deepcopy(dict(config))
    )
    _clear(one.stack)
    try:
        yield one
    finally:
        _clear(one.stack)


def bare(servers: Mapping[str, str], agents: Mapping[str, str]) -> dict[str, Any]:
    """k3s alone: what other installers install too."""
    config = stack_config("dev")
    pools = {SERVERS: {"role": "server", "hosts": dict(servers)}}
    if agents:
        pools[AGENTS] = {"role": "agent", "hosts": dict(agents)}
    k3s = config["k3s"]
    if len(servers) > 1:
        first = next(iter(servers))
        k3s = {**k3s, "initialServer": first, "registrationAddress": servers[first]}
    return {"k3s": k3s, "pools": pools, "doctor": config["doctor"], "gpuOperator": {"enabled": False}}


def _clear(stack: RehearsedStack) -> None:
    machines.down(stack.name, stack.state)
    shutil.rmtree(stack.folder, ignore_errors=True)
    stack.stack_file.unlink(missing_ok=True)
