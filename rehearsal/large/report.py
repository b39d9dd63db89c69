"""Renders rehearsal/reports/large.md from the walks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from rehearsal.bench.report_page import amount, rows
from rehearsal.large.usage import Usage
from rehearsal.progress import duration

HEAD = """\
# A hundred machines

Written by `make e2e-large`. `AGENTS=n` and `SERVERS=n` select the number of machines. Each is a booted
machine with systemd and sshd; k3s's packaging, kubelets and GPUs are simulated
([fidelity](../../docs/explanation/fidelity.md)). All machines share one computer, and its processors are the
limit. Each step is a run of Pulumi's engine in a process of its own, after which the cluster is compared with
the stack file. The numbers are in [large.json](large.json).
"""
USAGE_CAPTION = """\
Use of the computer: share of all processors, least free memory, processor time of the rehearsal's programs as
seen every two seconds:"""


@dataclass
class Connections:
    """SSH logins during a step."""

    total: int
    server: int
    """Of the server with the most."""
    agent: int
    """Of the agent with the most."""
    hosts: int
    """How many hosts had any."""

    @classmethod
    def of(cls, logins: Mapping[str, int], servers: Mapping[str, str]) -> Self:
        """The summary of the logins by host."""
        return cls(
            total=sum(logins.values()),
            server=max(count for host, count in logins.items() if host in servers),
            agent=max(count for host, count in logins.items() if host not in servers),
            hosts=sum(count > 0 for count in logins.values()),
        )


@dataclass
class WalkStep:
    """A step and what was measured. `failure` is empty when it succeeded."""

    name: str
    seconds: float
    counts: dict[str, int] = field(default_factory=dict)
    engine_mib: float = 0
    program_mib: float = 0
    state_mib: float = 0
    lines: int = 0
    """Of the engine's output."""
    connections: Connections | None = None
    longest: list[tuple[str, float]] = field(default_factory=list)
    """The longest operations with their seconds."""
    usage: Usage = field(default_factory=Usage)
    failure: str = ""


@dataclass
class Walk:
    """One run of all steps on one number of machines."""

    servers: int
    agents: int
    computer: str
    when: str
    steps: list[WalkStep]

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        """A walk from its JSON."""
        steps = [
            WalkStep(
                **{
                    **step,
                    "usage": Usage(**step["usage"]),
                    "connections": Connections(**step["connections"]) if step["connections"] else None,
                    "longest": [(name, seconds) for name, seconds in step["longest"]],
                }
            )
            for step in raw["steps"]
        ]
        return cls(**{**raw, "steps": steps})


def page(walks: Sequence[Walk], remarks: str) -> str:
    """The page. `remarks` is written by a person, the rest follows from the numbers."""
    return "\n".join([HEAD, remarks.strip(), "", *map(section, walks)]).rstrip() + "\n"


def section(walk: Walk) -> str:
    """The section of one walk."""
    head = (
        "step",
        "took",
        "resources",
        "engine, program",
        "state",
        "SSH connections: all, server, agent",
        "lines",
    )
    body = [
        (
            step.name,
            duration(step.seconds) + (" **failed**" if step.failure else ""),
            ", ".join(f"{count} {operation}" for operation, count in sorted(step.counts.items())),
            f"{step.engine_mib:.0f}, {step.program_mib:.0f} MiB" if step.engine_mib else "",
            amount(step.state_mib, "MiB") if step.state_mib else "",
            f"{step.connections.total}, {step.connections.server}, {step.connections.agent}"
            if step.connections
            else "",
            str(step.lines or ""),
        )
        for step in walk.steps
    ]
    used = [
        (step.name, f"{step.usage.busy:.0%}", amount(step.usage.least_free_mib / 1024, "GiB"), shares(step))
        for step in walk.steps
        if step.usage.seconds
    ]
    longest = [
        (step.name, "; ".join(f"{name} {duration(seconds)}" for name, seconds in step.longest))
        for step in walk.steps
        if step.longest
    ]
    return "\n".join(
        [
            f"## {walk.servers} + {walk.agents} machines",
            "",
            f"{walk.when}, on {walk.computer}.",
            "",
            *rows(head, body),
            "",
            USAGE_CAPTION,
            "",
            *rows(("step", "busy", "least free", "processor time"), used),
            "",
            "The longest operations:",
            "",
            *rows(("step", "operations"), longest),
            "",
        ]
    )


def shares(step: WalkStep) -> str:
    """The processor time of the programs that used most of it."""
    most = sorted(step.usage.seconds.items(), key=lambda pair: -pair[1])[:6]
    return ", ".join(f"{kind} {seconds:.0f} s" for kind, seconds in most if seconds >= 0.5)
