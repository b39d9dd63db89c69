"""The file that kubectl reads and writes: found and locked as kubectl does it, never half written."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path


class FileRefused(Exception):
    """The file could not be read or written; the text says why, and what to do."""


def path_of(environment: Mapping[str, str], home: Path) -> Path:
    """The first file that KUBECONFIG names, else ~/.kube/config."""
    named = [name for name in environment.get("KUBECONFIG", "").split(os.pathsep) if name]
    return Path(named[0]) if named else home / ".kube" / "config"


def edit(path: Path, change: Callable[[str], str]) -> bool:
    """Writes what `change` makes of the text (empty where there is no file), and says whether it is another.

    The file is replaced in one step, readable by its owner alone; one that is a link stays one.
    Raises FileRefused, and what `change` raises.
    """
    path = path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _lock(path):
            old = path.read_text(encoding="utf-8") if path.exists() else ""
            new = change(old)
            if new != old:
                _replace(path, new)
            elif path.exists():
                path.chmod(0o600)
            return new != old
    except UnicodeDecodeError:
        raise FileRefused(f"{path}: found bytes that are no text; expected a kubeconfig") from None
    except OSError as error:
        raise FileRefused(f"{path}: {error.strerror or error}") from None


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    lock = path.with_name(f"{path.name}.lock")
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise FileRefused(
            f"{path}: another program is changing it just now (it holds {lock}).\n"
            f"Try again; if none is, rm {lock}"
        ) from None
    try:
        yield
    finally:
        lock.unlink()


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # of mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():  # root may write into the file of somebody else: it stays theirs
            there = path.stat()
            os.chown(name, there.st_uid, there.st_gid)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise
