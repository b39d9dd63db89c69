"""What a probe is, and how one is run: a few engine operations on one stack, and what they showed."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pulumi import automation

from rehearsal.tests.e2e.controlplane import ControlPlane
from rehearsal.tests.e2e.probes import normal
from rehearsal.tests.e2e.probes.machine import Machine

PROJECT: Final = "probes"
PASSPHRASE: Final = "only probes are kept with this"


@dataclass(frozen=True)
class Surroundings:
    """What programs may use: a folder of their own, and what the fixtures started."""

    folder: Path
    plugins: Path
    pulumi: Path
    machine: Machine
    control_plane: ControlPlane | None = None
    tools: tuple[Path, ...] = ()  # further folders with programs: helm
    replaced: dict[str, str] = field(default_factory=dict)  # texts that differ from run to run, by name

    @property
    def cluster(self) -> ControlPlane:
        if self.control_plane is None:
            raise AssertionError("this probe needs a control plane")
        return self.control_plane


Program = Callable[[Surroundings], None]


@dataclass(frozen=True)
class Step:
    """One operation: "preview", "up", "refresh" or "destroy".

    `before` is done first, outside the engine; `observe` returns what is to be seen outside of it afterwards.
    """

    name: str
    operation: str
    program: Program
    before: Callable[[Surroundings], None] | None = None
    observe: Callable[[Surroundings], Any] | None = None


@dataclass(frozen=True)
class Probe:
    """Steps on one fresh stack."""

    name: str
    steps: tuple[Step, ...]


class EngineStopped(Exception):
    """An operation ended before it came to any resource: it says nothing of the plugins. Its text is the
    engine's own."""


def run(probe: Probe, around: Surroundings) -> dict[str, Any]:
    """What each step showed, by the steps' names. Raises EngineStopped, with nothing left in the cluster."""
    stack = _stack(probe, around)
    try:
        return {step.name: _run_step(stack, step, around) for step in probe.steps}
    except EngineStopped:
        with contextlib.suppress(automation.CommandError):
            stack.cancel()  # there is no lock where it ended by itself
        stack.destroy()
        raise


def _run_step(stack: automation.Stack, step: Step, around: Surroundings) -> dict[str, Any]:
    if step.before:
        step.before(around)
    events: list[automation.EngineEvent] = []
    options: dict[str, Any] = {"on_event": events.append}
    if step.operation in ("preview", "up"):
        options["program"] = lambda: step.program(around)
    if step.operation in ("up", "destroy"):
        # One failure must not hide what the other resources of a step do.
        options["continue_on_error"] = True
    try:
        getattr(stack, step.operation)(**options)
        result, words = "succeeded", ""
    except automation.CommandError as error:
        result, words = "failed", str(error)
    shown = normal.Shown(around)
    seen: dict[str, Any] = {"result": result, "resources": shown.resources(events)}
    if words and not seen["resources"]:
        raise EngineStopped(f"{step.name}: {words}")
    if step.operation != "preview":
        seen["state"] = shown.state(_state(stack, around))
    if step.observe:
        seen["outside"] = shown.value(step.observe(around))
    return seen


def _state(stack: automation.Stack, around: Surroundings) -> dict[str, Any]:
    """What the engine stored. Read from its file, secrets still encrypted."""
    path = around.folder / "backend/.pulumi/stacks" / PROJECT / f"{stack.name}.json"
    return json.loads(path.read_text())["checkpoint"]["latest"]


def _stack(probe: Probe, around: Surroundings) -> automation.Stack:
    backend = around.folder / "backend"
    backend.mkdir(exist_ok=True)
    folders = (around.plugins, around.pulumi.parent, *around.tools, Path("/usr/bin"), Path("/bin"))
    path = os.pathsep.join(str(folder) for folder in folders)
    environment = {
        "PATH": path,
        "PULUMI_HOME": str(around.folder / "home"),
        "PULUMI_BACKEND_URL": f"file://{backend}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        # Set and empty: the official command plugin would ask an agent that it finds here for keys.
        "SSH_AUTH_SOCK": "",
    }
    return automation.create_or_select_stack(
        stack_name=probe.name,
        project_name=PROJECT,
        program=lambda: None,
        opts=automation.LocalWorkspaceOptions(
            work_dir=str(around.folder),
            env_vars=environment,
            pulumi_command=_engine(around),
            # Plugins start in the program's folder: relative paths, like a chart's, begin there.
            project_settings=automation.ProjectSettings(PROJECT, "python", main=str(around.folder)),
        ),
    )


def _engine(around: Surroundings) -> automation.PulumiCommand:
    """The engine; the Automation API wants it at ROOT/bin/pulumi, wherever it is."""
    place = around.folder / "engine/bin/pulumi"
    if not place.exists():
        place.parent.mkdir(parents=True)
        place.symlink_to(around.pulumi)
    return automation.PulumiCommand(root=str(place.parents[1]), skip_version_check=True)


def load(path: Path) -> dict[str, Any]:
    """Recorded expectations; empty when there are none yet."""
    return json.loads(path.read_text()) if path.exists() else {}


def save(path: Path, recorded: dict[str, Any]) -> None:
    path.write_text(json.dumps(recorded, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
