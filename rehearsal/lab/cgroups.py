"""A control group for each machine: it shows whether the machine runs, and ends all of its processes at once.

systemd-nspawn, started outside a systemd unit, would leave all machines in the control group of its caller.
This works on computers with cgroup v2 only, and on computers that have it beside the version 1 hierarchies.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from rehearsal.process import RehearsalError

KILL_SECONDS = 15
SYSTEMD = "name=systemd"
# The controllers that a kubelet and runc need, in version 1 and in version 2.
CONTROLLERS = ("blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids")
CONTROLLERS_V2 = ("cpu", "cpuset", "memory", "pids")


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


def legacy_roots() -> dict[str, Path]:
    """Where version 1 hierarchies are mounted: by controller, and systemd's own by "name=systemd"."""
    found = {}
    for _, place, kind, options in mounts():
        if kind == "cgroup":
            for word in options.split(","):
                if word in CONTROLLERS or word == SYSTEMD:
                    found[word] = Path(place)
    return found


def controller_version() -> int | None:
    """The version of this computer's control groups that has the controllers of kubelets: 2, 1 or None."""
    if set(CONTROLLERS_V2) <= set((unified_root() / "cgroup.controllers").read_text().split()):
        return 2
    return 1 if set(CONTROLLERS) <= set(legacy_roots()) else None


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
    """The folders that machine `name`'s control groups have or could have, cgroup v2 first."""
    return list(dict.fromkeys([unified_root() / name, *(root / name for root in legacy_roots().values())]))


def make(name: str, controllers: bool = False) -> list[Path]:
    """Creates the groups of machine `name`, cgroup v2 first, and enables the host's controllers in them.

    `controllers`: the machine gets groups of its own for each controller, as kubelets need them.
    """
    unified = unified_root() / name
    legacy = legacy_roots()
    wanted = [SYSTEMD, *(CONTROLLERS if controllers and controller_version() == 1 else ())]
    made = list(dict.fromkeys([unified, *(legacy[word] / name for word in wanted if word in legacy)]))
    for place in made:
        place.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):  # empty in a new group, which takes no process then
            if place != unified and (place / setting).exists():
                (place / setting).write_text((place.parent / setting).read_text())
    if not (unified / "cgroup.kill").exists():
        raise RehearsalError(
            "this computer's kernel: found no cgroup.kill in its control groups, expected Linux 5.14 or "
            "newer; without it a machine cannot be stopped reliably"
        )
    hand_down(unified, (unified / "cgroup.controllers").read_text().split())
    return made


def hand_down(group: Path, controllers: Iterable[str]) -> None:
    """Enables `controllers` in the groups below `group`, as far as the kernel allows it."""
    for controller in controllers:
        # The machine runs without a controller that cannot be enabled.
        with contextlib.suppress(OSError):
            (group / "cgroup.subtree_control").write_text(f"+{controller}")


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
    roots = {unified_root(), *legacy_roots().values()}
    return sorted({path.name for root in roots for path in root.iterdir() if path.name.startswith(prefix)})


def processes_in(name: str, group: str) -> list[int]:
    """The process ids directly in the group `group` below the one of machine `name`."""
    path = unified_root() / name / group / "cgroup.procs"
    return [int(pid) for pid in path.read_text().split()] if path.exists() else []


def terminate(pid: int) -> None:
    """Sends SIGTERM to process `pid`, if it still exists."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
