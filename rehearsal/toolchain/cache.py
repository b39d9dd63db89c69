"""The cache of built programs. Each entry is a folder, named by a hash of its sources.

An entry is complete or absent: it is built in a temporary folder and renamed, under a lock. So two runs never
build the same thing, and a killed build leaves no incomplete entry. A later run can rebuild everything: the
folder may be deleted whenever no machine is up (their root file system is in it). The time of an entry's
folder is that of its last use.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rehearsal.process import RehearsalError, run
from rehearsal.progress import Progress, about, duration

UNUSED_DAYS = 14
LOCK_SECONDS = 1800  # longer than the longest build
HASH_LENGTH = 12
# Without venv-HASH: .venv of any checkout may lead to one.
ENTRY = re.compile(rf"(?!venv-).+-[0-9a-f]{{{HASH_LENGTH}}}")


def folder() -> Path:
    """The folder of all entries."""
    return Path.home() / ".cache" / "k3s-gpu-sharing"


def place_of(name: str, key: str) -> Path:
    """The folder of entry `name` for `key`, which is there once it was built."""
    return folder() / f"{name}-{key}"


def digest(*parts: str | bytes) -> str:
    """A short hash of `parts`; ("a", "bc") and ("ab", "c") differ."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        sha.update(len(data).to_bytes(8, "big") + data)
    return sha.hexdigest()[:HASH_LENGTH]


def digest_of_files(root: Path) -> str:
    """A short hash of names, contents and executable bits of all files below `root`, without hidden ones."""
    parts: list[str | bytes] = []
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            parts += [str(relative), "x" if path.stat().st_mode & 0o100 else "-", path.read_bytes()]
    return digest(*parts)


def entry(
    name: str, key: str, build: Callable[[Path], None], progress: Progress, what: str, seconds: float = 0
) -> Path:
    """The folder of entry `name` for `key`, a hash of all its sources. It is built if it is missing, which
    usually takes `seconds`.

    `build` fills an empty folder; when it raises, the folder is removed.
    """
    place = place_of(name, key)
    if place.is_dir():
        os.utime(place)
        return place
    folder().mkdir(parents=True, exist_ok=True)
    with lock(folder() / f"{name}.lock", progress, what):
        if place.is_dir():
            return place
        for left_over in folder().glob(f".{name}-*.partial"):  # of a killed build: we hold the lock
            remove_tree(left_over)
        partial = folder() / f".{place.name}.partial"
        partial.mkdir()
        try:
            with progress.step(what, about(seconds) if seconds else ""):
                build(partial)
            partial.rename(place)
        except BaseException:
            remove_tree(partial)
            raise
    return place


def remove_unused(days: float = UNUSED_DAYS) -> list[str]:
    """Removes the entries that no run has used for `days`. Returns their names.

    Only for times without machines: those that run see their entries, and do not use them again.
    """
    entries = [path for path in folder().glob("*-*") if ENTRY.fullmatch(path.name) and path.is_dir()]
    unused = [path for path in entries if time.time() - path.stat().st_mtime > days * 86400]
    for path in unused:
        partial = path.with_name(f".{path.name}.partial")
        with contextlib.suppress(FileNotFoundError):  # another run removes it
            path.rename(partial)
        remove_tree(partial)
    return [path.name for path in unused]


def remove_tree(path: Path) -> None:
    """Removes `path` recursively, but enters no file system that is still mounted there."""
    run(["rm", "-rf", "--one-file-system", "--", path], timeout=300)


@contextlib.contextmanager
def lock(path: Path, progress: Progress, what: str, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Holds the lock file `path` within the block. Raises RehearsalError when another run holds it too
    long.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        began = time.monotonic()
        noted = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = time.monotonic() - began
                if waited > seconds:
                    raise RehearsalError(
                        f"{what}: another run has held {path} for {duration(waited)}. "
                        f"List its process (fuser -v {path}), let it finish or end it, then try again"
                    ) from None
                if not noted:
                    progress.note(f"another run holds {path.name}; waiting for it: {what}")
                    noted = True
                time.sleep(0.2)
        yield
