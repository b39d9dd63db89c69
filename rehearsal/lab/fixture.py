"""A stack for tests and faults: its stack file, what the engine said of it, and what its machines show."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pulumi import automation

from rehearsal import process
from rehearsal.lab import machines
from rehearsal.lab.engine import PROJECT, ROOT, EngineFailed
from rehearsal.lab.stack import Site
from rehearsal.progress import Progress
from rehearsal.toolchain import toolbox

PREFIX = f"{PROJECT}:"
WAIT_SECONDS = 60


def stack_config(name: str) -> dict[str, Any]:
    """The configuration of Pulumi.<name>.yaml, keys without the project's name."""
    config = yaml.safe_load((ROOT / f"Pulumi.{name}.yaml").read_text())["config"]
    return {key.removeprefix(PREFIX): value for key, value in config.items() if key != f"{PREFIX}ssh"}


@dataclass
class Stage:
    """One stack: change `config`, then `up`."""

    site: Site
    tools: toolbox.Tools
    config: dict[str, Any]
    """`ssh` in it adds to the stage's own key and known hosts."""
    said: list[str] = field(default_factory=list)
    """Everything the engine printed, over all operations."""
    events: list[str] = field(default_factory=list)
    """The engine's events over all operations, as texts."""

    def hear(self, line: str) -> None:
        """Keeps what the engine says, and shows it where a test fails."""
        self.said.append(line)
        print(line)

    def note(self, event: automation.EngineEvent) -> None:
        """Keeps an event of the engine."""
        self.events.append(json.dumps(event, default=lambda part: getattr(part, "value", None) or vars(part)))

    def write(self) -> None:
        """The configuration, as a stack file whose paths lead to this stage's own key and known hosts; where
        the cluster is there already, without."""
        ssh = {
            "user": "root",
            "privateKeyFile": str(self.site.state / "id_ed25519"),
            "knownHostsFile": str(self.site.state / "known_hosts"),
            **self.config.get("ssh", {}),
        }
        reached = {} if "kubeconfig" in self.config else {"ssh": ssh}
        config = {**reached, **{key: value for key, value in self.config.items() if key != "ssh"}}
        self.site.stack_file.parent.mkdir(parents=True, exist_ok=True)
        self.site.stack_file.write_text(
            yaml.safe_dump({"config": {PREFIX + key: value for key, value in config.items()}})
        )

    def machines_up(self) -> dict[str, machines.Booted]:
        """The machines that the configuration names, and the engine's plugins."""
        self.write()
        booted = self.site.machines_up(self.tools, Progress())
        self.site.provide(self.tools, Progress())
        return dict(booted)

    def preview(self, *, refresh: bool = False) -> dict[str, int]:
        """Counts by operation."""
        self.write()
        engine = self.site.engine(self.tools)
        return dict(engine.preview(self.hear, on_event=self.note, refresh=refresh))

    def up(self, *targets: str) -> dict[str, int]:
        """Counts by operation."""
        self.write()
        return dict(self.site.up(self.tools, self.hear, targets=targets, on_event=self.note))

    def refresh(self) -> dict[str, int]:
        """The state learns what the cluster has now: counts by operation."""
        self.write()
        return dict(self.site.engine(self.tools).refresh(self.hear, on_event=self.note))

    def refused(self, operation: Callable[[], Any]) -> str:
        """What the engine said when `operation` failed, as it must."""
        before = len(self.said)
        with contextlib.suppress(EngineFailed):
            operation()
            raise AssertionError("it went through:\n" + "\n".join(self.said[before:]))
        return "\n".join(self.said[before:])

    def destroy(self) -> None:
        """What `make down` does first."""
        self.write()
        self.site.engine(self.tools).destroy(self.hear, on_event=self.note)

    def on(self, machine: machines.Booted, command: str) -> str:
        """Runs a shell command on a machine as root; its stdout."""
        return machines.run(machine, command).strip()

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """kubectl's stdout. Raises RehearsalError with what it said where it fails."""
        command = [
            self.tools.kubectl,
            "--kubeconfig",
            self.site.kubeconfig,
            "--request-timeout=20s",
            *arguments,
        ]
        return process.run(command, timeout=60, stdin=stdin).strip()

    def get(self, *arguments: str) -> dict[str, Any]:
        """An object of the cluster, or a list of them."""
        return json.loads(self.kubectl("get", *arguments, "--output", "json"))

    def resources(self) -> dict[str, dict[str, Any]]:
        """By name: the custom resources of the state (the last of its name where types share one)."""
        deployment = json.loads(self.site.engine(self.tools).state())["checkpoint"]["latest"]
        return {f"{r['type']} {r['urn'].rsplit('::', 1)[1]}": r for r in deployment.get("resources", [])}


def eventually(what: str, look: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """What `look` returns once it is true; says what it was and what was last seen when it never is."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}; last seen: {seen!r}"
        time.sleep(0.3)


@contextlib.contextmanager
def stage(
    name: str, folder: Path, config: dict[str, Any], secrets: Mapping[str, str] | None = None
) -> Iterator[Stage]:
    """A stage whose machines are gone afterwards, whatever happened on it."""
    tools = toolbox.prepare(Progress())
    site = Site(name, folder / f"Pulumi.{name}.yaml", folder / "state", {} if secrets is None else secrets)
    try:
        yield Stage(site, tools, config)
    finally:
        machines.down(name, site.state)
