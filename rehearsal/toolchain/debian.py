"""Installs the Debian packages that a rehearsal needs and this computer lacks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from rehearsal.process import RehearsalError, run
from rehearsal.progress import Progress
from rehearsal.toolchain.rootfs import os_release

INSTALL_SECONDS = 900
WAIT_FOR_DPKG = "DPkg::Lock::Timeout=300"  # seconds: a new machine often runs its first upgrades


def command(name: str) -> Callable[[], bool]:
    """A test for a command on PATH."""
    return lambda: shutil.which(name) is not None


def file(path: str) -> Callable[[], bool]:
    """A test for a file."""
    return lambda: Path(path).exists()


# By package: a test for what it provides, which may come from elsewhere, as gcc often does.
PACKAGES: dict[str, Callable[[], bool]] = {
    "systemd-container": command("systemd-nspawn"),
    "mmdebstrap": command("mmdebstrap"),
    "iproute2": command("ip"),
    "openssh-client": command("ssh-keygen"),
    "ca-certificates": file("/etc/ssl/certs/ca-certificates.crt"),
    "gcc": command("gcc"),  # kine's SQLite is C
    "libc6-dev": file("/usr/include/stdlib.h"),
}
# What only real nodes need: the C library of runc's system-call filter, what finds it, and what reads
# the names of the libraries that a program in an image needs.
REAL_NODE_PACKAGES: dict[str, Callable[[], bool]] = {
    "libseccomp-dev": file("/usr/include/seccomp.h"),
    "pkg-config": command("pkg-config"),
    "binutils": command("readelf"),
}


def missing(real_nodes: bool) -> list[str]:
    """The packages whose content this computer lacks."""
    wanted = {**PACKAGES, **(REAL_NODE_PACKAGES if real_nodes else {})}
    return [package for package, present in wanted.items() if not present()]


def install_missing(progress: Progress, real_nodes: bool = False) -> None:
    """Installs missing packages with apt, as root. Otherwise raises RehearsalError with the packages."""
    packages = missing(real_nodes)
    if not packages:
        return
    by_hand = f"install the content of these Debian packages: {' '.join(packages)}"
    if not shutil.which("apt-get"):
        found = os_release().get("PRETTY_NAME", "a system without /etc/os-release")
        raise RehearsalError(
            f"this computer: found {found} without apt-get, expected Debian or Ubuntu; {by_hand}"
        )
    if os.geteuid() != 0:
        raise RehearsalError(
            f"this user: found uid {os.geteuid()}, expected root to install packages; or {by_hand}"
        )
    environment = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    with progress.step(f"installing Debian packages: {' '.join(packages)}", "20 s"):
        run(["apt-get", "update", "-q"], timeout=INSTALL_SECONDS, env=environment)
        run(
            ["apt-get", "install", "-q", "-y", "--no-install-recommends", "-o", WAIT_FOR_DPKG, *packages],
            timeout=INSTALL_SECONDS,
            env=environment,
        )
    still = missing(real_nodes)
    if still:
        raise RehearsalError(
            f"PATH: found {os.environ.get('PATH')}, where nothing of {' '.join(still)} is, although it was "
            "installed; expected /usr/sbin and /usr/bin on it"
        )
