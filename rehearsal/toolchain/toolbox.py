"""All that a rehearsal needs on a fresh Debian or Ubuntu computer with root, Python and package registries.

The first time takes some ten minutes, most of it building Kubernetes and Pulumi's engine; what is built is
cached (cache), so afterwards it takes well under a second.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from rehearsal.progress import Progress
from rehearsal.toolchain import cache, debian, golang, host, rootfs, vendor
from rehearsal.toolchain.golang import K3S_RELEASES

INSTALL_SCRIPT = golang.GO_FOLDER / "standin" / "install.sh"
PROGRAMS = (golang.CONTROL_PLANE, golang.KINE, golang.ETCD, golang.KWOK, golang.K3S, golang.GPUSIM)
# How k3s's releases name the binary and the checksums for each processor.
RELEASE_FILES = {"x86_64": ("k3s", "sha256sum-amd64.txt"), "aarch64": ("k3s-arm64", "sha256sum-arm64.txt")}


@dataclass(frozen=True)
class Tools:
    """Where everything is. `standin` is what machines see at /opt/standin: `bin` and `release` lie in it."""

    pulumi: Path
    pulumi_origin: str  # in words: "found on PATH", "built from its published module"
    helm: Path
    kubectl: Path
    rootfs: Path
    standin: Path

    @property
    def bin(self) -> Path:
        """kube-apiserver, kube-scheduler, kube-controller-manager, kine, etcd, kwok, kubectl and gpusim."""
        return self.standin / "bin"

    @property
    def gpusim(self) -> Path:
        """The simulator that plays GPU operator, device plugin and feature discovery."""
        return self.bin / "gpusim"

    @property
    def releases(self) -> Path:
        """A folder for each release of the k3s stand-in: k3s, install.sh and the checksums."""
        return self.standin / "release"


def prepare(progress: Progress | None = None) -> Tools:
    """Prepares what is missing and says where everything is; RehearsalError when something cannot be had."""
    progress = progress or Progress()
    host.check_root()
    debian.install_missing(progress)
    root = rootfs.prepare(progress)
    client = vendor.helm(progress)
    go = golang.toolchain(progress)
    pulumi, origin = vendor.pulumi(progress)
    built = [golang.build(program, go, progress) for program in PROGRAMS]
    return Tools(
        pulumi=pulumi,
        pulumi_origin=origin,
        helm=client / "helm",
        kubectl=client / "kubectl",
        rootfs=root,
        standin=standin(built, client / "kubectl", progress),
    )


def standin(built: list[Path], kubectl: Path, progress: Progress) -> Path:
    """The folder that machines see at /opt/standin, put together from what was built."""
    parts = [*(item.name for item in built), kubectl.parent.name, *K3S_RELEASES]
    key = cache.digest(*parts, INSTALL_SCRIPT.read_bytes())
    what = "putting together what machines get at /opt/standin"
    return cache.entry(
        "machine-tools", key, lambda place: assemble(place, built, kubectl), progress, what, "1 s"
    )


def assemble(place: Path, built: list[Path], kubectl: Path) -> None:
    """Fills `place` with bin/ and release/VERSION/."""
    (place / "bin").mkdir()
    for command in [kubectl, *(path for folder in built for path in sorted(folder.iterdir()))]:
        if command.name == "k3s":
            for version in K3S_RELEASES:
                make_release(place / "release" / version, version, command.read_bytes())
        else:
            # Linked, not copied: in a machine, where this folder is bound, a link would lead nowhere.
            os.link(command, place / "bin" / command.name)


def make_release(folder: Path, version: str, program: bytes) -> None:
    """One release of the stand-in: the build that all of them share, with a line at its end that says which
    one it is.
    """
    folder.mkdir(parents=True)
    binary, checksums = RELEASE_FILES[platform.machine()]
    content = program + f"\nk3s-stand-in-release={version}\n".encode()
    (folder / binary).write_bytes(content)
    shutil.copyfile(INSTALL_SCRIPT, folder / "install.sh")
    for command in (binary, "install.sh"):
        (folder / command).chmod(0o755)
    (folder / checksums).write_text(f"{hashlib.sha256(content).hexdigest()}  {binary}\n")


if __name__ == "__main__":
    # For those who prepare it themselves later, several at a time and with nobody to see the progress.
    prepare()
