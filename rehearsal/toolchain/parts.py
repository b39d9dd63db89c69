"""Makes the parts of the tool box side by side, and tells what is missing and how long it takes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearsal.progress import HEARTBEAT_SECONDS, Progress, about, duration
from rehearsal.toolchain import cache

# A build keeps two cores busy, but not while it downloads and links: a second one fills these gaps.
AT_ONCE = 2


@dataclass(frozen=True)
class Part:
    """A thing to build or fetch.

    `seconds` is what it takes on two quiet cores beside another part. `there` tells whether it needs no time
    now. `after` has the names of the parts that it needs.
    """

    name: str
    what: str
    seconds: float
    there: bool
    make: Callable[[Progress], Any]
    after: tuple[str, ...] = ()


def make_all(parts: Sequence[Part], progress: Progress, at_once: int = AT_ONCE) -> dict[str, Any]:
    """Makes `parts` in their order, as far as `after` allows. Returns what each `make` returned, by name.

    When a part fails, those that run come to their end, because what they make stays in the cache. Then its
    error is raised.
    """
    plan = Plan(parts, at_once, progress)
    plan.announce()
    with ThreadPoolExecutor(at_once) as pool:
        while plan.start(pool):
            done, _ = wait(plan.running, HEARTBEAT_SECONDS, FIRST_COMPLETED)
            for future in done:
                plan.end(future)
            if not done:
                plan.report()
    if plan.failure:
        raise plan.failure
    return plan.results


def ready(waiting: Sequence[Part], running: Iterable[str]) -> list[Part]:
    """Those of `waiting` that need nothing that waits or runs."""
    unfinished = {*running, *(part.name for part in waiting)}
    return [part for part in waiting if unfinished.isdisjoint(part.after)]


def seconds_left(
    waiting: Sequence[Part], ends: Mapping[str, float], at_once: int, lasts: Callable[[Part], float]
) -> float:
    """When the last of `waiting` ends, and of the running parts, which end in `ends` seconds by name."""
    rest, running, clock = list(waiting), dict(ends), 0.0
    while rest or running:
        for part in ready(rest, running)[: at_once - len(running)]:
            rest.remove(part)
            running[part.name] = clock + lasts(part)
        name = min(running, key=lambda name: running[name])
        clock = max(clock, running.pop(name))
    return clock


class Plan:
    """What waits, runs and is done, and how long the rest takes."""

    def __init__(self, parts: Sequence[Part], at_once: int, progress: Progress) -> None:
        self.running: dict[Future[Any], tuple[Part, float]] = {}  # with the time when it began
        self.results: dict[str, Any] = {}
        self.failure: BaseException | None = None
        self._waiting = list(parts)
        self._left = [part for part in parts if not part.there]
        self._at_once = at_once
        self._durations = read_durations()
        self._taken = self._expected = 0.0  # seconds, for what was made: the pace of this computer
        # One part alone tells its progress itself.
        self._shown = Notes(progress) if len(self._left) > 1 else progress
        self._note = progress.note if len(self._left) > 1 else lambda _: None

    def announce(self) -> None:
        """Prints what is missing, with the time that each part takes, and all together."""
        lines = [f"  {about(self.lasts(part)):>6}  {part.what}" for part in self._left]
        head = (
            f"to be made, once: {len(lines)} parts, {self._at_once} at a time, in about {about(self.rest())}"
        )
        self._note("\n".join([head, *lines]))

    def start(self, pool: ThreadPoolExecutor) -> bool:
        """Starts what can start now; after a failure, nothing. Returns whether something runs."""
        names = [part.name for part, _ in self.running.values()]
        begun = [] if self.failure else ready(self._waiting, names)[: self._at_once - len(names)]
        for part in begun:
            self._waiting.remove(part)
            self.running[pool.submit(part.make, self._shown)] = (part, time.monotonic())
        return bool(self.running)

    def end(self, future: Future[Any]) -> None:
        """Takes the result of a part that has ended, and prints how long it took and what is left."""
        part, began = self.running.pop(future)
        took = time.monotonic() - began
        if failure := future.exception():
            self.failure = self.failure or failure
            beside = "; what runs beside it is finished first" if self.running else ""
            self._note(f"  failed after {duration(took)}: {part.what}{beside}")
            return
        self.results[part.name] = future.result()
        if not part.there:
            self._expected += self.lasts(part)
            self._taken += took
            self._left.remove(part)
            record_duration(part.name, took)
            rest = (
                f"{len(self._left)} left, about {about(self.rest())}" if self._left else "that was the last"
            )
            self._note(f"  done in {duration(took)}: {part.what}; {rest}")

    def report(self) -> None:
        """Prints what runs, and for how long."""
        now = time.monotonic()
        running = ", ".join(f"{part.what} ({duration(now - began)})" for part, began in self.running.values())
        self._note(f"  still {running}; about {about(self.rest())} left")

    def lasts(self, part: Part) -> float:
        """How many seconds `part` takes: as the last time, or as on the computer of the developers."""
        return 0 if part.there else self._durations.get(part.name, part.seconds)

    def rest(self) -> float:
        """The seconds until everything is made, at the pace that this computer has shown."""
        pace = self._taken / self._expected if self._expected else 1.0
        now = time.monotonic()
        ends = {
            part.name: max(0.0, pace * self.lasts(part) - (now - began))
            for part, began in self.running.values()
        }
        return seconds_left(self._waiting, ends, self._at_once, lambda part: pace * self.lasts(part))


class Notes(Progress):
    """Progress of a part that is made beside others: its notes are shown, and its steps are not."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def note(self, text: str) -> None:
        """Prints a line."""
        self._progress.note(text)

    def step(self, what: str, usually: str = "") -> AbstractContextManager[None]:
        """Prints nothing: the plan tells when the part ends."""
        return nullcontext()


def durations_file() -> Path:
    """The file with the seconds that parts took on this computer, by name."""
    return cache.folder() / "durations.json"


def read_durations() -> dict[str, float]:
    """What parts took when they were made here before, in seconds by name."""
    try:
        return json.loads(durations_file().read_text())
    except (OSError, ValueError):
        return {}


def record_duration(name: str, seconds: float) -> None:
    """Records what a part took, for the next plan."""
    path = durations_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_suffix(".new")
    whole.write_text(json.dumps({**read_durations(), name: round(seconds, 1)}, indent=1, sort_keys=True))
    whole.rename(path)
