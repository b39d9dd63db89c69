"""Progress messages on stderr; stdout is for results."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

HEARTBEAT_SECONDS = 30


class Progress:
    """Prints a line when a step begins, every half minute while it runs, and when it is done."""

    def __init__(self, stream: TextIO | None = None, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        self._stream = stream
        self._heartbeat_seconds = heartbeat_seconds

    def note(self, text: str) -> None:
        """Prints a line."""
        print(text, file=self._stream or sys.stderr, flush=True)

    @contextlib.contextmanager
    def step(self, what: str, usually: str = "") -> Iterator[None]:
        """Reports the work in its `with` block; `usually` is its duration on two cores ("4 min")."""
        expected = f"usually {usually}" if usually else ""
        self.note(f"{what} …" + (f" ({expected})" if expected else ""))
        began = time.monotonic()
        finished = threading.Event()

        def report() -> None:
            while not finished.wait(self._heartbeat_seconds):
                passed = duration(time.monotonic() - began)
                self.note(f"  still running after {passed}: {what}" + (f" ({expected})" if expected else ""))

        reporter = threading.Thread(target=report, daemon=True)
        reporter.start()
        try:
            yield
        except BaseException:
            finished.set()
            self.note(f"  stopped after {duration(time.monotonic() - began)}: {what}")
            raise
        finally:
            finished.set()
            reporter.join()
        self.note(f"  done in {duration(time.monotonic() - began)}: {what}")


def duration(seconds: float) -> str:
    """A number of seconds as text: "0.4 s", "38 s", "3 min 12 s"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def about(seconds: float) -> str:
    """A rounded number of seconds as text: "3 s", "20 s", "4 min"."""
    if seconds < 10:
        return f"{seconds:.0f} s"
    return f"{round(seconds / 60)} min" if seconds >= 58 else f"{round(seconds / 5) * 5} s"
