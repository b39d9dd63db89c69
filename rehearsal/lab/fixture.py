"""A stack for tests and faults: its stack file, its operations, and what the engine printed."""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pulumi import automation

from rehearsal import process
from rehearsal.lab import machines, processes, ssh
from rehearsal.lab.cards import RealCard
from rehearsal.lab.engine import PROJECT, ROOT, EngineFailed
from rehearsal.lab.machine_records import RunningMachine
from rehearsal.lab.stack import RehearsedStack
from rehearsal.progress import Progress
from rehearsal.toolchain import toolbox

PREFIX = f"{PROJECT}:"
WAIT_SECONDS = 60


def stack_config(name: str) -> dict[str, Any]:
    """The configuration of Pulumi.<name>.yaml without its `ssh` section; keys lack the project's prefix."""
    config = yaml.safe_load((ROOT / f"Pulumi.{name}.yaml").read_text())["config"]
    return {key.removeprefix(PREFIX): value for key, value in config.items() if key != f"{PREFIX}ssh"}


@dataclass
class StackFixture:
    """One stack in a temporary folder. Change `config`, then call `up`."""

    stack: RehearsedStack
    tools: toolbox.Tools
    config: dict[str, Any]
    """Its `ssh` section is added to the fixture's own key and known hosts."""
    output: list[str] = field(default_factory=list)
    """The lines that the engine printed, over all operations."""
    events: list[str] = field(default_factory=list)
    """The engine's events over all operations, as JSON."""

    def record_output(self, line: str) -> None:
        """Keeps a line of the engine, and prints it so that pytest shows it when the test fails."""
        self.output.append(line)
        print(line)

    def record_event(self, event: automation.EngineEvent) -> None:
        """Keeps an event of the engine."""
        self.events.append(json.dumps(event, default=lambda part: getattr(part, "value", None) or vars(part)))

    def write_stack_file(self) -> None:
        """Writes `config` as a stack file with the fixture's own key and known hosts.

        A stack that uses an existing cluster (`kubeconfig`) gets no `ssh` section.
        """
        ssh = {
            "user": "root",
            "privateKeyFile": str(self.stack.state / "id_ed25519"),
            "knownHostsFile": str(self.stack.state / "known_hosts"),
            **self.config.get("ssh", {}),
        }
        access = {} if "kubeconfig" in self.config else {"ssh": ssh}
        config = {**access, **{key: value for key, value in self.config.items() if key != "ssh"}}
        self.stack.stack_file.parent.mkdir(parents=True, exist_ok=True)
        self.stack.stack_file.write_text(
            yaml.safe_dump({"config": {PREFIX + key: value for key, value in config.items()}})
        )

    def start_machines(self) -> dict[str, RunningMachine]:
        """Boots the machines of the configuration and installs the engine's plugins."""
        self.write_stack_file()
        booted = self.stack.start_machines(self.tools, Progress())
        self.stack.install_plugins(self.tools, Progress())
        return dict(booted)

    def preview(self, *, refresh: bool = False) -> dict[str, int]:
        """Runs `pulumi preview`: number of resources by operation."""
        self.write_stack_file()
        engine = self.stack.engine(self.tools)
        return dict(engine.preview(self.record_output, on_event=self.record_event, refresh=refresh))

    def up(self, *targets: str) -> dict[str, int]:
        """Runs `pulumi up`: number of resources by operation."""
        self.write_stack_file()
        return dict(
            self.stack.up(self.tools, self.record_output, targets=targets, on_event=self.record_event)
        )

    def up_k3s_only(self) -> dict[str, int]:
        """Runs `pulumi up` for the component K3sCluster and its children alone."""
        return self.up(f"urn:pulumi:{self.stack.name}::{PROJECT}::k3sgpu:index:K3sCluster**")

    def refresh(self) -> dict[str, int]:
        """Runs `pulumi refresh`: number of resources by operation."""
        self.write_stack_file()
        return dict(self.stack.engine(self.tools).refresh(self.record_output, on_event=self.record_event))

    def expect_failure(self, operation: Callable[[], Any]) -> str:
        """Runs `operation`, which must fail, and returns what the engine printed."""
        before = len(self.output)
        with contextlib.suppress(EngineFailed):
            operation()
            raise AssertionError("the operation succeeded:\n" + "\n".join(self.output[before:]))
        return "\n".join(self.output[before:])

    def destroy(self) -> None:
        """Runs `pulumi destroy`; the machines stay."""
        self.write_stack_file()
        self.stack.engine(self.tools).destroy(self.record_output, on_event=self.record_event)

    def run_on(self, machine: RunningMachine, command: str) -> str:
        """Runs a shell command on a machine as root over SSH, and returns its stdout."""
        return ssh.run(machine, command).strip()

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Runs kubectl and returns its stdout. Raises RehearsalError with its stderr when it fails."""
        command = [
            self.tools.kubectl,
            "--kubeconfig",
            self.stack.kubeconfig,
            "--request-timeout=20s",
            *arguments,
        ]
        return process.run(command, timeout=60, stdin=stdin).strip()

    def get(self, *arguments: str) -> dict[str, Any]:
        """An object of the cluster, or a list of them."""
        return json.loads(self.kubectl("get", *arguments, "--output", "json"))

    def resources(self) -> dict[str, dict[str, Any]]:
        """The state's resources by "type name"; of several with the same type and name, the last."""
        deployment = json.loads(self.stack.engine(self.tools).state())["checkpoint"]["latest"]
        return {f"{r['type']} {r['urn'].rsplit('::', 1)[1]}": r for r in deployment.get("resources", [])}


def wait_until(what: str, check: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """Polls `check` until it returns something true, and returns that.

    Raises AssertionError with `what` and the last value after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}; last value: {value!r}"
        time.sleep(0.3)


@contextlib.contextmanager
def stack_fixture(
    name: str,
    folder: Path,
    config: dict[str, Any],
    secrets: Mapping[str, str] | None = None,
    kubelets: str = "kwok",
    cards: Sequence[RealCard] = (),
) -> Iterator[StackFixture]:
    """A StackFixture whose machines are removed when the block ends; `kubelets`, `cards` as in its stack."""
    tools = toolbox.prepare(Progress(), real_nodes=kubelets == "real")
    stack_file = folder / f"Pulumi.{name}.yaml"
    owner = processes.identify(os.getpid())
    stack = RehearsedStack(
        name, stack_file, folder / "state", {} if secrets is None else secrets, owner, kubelets, cards
    )
    try:
        yield StackFixture(stack, tools, config)
    finally:
        machines.down(name, stack.state)
