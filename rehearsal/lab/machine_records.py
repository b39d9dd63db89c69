"""A machine as declared and as created, and the records of the machines of this computer."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from rehearsal.lab import cgroups, processes
from rehearsal.lab.cards import RealCards
from rehearsal.lab.gpus import Gpus
from rehearsal.process import RehearsalError

PREFIX = "k3sgpu-"
# Network and control groups exist until this computer is switched off, and so do these records.
RECORDS = Path("/run/k3s-gpu-sharing")


class MachineParts(Protocol):
    """The folders that machines are made of: toolbox.Tools, or a replacement in tests."""

    @property
    def rootfs(self) -> Path:
        """The shared root file system."""
        ...

    @property
    def standin(self) -> Path:
        """The folder that machines see, read-only, at /opt/standin."""
        ...


@dataclass(frozen=True)
class Machine:
    """A declared machine: `name` becomes its host name, `address` is in 10.77.0.0/22."""

    name: str
    address: str
    gpus: Gpus | None = None
    kubelet: str = "kwok"
    """"real": it carries containerd and a kubelet; "kwok": its Node is simulated."""
    cards: RealCards | None = None
    """Cards of this computer, in place of `gpus`."""


@dataclass(frozen=True)
class RunningMachine:
    """A machine that `up` created. It may be off: `running` tells."""

    stack: str
    host: str
    address: str
    state_dir: Path
    owner: str | None = field(default=None, compare=False)
    """The process that removes it (processes.identify); None: a user does, with `make down`."""
    kubelet: str = "kwok"
    """As in Machine; it was chosen when the machine was created."""

    @property
    def abandoned(self) -> bool:
        """Whether its owner has ended without removing it: a test run that was killed."""
        return self.owner is not None and not processes.is_alive(self.owner)

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
        """Whether it has any process."""
        return cgroups.populated(self.name)


def recorded(stack: str | None = None) -> list[RunningMachine]:
    """The recorded machines of this computer, or of `stack`: created since its start and not removed."""
    items = [read_record(path) for path in sorted(RECORDS.glob("*.json"))]
    return [item for item in items if stack in (None, item.stack)]


def kubelets_of(stack: str) -> str:
    """The kubelets of the recorded machines of `stack`; "kwok" when there are none."""
    return next((item.kubelet for item in recorded(stack)), "kwok")


def machines_folder(stack: str, state_dir: Path) -> Path:
    """The folder with the disks of the machines of `stack`."""
    return state_dir / stack / "machines"


def record_path(machine: RunningMachine) -> Path:
    """The file that records `machine`."""
    return RECORDS / f"{machine.name}.json"


def read_record(path: Path) -> RunningMachine:
    """Reads a record."""
    fields = json.loads(path.read_text())
    return RunningMachine(**{**fields, "state_dir": Path(fields["state_dir"])})


def write_record(machine: RunningMachine) -> None:
    """Records `machine` before it is created: in /run, and beside its disk."""
    text = json.dumps({**asdict(machine), "state_dir": str(machine.state_dir)})
    for path in (record_path(machine), machine.folder / "machine.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = path.with_suffix(".new")
        whole.write_text(text)
        whole.rename(path)


def known(stack: str, state_dir: Path) -> list[RunningMachine]:
    """The machines of `stack`: the recorded ones, and those from before this computer was switched off.

    Raises RehearsalError when a rehearsal in another folder has machines of a stack with this name.
    """
    found: dict[str, RunningMachine] = {}
    for item in recorded(stack):
        if item.state_dir != state_dir and item.state_dir.is_dir():
            raise RehearsalError(
                f"stack {stack!r}: found its machine {item.host} made by the rehearsal in {item.state_dir}, "
                f"expected none but those of {state_dir}; remove them there (make down STACK={stack}) or "
                "choose another name for the stack"
            )
        found[item.host] = item
    for path in sorted(machines_folder(stack, state_dir).glob("*/machine.json")):
        fields = json.loads(path.read_text())
        # The folder may have been moved since.
        machine = RunningMachine(
            stack, fields["host"], fields["address"], state_dir, kubelet=fields.get("kubelet", "kwok")
        )
        found.setdefault(machine.host, machine)
    return list(found.values())
