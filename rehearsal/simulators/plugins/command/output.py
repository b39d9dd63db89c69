"""The output of a script: collected for outputs and error text, and logged line by line."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from rehearsal.simulators.plugins.server import Failure


@dataclass
class Output:
    """Both streams of one run.

    `show` gets each complete line of what `logging` names: stdout, stderr or stdoutAndStderr. Any other text
    means none, without a complaint, as in the official plugin.
    """

    logging: str
    show: Callable[[str], None]
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    both: bytearray = field(default_factory=bytearray)
    _pending: bytearray = field(default_factory=bytearray)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, stream: str, data: bytes) -> None:
        """Adds data of `stream`, which is "stdout" or "stderr"."""
        with self._lock:
            (self.stdout if stream == "stdout" else self.stderr).extend(data)
            self.both.extend(data)
            if self.logging in (stream, "stdoutAndStderr"):
                self._pending.extend(data)
                self._show_lines()

    def finish(self) -> None:
        """Logs the last line, which has no newline."""
        with self._lock:
            if self._pending:
                self._show_line(bytes(self._pending))
                self._pending.clear()

    def _show_lines(self) -> None:
        *lines, rest = self._pending.split(b"\n")
        for line in lines:
            self._show_line(bytes(line))
        self._pending[:] = rest

    def _show_line(self, line: bytes) -> None:
        self.show(line.removesuffix(b"\r").decode(errors="replace"))

    def properties(self) -> dict[str, str]:
        """The outputs `stdout` and `stderr`, without one trailing newline each."""
        return {
            "stdout": self.stdout.decode(errors="replace").removesuffix("\n"),
            "stderr": self.stderr.decode(errors="replace").removesuffix("\n"),
        }

    def failure(self, reason: str, script: str) -> Failure:
        """The official plugin's error: the reason, the script in Go's quotes, and all that it printed."""
        return Failure(f"{reason}: running {quote(script)}:\n{self.both.decode(errors='replace')}")


_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


def quote(text: str) -> str:
    """`text` as Go's %q writes it (strconv.Quote)."""
    return '"' + "".join(_quoted(character) for character in text) + '"'


def _quoted(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
