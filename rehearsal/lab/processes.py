"""Processes of this computer: which one owns machines, and what a killed engine has left."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from rehearsal.process import RehearsalError

PROC = Path("/proc")
ENGINE = "pulumi"
TERM_SECONDS = 5
KILL_SECONDS = 10


def identify(pid: int) -> str | None:
    """A text that names a process for good: its id and when it started (proc(5)). None when it has ended."""
    try:
        after_name = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if after_name[0] == "Z" else f"{pid} {after_name[19]}"


def is_alive(identity: str) -> bool:
    """Whether the process with this identity still runs."""
    return identify(int(identity.split()[0])) == identity


def of_engine(folder: Path) -> dict[int, str]:
    """By process id: the names of the processes of the engine in `folder`, its plugins among them.

    They have the engine's PULUMI_HOME in their environment.
    """
    wanted = f"PULUMI_HOME={folder / 'home'}".encode()
    found = {}
    for entry in PROC.iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (entry / "comm").read_text().strip()
    return found


def end_leftovers(folder: Path) -> list[str]:
    """Ends what a killed engine in `folder` has left, and returns the names of these processes.

    A plugin goes on with what it does when its engine is killed. While the engine runs, nothing is ended.
    Raises RehearsalError when one does not end.
    """
    left = of_engine(folder)
    if ENGINE in left.values():
        return []
    identities = [identity for pid in left if (identity := identify(pid))]
    _end(identities, signal.SIGTERM, TERM_SECONDS)
    _end(identities, signal.SIGKILL, KILL_SECONDS)
    if alive := [identity.split()[0] for identity in identities if is_alive(identity)]:
        raise RehearsalError(f"found processes {', '.join(alive)} of a killed engine, which do not end")
    return sorted(set(left.values()))


def _end(identities: Iterable[str], how: signal.Signals, seconds: float) -> None:
    """Sends a signal to the processes that still run, and waits for their end."""
    for identity in filter(is_alive, identities):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(identity.split()[0]), how)
    deadline = time.monotonic() + seconds
    while any(map(is_alive, identities)) and time.monotonic() < deadline:
        time.sleep(0.05)
