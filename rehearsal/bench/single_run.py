"""One run of the engine in a process of its own: `python -m rehearsal.bench.single_run`.

It reads a specification from standard input and prints times, steps and memory. The measured time is the
start of Python with the SDK, which Pulumi's language host does as well, and the CLI's command; the CLI calls
that the Automation API makes before and after it are left out.
"""

import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.05
LIMIT_SECONDS = 1800
SHOWN_CHARACTERS = 3000  # of the output of a run that failed


@dataclass(frozen=True)
class Run:
    """The result of a run. Times are seconds since the process was started."""

    seconds: float
    counts: Mapping[str, int]
    moments: Mapping[str, float]
    """imported: Python with the SDK has started; program: its first line; registered: its last line."""
    steps: Sequence[tuple[str, float, float]]
    """The operations of an `up`: name, start, end."""
    engine_mib: float
    """The engine's peak memory."""
    program_mib: float
    """The program's peak memory."""


class RunFailed(Exception):
    """The engine's run failed. The text is its output."""


def run(spec: Mapping[str, Any], environment: Mapping[str, str], log: Path | None = None) -> Run:
    """Runs a specification in a new process, and writes what it prints to `log`. Raises RunFailed."""
    with log.open("w+") if log else tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(
            [sys.executable, "-m", "rehearsal.bench.single_run"],
            input=json.dumps({**spec, "began": time.time()}),
            env=dict(environment),
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            timeout=LIMIT_SECONDS,
        )
        output.seek(0)
        text = output.read()
        output.write(done.stderr)
    if done.returncode:
        shown = text[-SHOWN_CHARACTERS:] + done.stderr[-SHOWN_CHARACTERS:]
        raise RunFailed(f"{spec['operation']} of {spec['stack']}:\n{shown}")
    found = json.loads(text.rstrip("\n").rpartition("\n")[2])
    return Run(**{**found, "steps": [tuple(step) for step in found["steps"]]})


def main() -> None:
    """Runs the specification on standard input, in this process."""
    spec = json.load(sys.stdin)
    from rehearsal.bench import flat_program
    from rehearsal.lab.engine import Engine, EngineFailed
    from rehearsal.lab.trace import Trace

    imported = time.time() - spec["began"]
    program = {
        "ours": _ours,
        "flat": lambda: flat_program.run(spec["resources"]),
        "commands": lambda: _commands(spec["commands"]),
        "remote commands": lambda: _remote_commands(spec["commands"]),
    }
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
        counts = getattr(engine, spec["operation"])(on_event=trace.record)
    except EngineFailed:
        sys.exit(1)  # the reasons were printed
    began, end = commands[spec["operation"]]
    shift = imported - began  # the time between is not measured
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
        "program_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(f"\n{json.dumps(found)}")


class _Memory:
    """Watches the memory of the engine, a child of this process."""

    def __init__(self) -> None:
        self._most = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def most(self) -> int:
        """Stops watching and returns the peak in KiB."""
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
    """A process's peak memory in KiB; 0 while it ends."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def _ours() -> None:
    import runpy

    from rehearsal.lab.engine import ROOT

    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")


def _commands(count: int) -> None:
    from pulumi_command import local

    for number in range(count):
        local.Command(f"command-{number}", create="true")


def _remote_commands(count: int) -> None:
    """As `_commands`, on machines: each with a connection and a secret stdin."""
    from pulumi import Output
    from pulumi_command import remote

    for number in range(count):
        remote.Command(
            f"command-{number}",
            create="true",
            connection={
                "host": f"10.9.{number // 200}.{number % 200 + 1}",
                "user": "root",
                "host_key": "ssh-ed25519 " + "A" * 68,
                "private_key": Output.secret("k" * 119),
            },
            stdin=Output.secret("s" * 80),
            add_previous_output_in_env=False,
        )


if __name__ == "__main__":
    main()
