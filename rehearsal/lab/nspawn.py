"""One machine: its disk, its link, and the systemd-nspawn process that boots it."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from rehearsal.lab import cgroups, gpus, identity, network
from rehearsal.lab.machine_records import MachineParts, RunningMachine, record_path
from rehearsal.process import RehearsalError, run
from rehearsal.toolchain import cache

BOOT_SECONDS = 20  # to start the process; the boot itself is awaited over SSH
POWEROFF_SECONDS = 3
UNMOUNT_SECONDS = 10
STANDIN = "/opt/standin"
# Where systemd-nspawn keeps files of each machine; they remain when it is killed.
NSPAWN_RUNTIME = Path("/run/systemd/nspawn")


def prepare(machine: RunningMachine, parts: MachineParts) -> None:
    """Prepares everything that a boot of `machine` needs, whatever an earlier boot left."""
    free_resources(machine.name)
    for name in ("upper", "work", "root", *(f"sysfs/{shown}" for shown in gpus.SYSFS)):
        (machine.folder / name).mkdir(parents=True, exist_ok=True)
    replace_symlink(machine.folder / "standin", parts.standin.resolve())
    lower = machine.folder / "lower"
    if not lower.exists():  # a disk keeps the root file system that it was created on, while that exists
        replace_symlink(lower, parts.rootfs.resolve())
    mount_overlay(machine)
    public_key = identity.private_key(machine.state_dir).with_suffix(".pub").read_text()
    identity.install(machine.root, machine.host, public_key)
    gpus.install_unit(machine.root)
    if machine.kubelet == "real":
        (machine.folder / "rancher").mkdir(exist_ok=True)
        shorten_shutdown(machine.root)
    network.connect(machine.name, machine.address)


def replace_symlink(link: Path, target: Path) -> None:
    """Makes `link` a symbolic link to `target`, replacing another one."""
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def mount_overlay(machine: RunningMachine) -> None:
    """Mounts the disk of `machine` over the shared root file system."""
    # Relative paths, because a colon or a comma in an absolute one would be a separator.
    options = "lowerdir=lower,upperdir=upper,workdir=work"
    try:
        run(["mount", "-t", "overlay", machine.name, "-o", options, "root"], timeout=20, cwd=machine.folder)
    except RehearsalError as error:
        raise RehearsalError(
            f"{machine.folder}: found that no overlay can be mounted there, expected a local file system "
            "such as ext4, xfs or btrfs (not an overlay itself, as containers have, nor a network share); "
            f"move the project there ({error})"
        ) from error


def shorten_shutdown(root: Path) -> None:
    """Lets a machine end within seconds. Shims of containers ignore the signal to end, and systemd would wait
    for them as long as for a unit, which is 90 s.
    """
    identity.write(root / "etc/systemd/system.conf.d/shutdown.conf", "[Manager]\nDefaultTimeoutStopSec=5s\n")


def real_node_options(machine: RunningMachine) -> list[str]:
    """Options of systemd-nspawn for a machine with containers of its own: system calls of runc, and a file
    system for containerd that is no overlay.
    """
    return [
        "--system-call-filter=add_key keyctl bpf",
        f"--bind={bind_path(machine.folder / 'rancher')}:/var/lib/rancher",
    ]


def boot(machine: RunningMachine, parts: MachineParts, binds: Sequence[str] = ()) -> None:
    """Starts the keeper of `machine` in a session and control group of its own, so that it outlives the
    caller. `binds` are further options of systemd-nspawn.
    """
    real = machine.kubelet == "real"
    unified, *others = cgroups.make(machine.name, controllers=real)
    command = [
        "setsid",
        "--fork",
        str(gpus.MACHINE_FILES / "keeper.sh"),
        str(unified),
        " ".join(map(str, others)),
        # systemd-nspawn takes the controllers of process 1's group for all that there are: be process 1.
        "unshare --pid --fork --mount-proc" if real and cgroups.controller_version() == 2 else "",
        "systemd-nspawn",
        "--quiet",
        "--boot",
        "--register=no",
        "--keep-unit",
        f"--machine={machine.name}",
        f"--directory={machine.root}",
        f"--network-namespace-path={network.NAMESPACES / machine.name}",
        "--capability=CAP_NET_ADMIN",
        *(real_node_options(machine) if real else []),
        *binds,
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
        # The machine may configure its own network; everything else below /proc/sys and /sys is read-only.
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
    """Kills all processes of `machine` at once, like a power cut; `up` boots it again with its data."""
    cgroups.kill(machine.name)


def power_off(machines: Iterable[RunningMachine]) -> None:
    """Shuts `machines` down, and kills those that take longer than a few seconds."""
    machines = [machine for machine in machines if machine.running]
    for machine in machines:
        # systemd-nspawn shuts the machine down on SIGTERM. It alone is outside of the payload's group.
        for pid in cgroups.processes_in(machine.name, "machine/supervisor"):
            cgroups.terminate(pid)
    deadline = time.monotonic() + POWEROFF_SECONDS
    while any(machine.running for machine in machines) and time.monotonic() < deadline:
        time.sleep(0.05)
    for machine in machines:
        cgroups.kill(machine.name)


def free_resources(machine: str) -> None:
    """Kills the processes of the machine of that name, and removes its groups, mounts and link."""
    cgroups.kill(machine)
    cgroups.remove(machine)
    for name, place in mounts(machine):
        if name == machine:
            unmount(place)
    network.disconnect(machine)


def remove(machine: RunningMachine) -> None:
    """Removes `machine` with its disk."""
    free_resources(machine.name)
    cache.remove_tree(machine.folder)
    for place in NSPAWN_RUNTIME.glob(f"*/{machine.name}"):
        cache.remove_tree(place)
    record_path(machine).unlink(missing_ok=True)


def mounts(prefix: str) -> list[tuple[str, Path]]:
    """(machine, mount point) for all machines whose name begins with `prefix`, the latest mount first.

    The source of a disk's mount is the machine's name. Mounts by systemd-nspawn have it in their path.
    """
    found = []
    for source, place, _, _ in cgroups.mounts():
        path = Path(place)
        name = path.name if path.is_relative_to(NSPAWN_RUNTIME) else source
        if name.startswith(prefix):
            found.append((name, path))
    return found[::-1]


def unmount(place: Path) -> None:
    """Unmounts `place`, and waits a while for its last users. Raises RehearsalError when it stays in use."""
    deadline = time.monotonic() + UNMOUNT_SECONDS
    while True:
        try:
            run(["umount", place], timeout=20)
            return
        except RehearsalError as error:
            if time.monotonic() > deadline:
                raise RehearsalError(
                    f"{place}: found it in use {UNMOUNT_SECONDS} s after the machine ended, expected no "
                    f"users ({error}); list them with `fuser -vm {shlex.quote(str(place))}`, "
                    "end them and run make down again"
                ) from error
        time.sleep(0.1)
