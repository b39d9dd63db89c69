"""The read-only root file system that all machines share, below the overlay of each.

It has what a plain server installation has: no Python and none of this project's tools, so a rehearsal shows
that hosts need neither. On Debian it is bookworm from the mirror that this computer uses; on Ubuntu it is the
computer's own release, whose signing keys are installed there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rehearsal.process import RehearsalError, run
from rehearsal.progress import Progress
from rehearsal.toolchain import cache

PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "openssh-server",
    "iproute2",
    "ca-certificates",
    "curl",
    "iptables",
    "kmod",
    "sudo",
    "procps",
)
# What a computer needs besides to run machines: a bundle brings it along (rehearsal/proof/bundle.py).
TOOL_BOX_PACKAGES = (*PACKAGES, "python3", "systemd-container", "openssh-client")
DEBIAN_RELEASE = "bookworm"
# Units that are useless in a machine without hardware, network configuration and updates.
MASKED_UNITS = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
    "systemd-networkd-wait-online.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "ssh.socket",
)
RECIPE = "1"  # raise it when build() changes what it makes
BUILD_SECONDS = 1200


def os_release(path: Path = Path("/etc/os-release")) -> dict[str, str]:
    """The fields of os-release(5): ID, VERSION_CODENAME and so on. Empty where there is no such file."""
    if not path.exists():
        return {}
    pairs = (line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
    return {name: value.strip('"') for name, value in pairs}


def release() -> str:
    """The code name of the release to build. Raises RehearsalError on other distributions."""
    fields = os_release()
    if fields.get("ID") == "debian":
        return DEBIAN_RELEASE
    if fields.get("ID") == "ubuntu" and fields.get("VERSION_CODENAME"):
        return fields["VERSION_CODENAME"]
    raise RehearsalError(
        f"this computer: found {fields.get('PRETTY_NAME') or 'no /etc/os-release'}, expected Debian or "
        "Ubuntu: the machines' root file system is built from this computer's own package mirror"
    )


def mirror() -> str:
    """The mirror from which apt on this computer takes the distribution's main packages."""
    found = listed_mirror()
    if not found:
        run(
            ["apt-get", "update", "-q"], timeout=BUILD_SECONDS
        )  # apt knows the origin of a source from its lists only
        found = listed_mirror()
    if not found:
        raise RehearsalError(
            "this computer's apt: found no source of the distribution's own release with component main, "
            "expected one in /etc/apt/sources.list or /etc/apt/sources.list.d; add it and run apt-get update"
        )
    return found


def listed_mirror() -> str | None:
    """The address of the distribution's own archive in apt's lists, without other vendors' archives."""
    wanted = [os_release().get("ID", ""), os_release().get("VERSION_CODENAME", "")]
    targets = "$(ORIGIN) $(CODENAME) $(REPO_URI)"
    for line in run(
        ["apt-get", "indextargets", "--format", targets, "Created-By: Packages", "Component: main"],
        timeout=60,
    ).splitlines():
        *archive, address = line.rsplit(" ", 2)
        if [word.lower() for word in archive] == wanted:
            return address
    return None


def prepare(progress: Progress, more: Sequence[str] = ()) -> Path:
    """The folder with the shared root file system, from the cache or built now. Needs root and mmdebstrap.

    `more` are further packages.
    """
    name, packages = release(), (*PACKAGES, *more)
    place = cache.entry(
        "rootfs", key(name, more), lambda place: build(name, packages, place), progress, describe(more), 60
    )
    return place / "root"


def is_there() -> bool:
    """Whether the shared root file system is in the cache."""
    return cache.place_of("rootfs", key(release())).is_dir()


def key(name: str, more: Sequence[str] = ()) -> str:
    """A hash of what is in the root file system of release `name`."""
    return cache.digest(RECIPE, name, *PACKAGES, *more, *MASKED_UNITS)


def describe(more: Sequence[str] = ()) -> str:
    """What is being built, for progress messages."""
    packages = len(PACKAGES) + len(more)
    return f"building the machines' root file system ({release()}, {packages} packages and what they need)"


def prepare_tool_box(progress: Progress) -> Path:
    """The folder with a root file system that has what runs machines, from the cache or built now."""
    name = release()
    key = cache.digest(RECIPE, name, *TOOL_BOX_PACKAGES, *MASKED_UNITS)
    what = f"building the root file system of a bundle ({name}, {len(TOOL_BOX_PACKAGES)} packages)"
    place = cache.entry(
        "tool-box", key, lambda place: build(name, TOOL_BOX_PACKAGES, place), progress, what, 60
    )
    return place / "root"


def build(name: str, packages: Sequence[str], place: Path) -> None:
    """Builds release `name` with `packages` into place/root."""
    root = place / "root"
    run(
        [
            "mmdebstrap",
            "--mode=root",
            "--variant=minbase",
            f"--include={','.join(packages)}",
            "--aptopt=Acquire::Languages none",
            # Documentation is half of the content, and nobody reads it here.
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            name,
            root,
            mirror(),
        ],
        timeout=BUILD_SECONDS,
        env={"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
    )
    make_impersonal(root)


def make_impersonal(root: Path) -> None:
    """Removes what each machine must have of its own, and masks useless units."""
    for host_key in (root / "etc/ssh").glob("ssh_host_*"):
        host_key.unlink()
    for name in ("etc/hostname", "etc/machine-id", "etc/resolv.conf", "var/lib/dbus/machine-id"):
        (root / name).unlink(missing_ok=True)
    units = root / "etc/systemd/system"
    for unit in MASKED_UNITS:
        link = units / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    # Ubuntu starts sshd by socket activation; here it runs from the start, as on Debian.
    wanted = units / "multi-user.target.wants/ssh.service"
    wanted.parent.mkdir(exist_ok=True)
    wanted.unlink(missing_ok=True)
    wanted.symlink_to("/lib/systemd/system/ssh.service")
