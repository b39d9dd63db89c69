"""The body of one machine: its disk, its link and the systemd-nspawn that boots it."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from rehearsal.lab import cgroups, gpus, identity, network
from rehearsal.lab.machine_records import MachineParts, RunningMachine, record_path
from rehearsal.process import RehearsalError, run
from rehearsal.toolchain import cache

BOOT_SECONDS = 20  # to start it; how long it takes is waited for over SSH
POWEROFF_SECONDS = 3
UNMOUNT_SECONDS = 10
STANDIN = "/opt/standin"
# What systemd-nspawn keeps of each machine on the host; it stays where nspawn was ended by force.
NSPAWN_RUNTIME = Path("/run/systemd/nspawn")


def prepare(machine: RunningMachine, parts: MachineParts) -> None:
    """Brings all that a boot of `machine` needs in place, whatever an earlier one left."""
    release(machine)
    for name in ("upper", "work", "root", *(f"sysfs/{shown}" for shown in gpus.SYSFS)):
        (machine.folder / name).mkdir(parents=True, exist_ok=True)
    point(machine.folder / "standin", parts.standin.resolve())
    lower = machine.folder / "lower"
    if not lower.exists():  # a disk stays with the root file system that it was begun on, while that is there
        point(lower, parts.rootfs.resolve())
    mount_overlay(machine)
    public_key = identity.private_key(machine.state_dir).with_suffix(".pub").read_text()
    identity.install(machine.root, machine.host, public_key)
    gpus.install_unit(machine.root)
    network.connect(machine.name, machine.address)


def point(link: Path, target: Path) -> None:
    """Makes `link` a symbolic link to `target`."""
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def mount_overlay(machine: RunningMachine) -> None:
    """Mounts the disk of `machine` over the shared root file system."""
    # Relative paths, because a colon or a comma in an absolute one would be taken for a separator.
    options = "lowerdir=lower,upperdir=upper,workdir=work"
    try:
        run(["mount", "-t", "overlay", machine.name, "-o", options, "root"], timeout=20, cwd=machine.folder)
    except RehearsalError as error:
        raise RehearsalError(
            f"{machine.folder}: found that no overlay can be mounted there, expected a local file system "
            "such as ext4, xfs or btrfs (not an overlay itself, as containers have, nor a network share); "
            f"move the project there ({error})"
        ) from error


def boot(machine: RunningMachine, parts: MachineParts) -> None:
    """Starts the keeper of `machine`, in a session and a control group of its own: it outlives who called."""
    groups = cgroups.make(machine.name)
    command = [
        "setsid",
        "--fork",
        str(gpus.MACHINE_FILES / "keeper.sh"),
        str(groups[0]),
        str(groups[1]) if len(groups) > 1 else "",
        "systemd-nspawn",
        "--quiet",
        "--boot",
        "--register=no",
        "--keep-unit",
        f"--machine={machine.name}",
        f"--directory={machine.root}",
        f"--network-namespace-path={network.NAMESPACES / machine.name}",
        "--capability=CAP_NET_ADMIN",
        f"--bind-ro={bind_path(parts.standin.resolve())}:{STANDIN}",
        f"--bind-ro={bind_path(machine.folder / 'sysfs')}:{gpus.SYSFS_SOURCE}",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--console=pipe",
    ]
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        # The machine may configure its own network; all else under /proc/sys and /sys is for reading only.
        "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
        "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
    }
    with (machine.folder / "console.log").open("wb") as log:
        subprocess.run(
            command,
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=BOOT_SECONDS,
            check=True,
        )


def bind_path(path: Path) -> str:
    """`path` as systemd-nspawn's --bind wants it."""
    return str(path).replace("\\", "\\\\").replace(":", "\\:")


def power_cut(machine: RunningMachine) -> None:
    """Ends all of `machine` at once, as if its plug were pulled; `up` boots it again with its data."""
    cgroups.kill(machine.name)


def power_off(machines: Iterable[RunningMachine]) -> None:
    """Shuts `machines` down, and cuts the power of those that take longer than a few seconds."""
    machines = [machine for machine in machines if machine.running]
    for machine in machines:
        # systemd-nspawn passes SIGTERM on as the order to shut down; it is the one process not in the
        # payload's group.
        for pid in cgroups.processes_in(machine.name, "machine/supervisor") or []:
            cgroups.terminate(pid)
    deadline = time.monotonic() + POWEROFF_SECONDS
    while any(machine.running for machine in machines) and time.monotonic() < deadline:
        time.sleep(0.05)
    for machine in machines:
        cgroups.kill(machine.name)


def release(machine: RunningMachine) -> None:
    """Frees all that `machine` holds on this computer but its disk; its processes are ended where any are
    left.
    """
    cgroups.kill(machine.name)
    cgroups.remove(machine.name)
    for name, place in mounts(machine.name):
        if name == machine.name:
            unmount(place)
    network.disconnect(machine.name)


def remove(machine: RunningMachine) -> None:
    """Removes `machine` with its disk."""
    release(machine)
    cache.remove_tree(machine.folder)
    for place in NSPAWN_RUNTIME.glob(f"*/{machine.name}"):
        cache.remove_tree(place)
    record_path(machine).unlink(missing_ok=True)


def mounts(prefix: str) -> list[tuple[str, Path]]:
    """(machine, place) of the mounts of all machines whose name begins with `prefix`, the latest first.

    A machine's disk has its name for a source, and what systemd-nspawn made for it has it in the path.
    """
    found = []
    for source, place, _, _ in cgroups.mounts():
        path = Path(place)
        name = path.name if path.is_relative_to(NSPAWN_RUNTIME) else source
        if name.startswith(prefix):
            found.append((name, path))
    return found[::-1]


def unmount(place: Path) -> None:
    """Unmounts `place`; its last users may take a moment to go. RehearsalError when they do not."""
    deadline = time.monotonic() + UNMOUNT_SECONDS
    while True:
        try:
            run(["umount", place], timeout=20)
            return
        except RehearsalError as error:
            if time.monotonic() > deadline:
                raise RehearsalError(
                    f"{place}: found it in use {UNMOUNT_SECONDS} s after the machine ended, expected nobody "
                    f"in it ({error}); see who with `fuser -vm {shlex.quote(str(place))}`, "
                    "end or leave that and run make down again"
                ) from error
        time.sleep(0.1)
