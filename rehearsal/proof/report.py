"""Writes proof.json, one entry for each run, and the page that is made from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rehearsal.bench.report_page import rows
from rehearsal.proof.walk import Outcome, StepResult

SHOWN_RUNS = 4
HEAD = """\
# Proof on a real card

Written by `make prove` on a machine with an NVIDIA card ([how](../README.md#proof-on-a-real-card)). It boots
machines with the card in them, runs the program on them with Pulumi's engine over SSH, and walks through the
article. Kubelet, containerd, runc, NVIDIA's container toolkit, device plugin and feature discovery are real,
and the programs in the pods compute on the card. k3s's packaging, the operator's controller and, where the
computer has no others, Pulumi's provider plugins are stand-ins
([fidelity](../../docs/explanation/fidelity.md)). A step that fails ends the walk. The runs are in
[proof.json](proof.json).
"""
SIGNS: Mapping[Outcome, str] = {"passed": "", "failed": "**failed** ", "not run": "not run"}


@dataclass
class Run:
    """One walk: when, where, with which parts, and its steps."""

    date: str
    cards: list[str]
    """By machine: product and memory of its card."""
    driver: str
    versions: dict[str, str] = field(default_factory=dict)
    """By part."""
    seconds: float = 0.0
    steps: list[StepResult] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every step has passed."""
        return bool(self.steps) and all(step.outcome == "passed" for step in self.steps)

    @property
    def title(self) -> str:
        """The card and the day."""
        products = sorted({card.partition(",")[0] for card in self.cards})
        return f"{len(self.cards)} × {', '.join(products)}, {self.date}"


def load(path: Path) -> list[Run]:
    """The runs in a file, oldest first; none without a file."""
    if not path.exists():
        return []
    return [
        Run(
            **{**run, "steps": [StepResult(**{**step, "seen": tuple(step["seen"])}) for step in run["steps"]]}
        )
        for run in json.loads(path.read_text())
    ]


def save(path: Path, runs: Sequence[Run]) -> None:
    """Writes the runs to a file, and the page beside it under the same name."""
    whole = path.with_suffix(".new")
    whole.write_text(json.dumps([asdict(run) for run in runs], indent=1, ensure_ascii=False) + "\n")
    whole.rename(path)
    path.with_suffix(".md").write_text(page(runs))


def page(runs: Sequence[Run]) -> str:
    """The page: a table of steps by run, the newest first, and what the newest run has seen."""
    if not runs:
        return HEAD + "\nNo run yet.\n"
    newest = list(reversed(runs))[:SHOWN_RUNS]
    lines = [HEAD, "## Steps by run", "", "Seconds of each step.", "", *steps_by_run(newest), ""]
    return "\n".join([*lines, *details(newest[0])])


def steps_by_run(runs: Sequence[Run]) -> list[str]:
    """A table with a row for each step and a column for each run."""
    names = list(dict.fromkeys(step.name for run in runs for step in run.steps))
    head = ["step", *(run.title for run in runs)]
    body = [[name, *(cell(run, name) for run in runs)] for name in names]
    total = ["all", *(f"{'' if run.passed else '**failed** '}{run.seconds:.0f}" for run in runs)]
    return rows(head, [*body, total])


def cell(run: Run, name: str) -> str:
    """Seconds of a step in a run, and how it ended unless it passed."""
    for step in run.steps:
        if step.name == name:
            return SIGNS[step.outcome] + (f"{step.seconds:.1f}" if step.outcome != "not run" else "")
    return "-"


def details(run: Run) -> list[str]:
    """What a run has seen, step by step."""
    parts = "; ".join(f"{part} {version}" for part, version in run.versions.items())
    lines = [f"## {run.title}", "", *(f"- {card}" for card in run.cards)]
    lines += [f"- driver {run.driver}", f"- {parts}", ""]
    for step in run.steps:
        lines += [f"### {step.name}", "", f"{step.shows} ({step.outcome}, {step.seconds:.1f} s)", ""]
        lines += [f"- {escape(fact)}" for fact in step.seen]
        lines += [""] if step.seen else []
    return lines


def escape(fact: str) -> str:
    """A fact as one paragraph of Markdown: its first line as text, further ones as code."""
    first, _, rest = fact.strip().partition("\n")
    text = first.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")
    return (
        text
        if not rest
        else f"{text}\n\n  ```\n" + "".join(f"  {line}\n" for line in rest.splitlines()) + "  ```"
    )
