"""Polling, on a clock that only moves when somebody sleeps or looks."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from k3sgpu.polling import Look, NoAnswer, PollResult, poll, progress_line


class Clock:
    """Seconds that pass while a poll sleeps, and while it looks (`look_seconds` each)."""

    def __init__(self, look_seconds: float = 0) -> None:
        self.now, self.look_seconds, self.slept = 100.0, look_seconds, []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def looks(self, *answers: Any) -> Callable[[], Any]:
        """A look that gives these answers in turn, the last one for ever; an exception is raised."""
        left = list(answers)

        async def look() -> Look[Any]:
            self.now += self.look_seconds
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return look


def run(clock: Clock, look: Callable[[], Any], **options: Any) -> tuple[PollResult[Any], list[str]]:
    lines: list[str] = []
    given: dict[str, Any] = {"deadline": 10, "interval": 2, **options}

    def progress(waited: float, state: str) -> None:
        lines.append(f"{waited:.0f} {state}")

    result = asyncio.run(poll(look, progress=progress, clock=clock, sleep=clock.sleep, **given))
    return result, lines


WAITING, DONE = Look(1, "waiting"), Look(2, "finished", done=True)


def test_poll_returns_the_look_that_is_done():
    clock = Clock()
    result, lines = run(clock, clock.looks(WAITING, WAITING, DONE))
    assert (result.last, result.trouble, result.waited, result.done) == (DONE, "", 4, True)
    assert (lines, clock.slept) == (["0 waiting"], [2, 2])


def test_poll_that_is_done_at_once_does_not_sleep():
    clock = Clock()
    result, lines = run(clock, clock.looks(DONE))
    assert (result.waited, lines, clock.slept) == (0, [], [])


def test_deadline_ends_the_poll_with_what_was_last_seen():
    clock = Clock()
    result, _ = run(clock, clock.looks(WAITING), deadline=3)
    assert (result.last, result.state, result.waited, result.done) == (WAITING, "waiting", 4, False)


def test_deadline_of_zero_allows_one_look():
    clock = Clock()
    result, lines = run(clock, clock.looks(WAITING, DONE), deadline=0)
    assert (result.last, lines, clock.slept) == (WAITING, [], [])


def test_time_spent_looking_counts_against_the_deadline():
    clock = Clock(look_seconds=6)
    result, _ = run(clock, clock.looks(WAITING), deadline=10)
    assert (result.waited, clock.slept) == (14, [2])


def test_progress_is_reported_only_when_the_state_has_changed():
    clock = Clock()
    looks = clock.looks(WAITING, WAITING, Look(1, "nearly"), NoAnswer("down"), NoAnswer("down"), DONE)
    _, lines = run(clock, looks, deadline=60)
    assert lines == ["0 waiting", "4 nearly", "6 down"]


def test_looks_without_an_answer_have_a_deadline_of_their_own():
    clock = Clock()
    result, _ = run(clock, clock.looks(NoAnswer("down")), deadline=60, first_answer_deadline=4)
    assert (result.last, result.trouble, result.state, result.waited) == (None, "down", "down", 4)


def test_after_the_first_answer_the_whole_deadline_counts():
    clock = Clock()
    looks = clock.looks(WAITING, NoAnswer("down"))
    result, _ = run(clock, looks, deadline=20, first_answer_deadline=4)
    assert (result.last, result.trouble, result.waited) == (WAITING, "down", 20)


def test_interval_may_depend_on_the_time_waited():
    clock = Clock()
    run(clock, clock.looks(WAITING), interval=lambda waited: 1 if waited < 3 else 5)
    assert clock.slept == [1, 1, 1, 5, 5]


def test_other_exceptions_end_the_poll():
    clock = Clock()
    with pytest.raises(ValueError, match="broken"):
        run(clock, clock.looks(WAITING, ValueError("broken")))


def test_progress_line_names_waited_and_deadline():
    assert progress_line(7.4, 300, "gpu-1 is not Ready") == "   7 s of 300 s: gpu-1 is not Ready"
