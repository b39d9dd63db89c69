"""What the rehearsal tells the person who waits for it: on stderr, so that stdout stays for results."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

HEARTBEAT_SECONDS = 30


class Progress:
    """Writes one line when a step begins, one every half minute while it runs, and one when it is done."""

    def __init__(self, stream: TextIO | None = None, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        self._stream = stream
        self._heartbeat_seconds = heartbeat_seconds

    def note(self, text: str) -> None:
        """Says one thing."""
        print(text, file=self._stream or sys.stderr, flush=True)

    @contextlib.contextmanager
    def step(self, what: str, usually: str = "") -> Iterator[None]:
        """Frames the work in its `with` block; `usually` is how long that takes on two cores ("4 min")."""
        expected = f"usually {usually}" if usually else ""
        self.note(f"{what} …" + (f" ({expected})" if expected else ""))
        began = time.monotonic()
        finished = threading.Event()

        def keep_saying() -> None:
            while not finished.wait(self._heartbeat_seconds):
                passed = duration(time.monotonic() - began)
                self.note(f"  still at it after {passed}: {what}" + (f" ({expected})" if expected else ""))

        speaker = threading.Thread(target=keep_saying, daemon=True)
        speaker.start()
        try:
            yield
        except BaseException:
            finished.set()
            self.note(f"  stopped after {duration(time.monotonic() - began)}: {what}")
            raise
        finally:
            finished.set()
            speaker.join()
        self.note(f"  done in {duration(time.monotonic() - began)}: {what}")


def duration(seconds: float) -> str:
    """Seconds as a person writes them: "0.4 s", "38 s", "3 min 12 s"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
