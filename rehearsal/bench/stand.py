"""A stack of the bench: a stage whose engine runs in its own processes, on machines that may be new."""

import copy
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import yaml

from rehearsal.bench import once
from rehearsal.lab import machines
from rehearsal.lab.fixture import PREFIX, Stage, stack_config
from rehearsal.lab.stack import STATE, Site
from rehearsal.progress import Progress
from rehearsal.toolchain import toolbox
from tools import mocked_program

SERVERS, AGENTS = "control", "plain"


@dataclass
class Stand(Stage):
    """One stack."""

    booted: dict[str, machines.Booted] = field(default_factory=dict)

    def machines_up(self) -> dict[str, machines.Booted]:
        """The machines that the configuration names, and the engine's plugins."""
        self.booted = super().machines_up()
        return self.booted

    def afresh(self) -> None:
        """The same machines with empty disks, and a state without anything in it."""
        machines.down(self.site.stack, self.site.state)
        shutil.rmtree(self.site.engine(self.tools).folder, ignore_errors=True)
        self.machines_up()
        self.begin()

    def begin(self) -> None:
        """The stack exists, and the engine has its plugins."""
        self.write()
        self.site.provide(self.tools, Progress())
        self.site.engine(self.tools).begin()

    def run(self, operation: str, program: str = "ours", **more: Any) -> once.Run:
        """One run of the engine. `environment` and `path` go before this process's. Raises once.RunFailed."""
        self.write()
        engine = self.site.engine(self.tools)
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
        return once.run(spec, environment)

    def graph(self, tokens: str = mocked_program.TOKENS) -> mocked_program.Graph:
        """What the program registers for this stack, with the scripts that it would send."""
        self.write()
        config = yaml.safe_load(self.site.stack_file.read_text())["config"]
        keys = {key.removeprefix(PREFIX): value for key, value in config.items()}
        return mocked_program.run(keys, stack=self.site.stack, tokens=tokens)

    def add_agent(self, name: str, address: str) -> None:
        """One more in the configuration, and its machine."""
        pool = self.config["pools"].setdefault(AGENTS, {"role": "agent", "hosts": {}})
        pool["hosts"][name] = address
        self.machines_up()


@contextmanager
def stand(name: str, config: Mapping[str, Any]) -> Iterator[Stand]:
    """A stand whose machines are gone afterwards, whatever happened on it."""
    tools = toolbox.prepare(Progress())
    state = STATE / name
    one = Stand(Site(name, state / f"Pulumi.{name}.yaml", state), tools, copy.deepcopy(dict(config)))
    _clear(one.site)
    try:
        yield one
    finally:
        _clear(one.site)


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


def _clear(site: Site) -> None:
    machines.down(site.stack, site.state)
    shutil.rmtree(site.folder, ignore_errors=True)
    site.stack_file.unlink(missing_ok=True)
