"""The kubeconfig file of a person: found and locked as kubectl does it, and replaced in one step."""

import contextlib
import os
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from k3sgpu.settings.files.regular_file import read_text

LOCK_SECONDS = 10.0
"""The wait for the lock of another program; an edit takes milliseconds."""
LOCK_PAUSE_SECONDS = 0.05


class KubeconfigFileError(Exception):
    """The file could not be read or written; the text says why, and what to do."""


def kubeconfig_path(environment: Mapping[str, str], home: Path) -> Path:
    """Returns the first file that KUBECONFIG names, else ~/.kube/config."""
    named = [name for name in environment.get("KUBECONFIG", "").split(os.pathsep) if name]
    return Path(named[0]) if named else home / ".kube" / "config"


def edit_file(path: Path, change: Callable[[str], str]) -> bool:
    """Replaces the file's text with what `change` returns for it; returns whether they differ.

    A missing file counts as empty. The new file is readable only by its owner; a link stays a link.
    Raises KubeconfigFileError, and what `change` raises.
    """
    try:
        path = path.resolve()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _lock(path):
            old = read_text(path) if path.exists() else ""
            new = change(old)
            if new != old:
                _replace(path, new)
            elif path.exists():
                path.chmod(0o600)
            return new != old
    except UnicodeDecodeError:
        raise KubeconfigFileError(f"{path}: found bytes that are not text; expected a kubeconfig") from None
    except RuntimeError:  # Python before 3.13 for a link that leads to itself
        raise KubeconfigFileError(f"{path}: a symbolic link that leads to itself; remove it") from None
    except OSError as error:
        raise KubeconfigFileError(f"{path}: {error.strerror or error}") from None


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    lock = path.with_name(f"{path.name}.lock")
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL, 0o600))
            break
        except FileExistsError:
            if time.monotonic() > end:
                raise KubeconfigFileError(
                    f"{path}: another program is changing it (lock file {lock}).\n"
                    f"Try again; if no program is running, rm {shlex.quote(str(lock))}"
                ) from None
        time.sleep(LOCK_PAUSE_SECONDS)
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
        if path.exists():  # root may write another user's file, which stays theirs
            there = path.stat()
            os.chown(name, there.st_uid, there.st_gid)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise
