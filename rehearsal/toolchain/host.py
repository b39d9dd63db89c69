"""Checks that this computer can run machines; each refusal says what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from rehearsal.lab import cgroups
from rehearsal.process import RehearsalError

CAP_SYS_ADMIN = 1 << 21  # linux/capability.h


def check_root() -> None:
    """Raises RehearsalError unless this is Linux and the user is root outside of a container."""
    if not Path("/proc/self/uid_map").exists():
        raise RehearsalError("this computer: expected Linux; the rehearsal's machines need its namespaces")
    if os.geteuid() != 0:
        raise RehearsalError(
            f"this user: found uid {os.geteuid()}, expected root: machines need mounts, network namespaces "
            "and control groups; run it with sudo (`sudo make up`). `make test` and `make fit` need no root"
        )
    whole = Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]
    status_lines = Path("/proc/self/status").read_text().splitlines()
    effective = next(int(line.split()[1], 16) for line in status_lines if line.startswith("CapEff:"))
    if not whole or not effective & CAP_SYS_ADMIN:
        raise RehearsalError(
            "this user: found root of a container, expected root of the computer itself, because mounts and "
            "network namespaces are not for others; run it outside of the container, or on a virtual machine"
        )


def check_host() -> None:
    """Raises RehearsalError when this computer cannot run machines."""
    check_root()
    for command, package in (
        ("systemd-nspawn", "systemd-container"),
        ("ip", "iproute2"),
        ("ssh", "openssh-client"),
    ):
        if not shutil.which(command):
            raise RehearsalError(f"this computer: found no {command}, expected it; apt-get install {package}")
    if not has_overlay():
        raise RehearsalError(
            "this computer's kernel: found no overlay file system, expected it built in or as a module; "
            "try `modprobe overlay`, or a kernel of the distribution"
        )
    cgroups.unified_root()


def can_carry_kubelets() -> str | None:
    """None if machines of this computer can carry real kubelets, else the reason why not."""
    if cgroups.controller_version() is None:
        return (
            f"found neither a cgroup2 hierarchy with {', '.join(cgroups.CONTROLLERS_V2)} nor version 1 "
            f"hierarchies with {', '.join(cgroups.CONTROLLERS)}"
        )
    return None


def check_kubelets() -> None:
    """Raises RehearsalError when this computer's machines cannot carry real kubelets."""
    reason = can_carry_kubelets()
    if reason:
        raise RehearsalError(f"this computer: {reason}, expected one for real kubelets; use KUBELETS=kwok")


def has_overlay() -> bool:
    """Whether the kernel can mount overlays; loads the module if necessary."""
    filesystems = Path("/proc/filesystems")
    if "\toverlay\n" not in filesystems.read_text() and shutil.which("modprobe"):
        subprocess.run(["modprobe", "-q", "overlay"], timeout=20, check=False)
    return "\toverlay\n" in filesystems.read_text()
