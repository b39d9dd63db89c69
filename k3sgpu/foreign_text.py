"""Text that is not ours: what a machine, a cluster or somebody's file says."""

MAX_SHOWN = 300
"""Characters of a foreign text that a message shows."""


def escape(text: object, limit: int = MAX_SHOWN) -> str:
    """One printable line with the beginning of a foreign text.

    Control characters, newlines, invisible and bidirectional characters and lone surrogates become Python's
    escapes, so that the text can neither change a terminal nor begin a line of a CI log.
    """
    whole = str(text)
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in whole[:limit])
    return f"{shown}… ({len(whole)} characters)" if len(whole) > limit else shown
