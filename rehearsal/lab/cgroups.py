"""A control group for each machine: it shows whether the machine runs, and ends all of its processes at once.

systemd-nspawn, started outside a systemd unit, would leave all machines in the control group of its caller.
This works on computers with cgroup v2 only, and on computers that have it beside the version 1 hierarchies.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from rehearsal.process import RehearsalError

KILL_SECONDS = 15


def unified_root() -> Path:
    """Where the unified hierarchy (cgroup v2) is mounted. Raises RehearsalError where it is not."""
    for device, place, kind, _ in mounts():
        if kind == "cgroup2" and device:
            root = Path(place)
            break
    else:
        raise RehearsalError(
            "this computer: found no cgroup2 file system mounted, expected one at /sys/fs/cgroup or "
            "/sys/fs/cgroup/unified; mount one: mkdir -p /sys/fs/cgroup/unified && "
            "mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"
        )
    return root


def systemd_root() -> Path | None:
    """Where systemd's own version 1 hierarchy is mounted, on hosts that have it."""
    for _, place, kind, options in mounts():
        if kind == "cgroup" and "name=systemd" in options.split(","):
            return Path(place)
    return None


def mounts() -> list[tuple[str, str, str, str]]:
    """(source, place, type, options) of all mounts that this process sees."""
    rows = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        source, place, kind, options = (unescape(word) for word in line.split(" ")[:4])
        rows.append((source, place, kind, options))
    return rows


def unescape(word: str) -> str:
    """Decodes a word of /proc/self/mounts, where blanks and some others are octal escapes."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        word = word.replace(code, character)
    return word


def group_folders(name: str) -> list[Path]:
    """The folders of machine `name`'s control groups, cgroup v2 first; they need not exist."""
    legacy = systemd_root()
    return [unified_root() / name] + ([legacy / name] if legacy else [])


def make(name: str) -> list[Path]:
    """Creates the groups of machine `name`, and enables the host's controllers in them."""
    made = group_folders(name)
    for place in made:
        place.mkdir(exist_ok=True)
    unified = made[0]
    if not (unified / "cgroup.kill").exists():
        raise RehearsalError(
            "this computer's kernel: found no cgroup.kill in its control groups, expected Linux 5.14 or "
            "newer; without it a machine cannot be stopped reliably"
        )
    for controller in (unified / "cgroup.controllers").read_text().split():
        # The machine runs without a controller that cannot be enabled.
        with contextlib.suppress(OSError):
            (unified / "cgroup.subtree_control").write_text(f"+{controller}")
    return made


def populated(name: str) -> bool:
    """Whether machine `name` has any process."""
    try:
        events = (unified_root() / name / "cgroup.events").read_text()
    except FileNotFoundError:
        return False
    return "populated 1" in events


def processes(name: str) -> list[int]:
    """The process ids in the groups of machine `name`."""
    found: set[int] = set()
    for place in group_folders(name):
        for path in place.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):  # the group was removed meanwhile
                found.update(int(pid) for pid in path.read_text().split())
    return sorted(found)


def kill(name: str) -> None:
    """Kills all processes of machine `name` at once, like a power cut, and waits until they have ended."""
    switch = unified_root() / name / "cgroup.kill"
    if not switch.exists():
        return
    switch.write_text("1")
    deadline = time.monotonic() + KILL_SECONDS
    while populated(name):
        if time.monotonic() > deadline:
            raise RehearsalError(
                f"machine {name}: found processes {processes(name)} {KILL_SECONDS} s after they were killed, "
                "expected none; see `ps -o pid,stat,wchan,args -p PID` for what they wait for"
            )
        time.sleep(0.02)


def remove(name: str) -> None:
    """Removes the groups of machine `name`, which must have no processes."""
    for place in group_folders(name):
        if place.is_dir():
            # Deepest first: a group with groups in it cannot be removed.
            for group in sorted((path for path in place.rglob("*") if path.is_dir()), reverse=True):
                group.rmdir()
            place.rmdir()


def names(prefix: str) -> list[str]:
    """The groups at the roots of the hierarchies whose names begin with `prefix`."""
    roots = [root for root in (unified_root(), systemd_root()) if root]
    return sorted({path.name for root in roots for path in root.iterdir() if path.name.startswith(prefix)})


def processes_in(name: str, group: str) -> list[int]:
    """The process ids directly in the group `group` below the one of machine `name`."""
    path = unified_root() / name / group / "cgroup.procs"
    return [int(pid) for pid in path.read_text().split()] if path.exists() else []


def terminate(pid: int) -> None:
    """Sends SIGTERM to process `pid`, if it still exists."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
