"""What commands print. Nothing else in a command writes to stdout or stderr (ruff: T201).

All texts pass through `escape_lines`: they may quote a machine, a cluster or somebody's file.
"""

import json
import re
import sys
from typing import Any

from k3sgpu.foreign_text import escape_lines


def print_text(text: str, end: str = "\n") -> None:
    """Prints a result, of one line or several, on stdout without control characters."""
    print(escape_lines(text), end=end)


def print_json(value: Any, indent: int | None = 2) -> None:
    """Prints a result for programs on stdout as ASCII, without a text that Azure's CI obeys (##vso[)."""
    print(re.sub("#(?=#)", r"\\u0023", json.dumps(value, indent=indent)))


def print_progress(line: str) -> None:
    """Prints a line of progress, or several, on stderr at once, without control characters."""
    print(escape_lines(line), file=sys.stderr, flush=True)


def print_question(text: str) -> None:
    """Prints a question on stderr without a newline, so that the answer stands behind it."""
    print(escape_lines(text), end=" ", file=sys.stderr, flush=True)
