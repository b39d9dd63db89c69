"""A stack for benchmarks: each run of the engine is a process, and machines can be reset."""

import copy
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from rehearsal.bench import single_run
from rehearsal.bench.mirror import Mirror
from rehearsal.lab import machines
from rehearsal.lab.fixture import PREFIX, StackFixture, stack_config
from rehearsal.lab.machine_records import RunningMachine
from rehearsal.lab.stack import STATE, RehearsedStack
from rehearsal.progress import Progress
from rehearsal.toolchain import rootfs, toolbox
from tools import mocked_program

SERVERS, AGENTS = "control", "plain"
PYTHON = ("python3", "python3-apt")
"""What Ansible needs on machines."""


@dataclass
class BenchStack(StackFixture):
    """A stack fixture that runs the engine in processes of its own."""

    machines: dict[str, RunningMachine] = field(default_factory=dict)
    mirror: Mirror | None = None
    """From where the machines download k3s."""

    def start_machines(self) -> dict[str, RunningMachine]:
        """Boots the machines of the configuration and installs the engine's plugins."""
        self.machines = super().start_machines()
        if self.mirror:
            self.mirror.attach(self.machines.values())
        return self.machines

    def reset(self) -> None:
        """Gives the machines empty disks, and the stack an empty state."""
        machines.down(self.stack.name, self.stack.state)
        shutil.rmtree(self.stack.engine(self.tools).folder, ignore_errors=True)
        self.start_machines()
        self.create_stack()

    def create_stack(self) -> None:
        """Creates the stack without resources, and installs the engine's plugins."""
        self.write_stack_file()
        self.stack.install_plugins(self.tools, Progress())
        self.stack.engine(self.tools).create_stack()

    def run(self, operation: str, program: str = "ours", **more: Any) -> single_run.Run:
        """Runs the engine once; `environment` and `path` precede this process's, and `log` is a file for what
        it prints. Raises RunFailed.
        """
        self.write_stack_file()
        log = more.pop("log", None)
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
        return single_run.run(spec, environment, log)

    def graph(self, tokens: str = mocked_program.TOKENS) -> mocked_program.Graph:
        """The resources that the program registers for this stack, with the scripts that it would run."""
        self.write_stack_file()
        config = yaml.safe_load(self.stack.stack_file.read_text())["config"]
        keys = {key.removeprefix(PREFIX): value for key, value in config.items()}
        return mocked_program.run(keys, stack=self.stack.name, tokens=tokens)

    def add_agent(self, name: str, address: str) -> None:
        """Adds an agent to the configuration and boots its machine."""
        pool = self.config["pools"].setdefault(AGENTS, {"role": "agent", "hosts": {}})
        pool["hosts"][name] = address
        self.start_machines()


@contextmanager
def bench_stack(name: str, config: Mapping[str, Any], mirror: Mirror | None = None) -> Iterator[BenchStack]:
    """A BenchStack whose machines are removed when the block ends.

    With a `mirror` they download k3s from there, and have Python.
    """
    tools = toolbox.prepare(Progress())
    config = copy.deepcopy(dict(config))
    if mirror:
        tools = replace(tools, rootfs=rootfs.prepare(Progress(), PYTHON))
        config["k3s"] = {key: value for key, value in config["k3s"].items() if key != "mirror"} | mirror.pins
    state = STATE / name
    one = BenchStack(RehearsedStack(name, state / f"Pulumi.{name}.yaml", state), tools, config, mirror=mirror)
    _clear(one.stack)
    try:
        yield one
    finally:
        _clear(one.stack)


def k3s_only_config(servers: Mapping[str, str], agents: Mapping[str, str]) -> dict[str, Any]:
    """The configuration of k3s without the operator, which other installers can install as well."""
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
