"""Text that is not ours: what a machine, a cluster or somebody's file says."""

import re

MAX_SHOWN = 300
"""Characters of a foreign text that a message shows."""

# What CI systems obey in a log: GitHub at the beginning of a line (github.com/actions/runner,
# src/Runner.Common/ActionCommand.cs), its older form and Azure's ##vso[ anywhere.
_COMMAND = re.compile(r"^( *):(?=:[A-Za-z])|#(?=#(?:vso)?\[)", re.MULTILINE)


def escape(text: object, limit: int = MAX_SHOWN) -> str:
    """One printable line with the beginning of a foreign text.

    Control characters, newlines, invisible and bidirectional characters and lone surrogates become Python's
    escapes, so that the text can neither change a terminal nor give a command to a CI system.
    """
    whole = str(text)
    shown = _disarm("".join(map(_printable, whole[:limit])))
    return f"{shown}… ({len(whole)} characters)" if len(whole) > limit else shown


def escape_lines(text: str, limit: int | None = None) -> str:
    """As `escape`, with its newlines kept, and uncut without a `limit`: for a text of several lines."""
    shown = "".join(char if char == "\n" else _printable(char) for char in text[:limit])
    cut = limit is not None and len(text) > limit
    return _disarm(f"{shown}… ({len(text)} characters)" if cut else shown)


def _printable(char: str) -> str:
    return char if char.isprintable() else ascii(char)[1:-1]


def _disarm(text: str) -> str:
    return _COMMAND.sub(lambda found: f"{found[1] or ''}\\x{ord(found[0][-1]):02x}", text)
