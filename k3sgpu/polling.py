"""Polling: look at something again and again until it is done or a deadline has passed."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from k3sgpu import timeouts

T = TypeVar("T")


class NoAnswer(Exception):
    """A look that could not see anything just now; its text says why. `poll` looks again later."""


@dataclass(frozen=True)
class Look(Generic[T]):
    """What one look has seen."""

    value: T
    state: str = ""
    """The state in one line, for the user."""
    done: bool = False
    """Nothing is left to wait for."""


@dataclass(frozen=True)
class PollResult(Generic[T]):
    """How a poll ended."""

    last: Look[T] | None
    """The last look that saw something; None when none did."""
    trouble: str
    """Why the very last look saw nothing; empty when it saw something."""
    waited: float
    """Seconds from the start to the end of the last look."""

    @property
    def done(self) -> bool:
        """Whether the poll ended before its deadline."""
        return self.last is not None and self.last.done

    @property
    def state(self) -> str:
        """What was last seen, in one line."""
        return self.trouble or (self.last.state if self.last else "")


async def poll(
    look: Callable[[], Awaitable[Look[T]]],
    *,
    deadline: float,
    interval: float | Callable[[float], float],
    first_answer_deadline: float | None = None,
    progress: Callable[[float, str], None] = lambda waited, state: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> PollResult[T]:
    """Calls `look` until it is done or a deadline has passed, and at least once.

    `deadline`: seconds after which the poll ends with what was last seen.
    `interval`: seconds between two looks, or a function that returns them for the seconds waited so far.
    `first_answer_deadline`: the deadline as long as every look has raised NoAnswer; `deadline` by default.
    `progress`: called with the seconds waited and the state, whenever the state has changed, and after
    PROGRESS_SECONDS without a call.

    Exceptions of `look` other than NoAnswer end the poll.
    """
    start, last, reported, next_report = clock(), None, None, 0.0
    first_limit = deadline if first_answer_deadline is None else first_answer_deadline
    while True:
        try:
            last, trouble = await look(), ""
        except NoAnswer as error:
            trouble = str(error)
        result = PollResult(last, trouble, clock() - start)
        limit = deadline if last is not None else first_limit
        if result.done or result.waited >= limit:
            return result
        if result.state != reported or result.waited >= next_report:
            progress(result.waited, result.state)
            reported, next_report = result.state, result.waited + timeouts.PROGRESS_SECONDS
        await sleep(interval(result.waited) if callable(interval) else interval)


def progress_line(waited: float, deadline: float, state: str) -> str:
    """A line of progress: `  12 s of 300 s: gpu-1 is not Ready`."""
    return f"{waited:4.0f} s of {deadline:.0f} s: {state}"
