"""`python3 who_suffers.py --programs FOLDER --output FILE`: who suffers when one sharer of a card misbehaves?

On a machine with an NVIDIA card and its driver, as root, without a cluster: a well-behaved program
(`card-test`) computes without a pause, and a program that misbehaves in one way (`misbehave`) starts beside
it. For every way and every sharing it records what the neighbour gets while both run and after the other one
is killed, and whether a new program can start at both times. It needs only Python's standard library.

MPS runs as NVIDIA's device plugin runs it, with one difference: the plugin sets the card to exclusive mode,
and this does not, because it changes no setting of the card. A daemon serves one case only.

Exit status: 0 all measured, 1 some cases were left out for lack of time, 2 it could not measure.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHARERS = 4
MOST_SECONDS = 600.0  # after so many no case begins
MEMORY_PERCENT = 20  # what a new program asks for: a slice of four, less what a context costs
BASELINE_SECONDS, WINDOW_SECONDS, AFTER_SECONDS = 3.0, 1.6, 1.1
START_DEADLINE, NEWCOMER_DEADLINE, DEATH_DEADLINE, CONTROL_DEADLINE = 15.0, 4.0, 3.0, 10.0
KERNEL_DEADLINE = 16.0  # misbehave's endless kernel ends after 15 s
ERROR = re.compile(r"(cu\w+): .*\((\d+ \w+)\)")
MPS_CONTROL = "nvidia-cuda-mps-control"


@dataclass(frozen=True)
class Way:
    """What runs beside the neighbour: a command, and whether it dies before the neighbour is measured."""

    name: str
    command: tuple[str, ...]
    killed: bool = False


STEADY = ("card-test", "--seconds", "0", "--interval", "0.5")
WAYS = (
    Way("well-behaved", STEADY),
    Way("take-memory", ("misbehave", "take-memory")),
    Way("hold-memory", ("misbehave", "hold-memory")),
    Way("illegal-address", ("misbehave", "illegal-address")),
    Way("trap", ("misbehave", "trap")),
    Way("endless-kernel", ("misbehave", "endless-kernel")),
    Way("killed-in-kernel", ("misbehave", "endless-kernel"), killed=True),
    Way("long-kernels", ("misbehave", "long-kernels")),
    Way("many-contexts", ("misbehave", "many-contexts")),
)
ALL_WAYS = tuple(way.name for way in WAYS)
SHARINGS = ("time-slicing", "mps", "mps-limits")


class Unmeasurable(Exception):
    """The machine cannot measure: it lacks a card, a program, or MPS."""


class Program:
    """A running program whose lines are kept with the time at which they came."""

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        self.started = time.monotonic()
        self.lines: list[tuple[float, str]] = []
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        # Where the driver waits for a kernel's end, a killed program lives until then.
        if not self.stop():
            self.wait(KERNEL_DEADLINE)

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append((time.monotonic(), line.strip()))

    @property
    def ended(self) -> bool:
        """Whether the process ended and everything that it printed was read."""
        return self.process.poll() is not None and not self._reader.is_alive()

    @property
    def last_line(self) -> str:
        """The last line, empty before the first."""
        return self.lines[-1][1] if self.lines else ""

    def wait(self, seconds: float, until: Callable[[], object] = lambda: False) -> bool:
        """Waits until the program ended or `until` is true. Returns False when neither happened in time."""
        deadline = time.monotonic() + seconds
        while not self.ended and not until():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def stop(self, number: int = signal.SIGKILL) -> bool:
        """Ends the process, at last by SIGKILL. Returns False when it did not die, as when a driver hangs."""
        for wanted in dict.fromkeys((number, signal.SIGKILL)):
            if self.process.poll() is None:
                self.process.send_signal(wanted)
            if self.wait(DEATH_DEADLINE):
                return True
        return False


def error_of(text: str) -> dict[str, str]:
    """The call and the error of a line that one of the programs printed, or the line itself."""
    found = ERROR.search(text)
    return {"call": found[1], "error": found[2]} if found else {"error": text or "ended without a word"}


def progress(program: Program, begin: float, end: float) -> dict[str, Any]:
    """What the well-behaved program did between two times: a rate, a standstill, or its error.

    A line belongs to the time in which it came. The first one is left out where there are more, because it
    counts launches from before.
    """
    lines = [(at, json.loads(line)) for at, line in list(program.lines) if line.startswith("{")]
    inside = [at for at, _ in lines if begin < at <= end]
    if program.ended and not inside:
        return error_of(program.last_line)
    if not inside:
        return {"stalledSeconds": round(end - max([at for at, _ in lines if at <= begin], default=begin), 1)}
    counted = inside[1:] or inside
    since = max([at for at, _ in lines if at < counted[0]], default=begin)
    wanted = [line for at, line in lines if since < at <= counted[-1]]
    found = {
        "launchesPerSecond": round(sum(line["launches"] for line in wanted) / (counted[-1] - since), 1),
        "medianMs": round(statistics.median(line["median_ms"] for line in wanted), 3),
        "longestMs": max(line["longest_ms"] for line in wanted),
        "wrong": sum(line["wrong"] for line in wanted),
    }
    return {**found, **error_of(program.last_line)} if program.ended else found


def start(programs: Path, command: tuple[str, ...], environment: Mapping[str, str]) -> Program:
    """Starts one of the programs, whose folder is `programs`."""
    return Program([str(programs / command[0]), *command[1:]], environment)


def start_new(programs: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Starts a new well-behaved program that needs a slice's memory, and says how that went."""
    program = start(programs, ("card-test", "--memory-percent", str(MEMORY_PERCENT)), environment)
    in_time = program.wait(NEWCOMER_DEADLINE)
    seconds = round(time.monotonic() - program.started, 1)
    if not in_time:
        return {"waitedSeconds": seconds, "died": program.stop()}
    if program.process.returncode == 0:
        return {"seconds": seconds}
    return error_of(program.last_line)


