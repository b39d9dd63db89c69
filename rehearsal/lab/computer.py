"""What machines need of this computer: inotify instances, and for real kubelets controllers of groups.

Both are settings of the whole computer. What is changed is recorded, and undone after the last machine.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from rehearsal.lab import cgroups
from rehearsal.lab.machine_records import RECORDS

RECORD = RECORDS / "computer-settings"
# The kernel's default is 128 for all of root's processes, which a dozen machines use up: systemd, journald,
# logind, D-Bus and a login have 10 to 12 in each. A real node has some 30.
INOTIFY_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
INSTANCES_OF_A_MACHINE = 12
INSTANCES_OF_OTHERS = 64
ENOUGH_INSTANCES = 8192


def prepare(machines: int, kubelets: bool) -> None:
    """Raises this computer's limits, where they are too low for so many machines.

    `kubelets`: some of the machines have real kubelets.
    """
    before = recorded()
    instances = int(INOTIFY_INSTANCES.read_text())
    needed = machines * INSTANCES_OF_A_MACHINE + INSTANCES_OF_OTHERS
    too_few = instances < (ENOUGH_INSTANCES if kubelets else needed)
    missing = missing_controllers() if kubelets else set()
    if not too_few and not missing:
        return
    before["controllers"] = sorted({*before.get("controllers", []), *missing})
    if too_few:
        before.setdefault("instances", instances)
    RECORD.write_text(json.dumps(before))
    cgroups.hand_down(cgroups.unified_root(), missing)
    if too_few:
        with contextlib.suppress(OSError):  # a few machines run without
            INOTIFY_INSTANCES.write_text(str(ENOUGH_INSTANCES))


def undo() -> None:
    """Sets back what `prepare` has changed, except for controllers that others use by now."""
    before = recorded()
    if not before:
        return
    for controller in before["controllers"]:
        with contextlib.suppress(OSError):
            (cgroups.unified_root() / "cgroup.subtree_control").write_text(f"-{controller}")
    if "instances" in before and INOTIFY_INSTANCES.read_text().strip() == str(ENOUGH_INSTANCES):
        INOTIFY_INSTANCES.write_text(str(before["instances"]))
    RECORD.unlink()


def recorded() -> dict:
    """The settings as they were before, of those that were changed."""
    return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def missing_controllers() -> set[str]:
    """The controllers of kubelets that the root of cgroup v2 has and does not hand down."""
    if cgroups.controller_version() != 2:
        return set()
    handed_down = (cgroups.unified_root() / "cgroup.subtree_control").read_text().split()
    return {name for name in cgroups.CONTROLLERS_V2 if name not in handed_down}
