"""What machines with real kubelets need of this computer: controllers of groups, and inotify instances.

Both are settings of the whole computer. What is changed is recorded, and undone after the last machine.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from rehearsal.lab import cgroups
from rehearsal.lab.machine_records import RECORDS

RECORD = RECORDS / "computer-settings"
# A real node has some 30 inotify instances, and the kernel's default is 128 for all of root's processes.
INOTIFY_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH_INSTANCES = 8192


def prepare_for_kubelets() -> None:
    """Hands controllers down to the machines' groups and raises the inotify instances, if necessary."""
    before = recorded()
    instances = int(INOTIFY_INSTANCES.read_text())
    missing = missing_controllers()
    if instances >= ENOUGH_INSTANCES and not missing:
        return
    before["controllers"] = sorted({*before.get("controllers", []), *missing})
    if instances < ENOUGH_INSTANCES:
        before["instances"] = instances
    RECORD.write_text(json.dumps(before))
    cgroups.hand_down(cgroups.unified_root(), missing)
    if instances < ENOUGH_INSTANCES:
        with contextlib.suppress(OSError):  # a few nodes run without
            INOTIFY_INSTANCES.write_text(str(ENOUGH_INSTANCES))


def undo() -> None:
    """Sets back what prepare_for_kubelets has changed, except for controllers that others use by now."""
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
