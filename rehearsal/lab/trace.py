"""How long each resource of an `up` took, and SSH logins by machine: `make up TRACE=1`."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from pulumi import automation

from rehearsal.lab import ssh
from rehearsal.lab.machine_records import RunningMachine

# sshd's log line for a successful login.
LOGINS = "journalctl --quiet --output cat --since @{since:.6f} --until @{until:.6f} _COMM=sshd"
LOGIN = "Accepted "
LOGINS_AT_ONCE = 16


@dataclass
class Step:
    """The operation on one resource; times in seconds since the engine's first event."""

    name: str
    operation: str
    began: float
    ended: float | None = None


@dataclass
class Trace:
    """Records an `up` from its engine events."""

    began: float = 0
    ended: float = 0
    steps: dict[str, Step] = field(default_factory=dict)

    def record(self, event: automation.EngineEvent) -> None:
        """Records an event of the engine. Unchanged resources are left out."""
        self.ended = time.time()
        self.began = self.began or self.ended
        now = self.ended - self.began
        if event.resource_pre_event:
            metadata = event.resource_pre_event.metadata
            if metadata.op.value != "same" and "pulumi:pulumi:Stack" not in metadata.urn:
                self.steps[metadata.urn] = Step(name_of(metadata.urn), metadata.op.value, now)
        done = event.res_outputs_event or event.res_op_failed_event
        if done and done.metadata.urn in self.steps:
            self.steps[done.metadata.urn].ended = now

    def render(self, booted: Mapping[str, RunningMachine]) -> str:
        """The steps in the order in which they began, and logins by machine."""
        rows = [
            f"  {step.began:7.1f} s {_took(step)}  {step.operation:<8}{step.name}"
            for step in sorted(self.steps.values(), key=lambda step: step.began)
        ]
        counts = logins(booted, self.began, self.ended)
        connections = [f"  {host}: {count}" for host, count in sorted(counts.items())]
        return "\n".join(["trace (began, took)", *rows, "SSH connections", *connections])


def logins(booted: Mapping[str, RunningMachine], since: float, until: float) -> dict[str, int]:
    """The number of SSH logins by host between two times (seconds since the epoch)."""
    command = LOGINS.format(since=since, until=until)

    def count(machine: RunningMachine) -> int:
        return sum(LOGIN in line for line in ssh.run(machine, command).splitlines())

    with ThreadPoolExecutor(max_workers=LOGINS_AT_ONCE) as pool:
        return dict(zip(booted, pool.map(count, booted.values()), strict=True))


def name_of(urn: str) -> str:
    """A resource's type and name, from its URN."""
    kind, name = urn.split("::")[2:4]
    return f"{kind.rpartition('$')[2].rpartition(':')[2]} {name}"


def _took(step: Step) -> str:
    return "      -  " if step.ended is None else f"{step.ended - step.began:7.1f} s"
