"""The cache of what a rehearsal is made of: each entry a folder, named by a hash of what it was built from.

An entry is either whole or absent: it is built in a folder beside its place and renamed into it, under a
lock, so two runs never build the same thing twice and a killed build leaves nothing that a later run would
take for done. Nothing in here is needed by a later run that cannot build it again: the whole folder may be
deleted at any time when no machine is up (their root file system lies here).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rehearsal.process import RehearsalError, run
from rehearsal.progress import Progress, duration

LOCK_SECONDS = 1800  # longer than the longest build
HASH_LENGTH = 12


def folder() -> Path:
    """Where all entries lie."""
    return Path.home() / ".cache" / "k3s-gpu-sharing"


def digest(*parts: str | bytes) -> str:
    """A short hash of `parts`; ("a", "bc") and ("ab", "c") differ."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        sha.update(len(data).to_bytes(8, "big") + data)
    return sha.hexdigest()[:HASH_LENGTH]


def digest_of_files(root: Path) -> str:
    """A short hash of the names, contents and executable bits of all files below `root` but hidden ones."""
    parts: list[str | bytes] = []
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            parts += [str(relative), "x" if path.stat().st_mode & 0o100 else "-", path.read_bytes()]
    return digest(*parts)


def entry(
    name: str, key: str, build: Callable[[Path], None], progress: Progress, what: str, usually: str = ""
) -> Path:
    """The folder of entry `name` for `key` (a hash of all that it is built from); built first where it is
    missing.

    `build` gets an empty folder and fills it; when it raises, nothing is kept and the error goes on.
    """
    place = folder() / f"{name}-{key}"
    if place.is_dir():
        return place
    folder().mkdir(parents=True, exist_ok=True)
    with lock(folder() / f"{name}.lock", progress, what):
        if place.is_dir():
            return place
        for left_over in folder().glob(f".{name}-*.partial"):  # of a killed build: the lock is ours
            remove_tree(left_over)
        partial = folder() / f".{place.name}.partial"
        partial.mkdir()
        try:
            with progress.step(what, usually):
                build(partial)
            partial.rename(place)
        except BaseException:
            remove_tree(partial)
            raise
    return place


def remove_tree(path: Path) -> None:
    """Removes `path` with all below it, but never walks into a file system that is still mounted there."""
    run(["rm", "-rf", "--one-file-system", "--", path], timeout=300)


@contextlib.contextmanager
def lock(path: Path, progress: Progress, what: str, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Holds the lock file `path` for a `with` block. Raises RehearsalError when another run keeps it too
    long.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        began = time.monotonic()
        said = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = time.monotonic() - began
                if waited > seconds:
                    raise RehearsalError(
                        f"{what}: another run has held {path} for {duration(waited)}. "
                        f"See who (fuser -v {path}), let it finish or end it, then try again"
                    ) from None
                if not said:
                    progress.note(f"another run holds {path.name}; waiting for it: {what}")
                    said = True
                time.sleep(0.2)
        yield
