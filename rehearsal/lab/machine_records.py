"""What a machine is: as it is declared, and as it was made; and where it is recorded that it was."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from rehearsal.lab import cgroups
from rehearsal.lab.gpus import Gpus
from rehearsal.process import RehearsalError

PREFIX = "k3sgpu-"
# What exists until this computer is switched off is recorded where it is forgotten then.
RECORDS = Path("/run/k3s-gpu-sharing")


class MachineParts(Protocol):
    """What machines are made of: toolbox.Tools, or anything else with these folders."""

    @property
    def rootfs(self) -> Path:
        """The shared root file system."""
        ...

    @property
    def standin(self) -> Path:
        """What machines see, read-only, at /opt/standin."""
        ...


@dataclass(frozen=True)
class Machine:
    """One machine as it is declared: `name` becomes its host name, `address` is in 10.77.0.0/24."""

    name: str
    address: str
    gpus: Gpus | None = None


@dataclass(frozen=True)
class RunningMachine:
    """One machine as it is: what `up` made and `run`, `power_cut` and `status` speak of."""

    stack: str
    host: str
    address: str
    state_dir: Path

    @property
    def name(self) -> str:
        """The name of its namespace, control group and mount on this computer."""
        return f"{PREFIX}{self.stack}-{self.host}"

    @property
    def folder(self) -> Path:
        """Its disk and its console log."""
        return machines_folder(self.stack, self.state_dir) / self.host

    @property
    def root(self) -> Path:
        """Its root file system, as this computer sees it while it is mounted."""
        return self.folder / "root"

    @property
    def running(self) -> bool:
        """Whether any process of it is there."""
        return cgroups.populated(self.name)


def status(stack: str | None = None) -> list[RunningMachine]:
    """The machines of this computer, or of `stack`: made since it was started and not taken down."""
    items = [read_record(path) for path in sorted(RECORDS.glob("*.json"))]
    return [item for item in items if stack in (None, item.stack)]


def machines_folder(stack: str, state_dir: Path) -> Path:
    """Where the disks of the machines of `stack` are."""
    return state_dir / stack / "machines"


def record_path(machine: RunningMachine) -> Path:
    """Where it is recorded that `machine` was made."""
    return RECORDS / f"{machine.name}.json"


def read_record(path: Path) -> RunningMachine:
    """The machine that a record speaks of."""
    fields = json.loads(path.read_text())
    return RunningMachine(fields["stack"], fields["host"], fields["address"], Path(fields["state_dir"]))


def write_record(machine: RunningMachine) -> None:
    """Records that `machine` is being made: on this computer's memory, and beside its disk."""
    text = json.dumps({**asdict(machine), "state_dir": str(machine.state_dir)})
    for path in (record_path(machine), machine.folder / "machine.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = path.with_suffix(".new")
        whole.write_text(text)
        whole.rename(path)


def known(stack: str, state_dir: Path) -> list[RunningMachine]:
    """The machines of `stack`: the recorded ones, and those of before this computer was switched off.

    Raises RehearsalError when another rehearsal has machines under the name of this stack.
    """
    found: dict[str, RunningMachine] = {}
    for item in status(stack):
        if item.state_dir != state_dir and item.state_dir.is_dir():
            raise RehearsalError(
                f"stack {stack!r}: found its machine {item.host} made by the rehearsal in {item.state_dir}, "
                f"expected none but those of {state_dir}; take them down there (make down STACK={stack}) or "
                "choose another name for the stack"
            )
        found[item.host] = item
    for path in sorted(machines_folder(stack, state_dir).glob("*/machine.json")):
        fields = json.loads(path.read_text())
        # The folder may have been moved since: where it is now counts.
        found.setdefault(fields["host"], RunningMachine(stack, fields["host"], fields["address"], state_dir))
    return list(found.values())
