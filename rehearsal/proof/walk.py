"""Walks through steps in their order, and stops at the first that fails."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Outcome = Literal["passed", "failed", "not run"]
Context = TypeVar("Context")
See = Callable[[str], None]
"""Reports a fact that a step has seen."""
STEP_SECONDS = 120


@dataclass(frozen=True)
class Step(Generic[Context]):
    """One step of a walk."""

    name: str
    shows: str
    act: Callable[[Context, See], None]
    """Does the step, and reports what it sees by its second argument. Raises when that is not as expected."""
    needs_card: bool = False
    """Whether it shows nothing without a real card."""
    essential: bool = False
    """Whether nothing after it makes sense when it fails."""
    seconds: float = STEP_SECONDS
    """How long it may take."""


@dataclass(frozen=True)
class StepResult:
    """How a step ended."""

    name: str
    shows: str
    outcome: Outcome
    seconds: float
    seen: tuple[str, ...]
    """What it has seen; of a failed step the last one is the failure, of one that was not run the reason."""


class StepTimeout(Exception):
    """A step has used up its time."""


def walk(
    steps: Sequence[Step[Context]],
    context: Context,
    *,
    has_card: bool,
    keep_going: bool = False,
    interrupt: Callable[[], None] = lambda: None,
    record: Callable[[Sequence[StepResult]], None] = lambda results: None,
) -> list[StepResult]:
    """Does `steps` in their order; after one that fails, the others are not run. With `keep_going` only an
    essential one ends the walk.

    `interrupt` is called when a step has used up its time, and ends what the step waits for. `record` is
    called after each step with all results so far, so that a killed walk leaves them.
    """
    results: list[StepResult] = []
    failed = ""
    for step in steps:
        if failed:
            result = not_run(step, f"after {failed} failed")
        elif step.needs_card and not has_card:
            result = not_run(step, "needs a card")
        else:
            result = do(step, context, interrupt)
            if result.outcome == "failed" and (step.essential or not keep_going):
                failed = step.name
        results.append(result)
        record(results)
    return results


def not_run(step: Step[Context], reason: str) -> StepResult:
    """The result of a step that was left out."""
    return StepResult(step.name, step.shows, "not run", 0.0, (reason,))


def do(step: Step[Context], context: Context, interrupt: Callable[[], None]) -> StepResult:
    """Does one step. An exception is its failure, an interruption from outside is not."""
    seen: list[str] = []
    outcome: Outcome = "passed"
    began = time.monotonic()
    try:
        with time_limit(step.seconds, interrupt):
            step.act(context, seen.append)
    except Exception as error:
        outcome = "failed"
        seen.append(str(error) or type(error).__name__)
    return StepResult(step.name, step.shows, outcome, round(time.monotonic() - began, 1), tuple(seen))


@contextlib.contextmanager
def time_limit(seconds: float, interrupt: Callable[[], None]) -> Iterator[None]:
    """Calls `interrupt` and raises StepTimeout in the block when it takes longer. Works in the main thread
    only.
    """

    def expired(number: int, frame: object) -> None:
        interrupt()
        raise StepTimeout(f"was not done after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
