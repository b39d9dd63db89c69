"""Read files that users name: regular files only, and only as much as such a file can have."""

import errno
import os
import stat
from pathlib import Path

LARGEST = 1024 * 1024
"""Bytes. A stack file of 200 hosts has some 50 KiB, a kubeconfig or known_hosts file less."""


def read_bytes(path: Path, largest: int = LARGEST) -> bytes:
    """The contents of a file.

    Raises OSError, also for what is no regular file (a pipe or a device could block or never end) and for
    more than `largest` bytes. Its `strerror` is for the user.
    """
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except ValueError as error:  # a NUL in the name
        raise OSError(errno.EINVAL, f"not the name of a file ({error})") from None
    with os.fdopen(file, "rb") as opened:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        content = opened.read(largest + 1)
    if len(content) > largest:
        raise OSError(errno.EFBIG, f"larger than {largest // 1024} KiB", str(path))
    return content


def read_text(path: Path, largest: int = LARGEST) -> str:
    """The contents of a file in UTF-8. Raises OSError as `read_bytes` does, and UnicodeDecodeError."""
    return read_bytes(path, largest).decode("utf-8")
