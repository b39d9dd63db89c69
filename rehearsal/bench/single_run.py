"""One run of the engine in a process of its own, as people start one: `python -m rehearsal.bench.single_run`.

It reads what to run from its standard input and prints what it took: moments, steps, memory. What counts is
the start of Python with the SDK, which Pulumi's language host has to do as well, and the CLI's own command;
not what the Automation API asks the CLI before and after it.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.05
LIMIT_SECONDS = 1800


@dataclass(frozen=True)
class Run:
    """What came of it. Moments are seconds since the process was started."""

    seconds: float
    counts: Mapping[str, int]
    moments: Mapping[str, float]
    """imported (Python with the SDK), then by the CLI: program (its first line), registered (its last)."""
    steps: Sequence[tuple[str, float, float]]
    """Of an `up`: what was done, when it began, when it ended."""
    engine_mib: float
    """The most memory that the engine held."""


class RunFailed(Exception):
    """The engine's run failed. Its text is what it said."""


def run(spec: Mapping[str, Any], environment: Mapping[str, str]) -> Run:
    """Runs a spec in a new process. Raises RunFailed."""
    done = subprocess.run(
        [sys.executable, "-m", "rehearsal.bench.single_run"],
        input=json.dumps({**spec, "began": time.time()}),
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
    )
    if done.returncode:
        raise RunFailed(
            f"{spec['operation']} of {spec['stack']}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
    found = json.loads(done.stdout.rstrip("\n").rpartition("\n")[2])
    return Run(**{**found, "steps": [tuple(step) for step in found["steps"]]})


def main() -> None:
    """The process itself."""
    spec = json.load(sys.stdin)
    from rehearsal.lab.engine import Engine, EngineFailed
    from rehearsal.lab.trace import Trace

    imported = time.time() - spec["began"]
    program = {"ours": _ours, "nothing": _nothing, "commands": lambda: _commands(spec["commands"])}
    moments: dict[str, float] = {}
    commands: dict[str, tuple[float, float]] = {}

    def timed() -> None:
        moments["program"] = time.time()
        program[spec["program"]]()
        moments["registered"] = time.time()

    def ended(command: str, began: float, end: float) -> None:
        commands[command] = began, end

    engine = Engine(
        stack=spec["stack"],
        stack_file=Path(spec["stack_file"]),
        folder=Path(spec["folder"]),
        pulumi=Path(spec["pulumi"]),
        path=tuple(Path(one) for one in spec["path"]),
        program=timed,
        on_command=ended,
    )
    memory, trace = _Memory(), Trace()
    try:
        if spec["operation"] == "up":
            counts = engine.up(on_event=trace.record)
        else:
            counts = engine.preview(on_event=trace.record)
    except EngineFailed:
        sys.exit(1)  # it has said why
    began, end = commands[spec["operation"]]
    shift = imported - began  # what came between does not count
    found = {
        "seconds": end + shift,
        "counts": {str(op): count for op, count in counts.items()},
        "moments": {"imported": imported, **{name: at + shift for name, at in moments.items()}},
        "steps": [
            (one.name, one.began + trace.began + shift, one.ended + trace.began + shift)
            for one in trace.steps.values()
            if one.ended is not None
        ],
        "engine_mib": memory.most() / 1024,
    }
    print(f"\n{json.dumps(found)}")


class _Memory:
    """Watches the engine, this process's child, from outside."""

    def __init__(self) -> None:
        self._most = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def most(self) -> int:
        """KiB."""
        self._ended.set()
        self._thread.join()
        return self._most

    def _watch(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            for children in Path("/proc/self/task").glob("*/children"):
                try:
                    peaks = [_peak(pid) for pid in children.read_text().split()]
                except OSError:
                    continue  # it has ended
                self._most = max(self._most, *peaks, 0)


def _peak(pid: str) -> int:
    """The most memory that a process ever held, KiB; 0 of one that is ending."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def _ours() -> None:
    import runpy

    from rehearsal.lab.engine import ROOT

    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")


def _nothing() -> None:
    """The engine's own empty run."""


def _commands(count: int) -> None:
    from pulumi_command import local

    for number in range(count):
        local.Command(f"command-{number}", create="true")


if __name__ == "__main__":
    main()