def wait_for_line(program: Program) -> None:
    """Waits until a program says something. Raises Unmeasurable when it does not."""
    if not program.wait(START_DEADLINE, lambda: program.lines) or not program.lines:
        raise Unmeasurable(f"{program.process.args} said nothing within {START_DEADLINE:g} s")


def watch(program: Program, seconds: float) -> dict[str, Any]:
    """What the well-behaved program does in the next seconds."""
    begin = time.monotonic()
    program.wait(seconds)
    return progress(program, begin, time.monotonic())


def measure_alone(programs: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """What the well-behaved program does when nothing else runs. Raises Unmeasurable when it cannot run."""
    with start(programs, STEADY, environment) as steady:
        wait_for_line(steady)
        found = watch(steady, BASELINE_SECONDS)
        steady.stop(signal.SIGTERM)
    if "error" in found:
        raise Unmeasurable(f"card-test failed alone: {steady.last_line}")
    return found


def measure_beside(way: Way, programs: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Runs one way to misbehave beside the well-behaved program. Raises Unmeasurable when that cannot run."""
    with start(programs, STEADY, environment) as steady:
        wait_for_line(steady)
        with start(programs, way.command, environment) as other:
            wait_for_line(other)
            if way.killed:
                other.wait(0.5)
                other.stop()
            beside = watch(steady, WINDOW_SECONDS)
            new_beside = start_new(programs, environment)
            died = other.stop()
            new_after = start_new(programs, environment)
            after = watch(steady, AFTER_SECONDS)
        return {
            "misbehaver": other.last_line,
            "misbehaverDied": died,
            "neighbour": {"beside": beside, "after": after},
            "newProgram": {"beside": new_beside, "after": new_after},
            "neighbourDied": steady.stop(signal.SIGTERM),
        }


def ask_mps(environment: Mapping[str, str], command: str) -> str:
    """Sends a command to the MPS daemon. Raises Unmeasurable when it does not answer."""
    try:
        done = subprocess.run(
            [MPS_CONTROL],
            input=command + "\n",
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=CONTROL_DEADLINE,
        )
    except subprocess.TimeoutExpired as error:
        raise Unmeasurable(f"MPS: no answer to {command!r} within {CONTROL_DEADLINE:g} s") from error
    if done.returncode:
        raise Unmeasurable(f"MPS: {command!r} failed: {(done.stdout + done.stderr).strip()}")
    return done.stdout.strip()


def mps_processes(pipes: str) -> list[int]:
    """The processes of the MPS daemon whose pipes are in this folder, found by their environment."""
    wanted = f"CUDA_MPS_PIPE_DIRECTORY={pipes}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The kernel keeps 15 characters of a name, so this is the daemon and its server.
            is_mps = (folder / "comm").read_text().startswith("nvidia-cuda-mps")
            if is_mps and wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:  # it ended meanwhile
            continue
    return found


def stop_mps(environment: Mapping[str, str]) -> None:
    """Stops the daemon and its server, at last by SIGKILL."""
    try:
        ask_mps(environment, "quit -t 2")
    except Unmeasurable as error:
        print(f"  {error}", flush=True)
    deadline = time.monotonic() + DEATH_DEADLINE
    while (left := mps_processes(environment["CUDA_MPS_PIPE_DIRECTORY"])) and time.monotonic() < deadline:
        time.sleep(0.05)
    for number in left:
        os.kill(number, signal.SIGKILL)


@contextmanager
def mps(memory_mib: int, limits: bool) -> Iterator[dict[str, str]]:
    """Runs an MPS daemon, with the limits of NVIDIA's plugin if asked. Yields what its clients need."""
    with tempfile.TemporaryDirectory(prefix="mps-", ignore_cleanup_errors=True) as folder:
        environment = {
            "CUDA_MPS_PIPE_DIRECTORY": f"{folder}/pipe",
            "CUDA_MPS_LOG_DIRECTORY": f"{folder}/log",
        }
        for path in environment.values():
            Path(path).mkdir()
        try:
            started = subprocess.run(
                [MPS_CONTROL, "-d"],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # the daemon keeps them open
                stderr=subprocess.DEVNULL,
                timeout=CONTROL_DEADLINE,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unmeasurable(f"MPS: {error}") from error
        if started.returncode:
            raise Unmeasurable(f"MPS: {MPS_CONTROL} -d failed: exit status {started.returncode}")
        try:
            if limits:
                ask_mps(environment, f"set_default_device_pinned_mem_limit 0 {memory_mib // SHARERS}M")
                ask_mps(environment, f"set_default_active_thread_percentage {100 // SHARERS}")
            yield environment
        finally:
            stop_mps(environment)


@contextmanager
def shared(sharing: str, memory_mib: int) -> Iterator[dict[str, str]]:
    """Yields the environment of programs that share the card this way."""
    if sharing == "time-slicing":
        yield {}
        return
    with mps(memory_mib, limits=sharing == "mps-limits") as environment:
        yield environment


def card() -> dict[str, Any]:
    """The card, its memory in MiB, the driver's version and the compute mode. Raises Unmeasurable."""
    fields = "name,memory.total,driver_version,compute_mode"
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits", "--id=0"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        name, memory, driver, mode = (field.strip() for field in said.strip().split(","))
        return {"card": name, "memoryMiB": int(memory), "driver": driver, "computeMode": mode}
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise Unmeasurable(f"no NVIDIA card to be seen: {error}") from error


def measured_before(output: Path, facts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The cases of a file by sharing and way, if they are of the same card and driver."""
    if not output.exists():
        return {}
    found = json.loads(output.read_text())
    if any(found.get(name) != value for name, value in facts.items()):
        return {}
    return {one["name"]: {case["way"]: case for case in one["cases"]} for one in found["sharings"]}


def measure_all(
    programs: Path, output: Path, seconds: float = MOST_SECONDS, ways: Sequence[str] = ALL_WAYS
) -> bool:
    """Measures `ways` under every sharing, and writes the file after each. Returns False out of time.

    What the file has of other ways, and of those that could not be measured, stays there, if it is of the
    same card and driver.
    """
    deadline = time.monotonic() + seconds
    facts = card()
    before = measured_before(output, facts)
    found: dict[str, Any] = {"date": time.strftime("%Y-%m-%d", time.gmtime()), **facts, "sharers": SHARERS}
    found |= {"memoryPercent": MEMORY_PERCENT, "sharings": []}

    def attempt(sharing: str, what: Callable[[Mapping[str, str]], dict[str, Any]]) -> dict[str, Any]:
        if time.monotonic() > deadline:
            return {"notMeasured": "no time was left"}
        try:
            with shared(sharing, facts["memoryMiB"]) as environment:
                return what(environment)
        except Unmeasurable as error:
            return {"notMeasured": str(error)}

    for sharing in SHARINGS:
        alone = attempt(sharing, lambda environment: measure_alone(programs, environment))
        entry: dict[str, Any] = {"name": sharing, "alone": alone, "cases": []}
        found["sharings"].append(entry)
        print(f"{sharing}, alone: {json.dumps(alone)}", flush=True)
        for way in WAYS:
            kept = before.get(sharing, {}).get(way.name)
            if way.name not in ways:
                entry["cases"] += [kept] if kept else []
                continue
            begin = time.monotonic()
            case = attempt(sharing, lambda environment, way=way: measure_beside(way, programs, environment))
            entry["cases"].append(kept if kept and "notMeasured" in case else {"way": way.name, **case})
            print(f"{sharing}, {way.name}, {time.monotonic() - begin:.1f} s: {json.dumps(case)}", flush=True)
            output.write_text(json.dumps(found, indent=1) + "\n")
    return time.monotonic() <= deadline


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="who_suffers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--programs", type=Path, required=True, help="the folder of card-test and misbehave")
    parser.add_argument("--output", type=Path, required=True, help="the JSON file to write")
    parser.add_argument(
        "--seconds", type=float, default=MOST_SECONDS, help="start no case after so many seconds"
    )
    parser.add_argument("--ways", nargs="+", choices=ALL_WAYS, default=ALL_WAYS, help="measure only these")
    arguments = parser.parse_args()
    try:
        done = measure_all(arguments.programs, arguments.output, arguments.seconds, arguments.ways)
        return 0 if done else 1
    except Unmeasurable as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
