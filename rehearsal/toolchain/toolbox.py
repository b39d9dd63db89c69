"""Everything that a rehearsal needs on a new Debian or Ubuntu computer with root, Python and package
registries.

The first time takes some ten minutes on two cores, mostly for Kubernetes and Pulumi's engine. What is built
is cached, so later it takes less than a second.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rehearsal.lab import machine_records
from rehearsal.progress import Progress
from rehearsal.toolchain import cache, debian, golang, host, images, nvml, releases, rootfs, vendor
from rehearsal.toolchain.golang import K3S_RELEASES, Go, Program
from rehearsal.toolchain.parts import Part, make_all

INSTALL_SCRIPT = golang.GO_FOLDER / "standin" / "install.sh"
PROGRAMS = (golang.KUBERNETES, golang.KINE, golang.ETCD, golang.KWOK, golang.K3S, golang.GPUSIM)
# What a node with a real kubelet needs besides, and what its images are made of.
NODE_PROGRAMS = (golang.CONTAINERS, golang.RUNC, golang.TOOLKIT)
IMAGE_PROGRAMS = (golang.NVIDIA, golang.NFD)
BUNDLED = "K3SGPU_TOOLS"
# How k3s's releases name the binary and the checksums for each processor.
RELEASE_FILES = {"x86_64": ("k3s", "sha256sum-amd64.txt"), "aarch64": ("k3s-arm64", "sha256sum-arm64.txt")}


@dataclass(frozen=True)
class Tools:
    """The paths of all tools. Machines see `standin`, with `bin` and `release`, at /opt/standin. Where it was
    prepared for real nodes, `cni`, `toolkit`, `images` and `nvml` are in it as well.
    """

    pulumi: Path
    pulumi_origin: str  # "found on PATH", "built from its published module"
    helm: Path
    rootfs: Path
    standin: Path

    @property
    def bin(self) -> Path:
        """Kubernetes' programs, kine, etcd, kwok and gpusim; for real nodes also containerd and runc."""
        return self.standin / "bin"

    @property
    def kubectl(self) -> Path:
        """Kubernetes' client, of the version of the API server."""
        return self.bin / "kubectl"

    @property
    def gpusim(self) -> Path:
        """The simulator of GPU Operator, device plugin and feature discovery."""
        return self.bin / "gpusim"

    @property
    def releases(self) -> Path:
        """The folder with the releases of the k3s stand-in, each with k3s, install.sh and checksums."""
        return self.standin / "release"


def prepare(progress: Progress | None = None, real_nodes: bool = False) -> Tools:
    """Builds or fetches what is missing, and returns the paths. Raises RehearsalError when that fails.

    With `real_nodes` the machines can run real kubelets; that takes about 10 minutes more the first time. A
    bundle has all tools, and names them in the file K3SGPU_TOOLS.
    """
    progress = progress or Progress()
    host.check_root()
    if bundled():
        return read(Path(os.environ[BUNDLED]))
    if not machine_records.recorded():
        cache.remove_unused()
    made = make_all(list_parts(real_nodes), progress)
    pulumi, origin = made[golang.ENGINE.module]
    programs = (*PROGRAMS, *NODE_PROGRAMS) if real_nodes else PROGRAMS
    built = [made[program.module] for program in programs]
    if real_nodes:
        go = made["go"]
        built += [*images.build(made["rootfs"], go, progress), nvml.build(go, progress)]
    return Tools(
        pulumi=pulumi,
        pulumi_origin=origin,
        helm=made["helm"],
        rootfs=made["rootfs"],
        standin=standin(built, progress),
    )


def list_parts(real_nodes: bool) -> list[Part]:
    """What a rehearsal is made of. The longest come first, so that the last end at about the same time."""
    go = golang.expected()
    packages = debian.missing(real_nodes)
    engine = golang.ENGINE
    first = [
        Part(
            "packages",
            f"installing Debian packages: {' '.join(packages)}",
            20,
            not packages,
            lambda progress: debian.install_missing(progress, real_nodes),
        ),
        Part("go", golang.FETCHING, golang.FETCH_SECONDS, go.command.exists(), golang.toolchain),
    ]
    programs = [program_part(program, go, real_nodes) for program in PROGRAMS]
    others = [
        Part(
            "engine",
            engine.what,
            engine.seconds,
            vendor.pulumi_is_there(go),
            vendor.pulumi,
            ("packages", "go"),
        ),
        Part("rootfs", rootfs.describe(), 60, rootfs.is_there(), rootfs.prepare, ("packages",)),
        Part("helm", vendor.FETCHING_HELM, 5, vendor.helm_is_there(), vendor.helm),
    ]
    more = [program_part(program, go, True) for program in (*NODE_PROGRAMS, *IMAGE_PROGRAMS) if real_nodes]
    return [*first, *sorted([*programs, *others, *more], key=lambda part: -part.seconds)]


def program_part(program: Program, go: Go, real_nodes: bool) -> Part:
    """The part of a Go program. Real nodes need ours, which has a kubelet and k3s's version."""
    needs = ("packages", "go", *([program.shares_with.module] if program.shares_with else []))
    if program.module in releases.RELEASES and not real_nodes:
        there = releases.is_there(program, go)
        return Part(
            program.module, program.what, program.seconds, there, partial(releases.prepare, program), needs
        )

    def build(progress: Progress) -> Path:
        return golang.build(program, golang.toolchain(progress), progress)

    return Part(program.module, program.what, program.seconds, golang.is_built(program, go), build, needs)


def bundled() -> bool:
    """Whether the tools are those of a bundle, on a computer that needs no network."""
    return BUNDLED in os.environ


def read(path: Path) -> Tools:
    """The tools that the file of a bundle names: the fields of Tools as a JSON object."""
    fields = json.loads(path.read_text())
    origin = fields.pop("pulumi_origin")
    return Tools(pulumi_origin=origin, **{name: Path(value) for name, value in fields.items()})


def standin(built: list[Path], progress: Progress) -> Path:
    """The folder that machines see at /opt/standin."""
    key = cache.digest(*(item.name for item in built), *K3S_RELEASES, INSTALL_SCRIPT.read_bytes())
    what = "collecting the programs that machines see at /opt/standin"
    return cache.entry("machine-tools", key, lambda place: assemble(place, built), progress, what, 1)


def assemble(place: Path, built: list[Path]) -> None:
    """Fills `place` with the folders of programs, and with release/VERSION/."""
    for program in (path for folder in built for path in sorted(folder.iterdir())):
        if program.name == "k3s":
            for version in K3S_RELEASES:
                make_release(place / "release" / version, version, program.read_bytes())
            continue
        names = golang.KUBERNETES_NAMES if program.name == "kubernetes" else (program.name,)
        folder = place / folder_of(program)
        folder.mkdir(exist_ok=True)
        for name in names:
            # A hard link: a symbolic link would lead nowhere in a machine, which sees this folder only.
            os.link(program, folder / name)


def folder_of(program: Path) -> str:
    """The folder of a built program or archive below /opt/standin."""
    if program.name in golang.CNI_PLUGINS:
        return "cni"
    if program.suffix == ".tar":
        return "images"
    if program.name == nvml.LIBRARY:
        return "nvml"
    return "toolkit" if program.name.startswith("nvidia-") else "bin"


def make_release(folder: Path, version: str, program: bytes) -> None:
    """Writes a release of the stand-in: the shared build, with a line at its end that names the release."""
    folder.mkdir(parents=True)
    binary, checksums = RELEASE_FILES[platform.machine()]
    content = program + f"\nk3s-stand-in-release={version}\n".encode()
    (folder / binary).write_bytes(content)
    shutil.copyfile(INSTALL_SCRIPT, folder / "install.sh")
    for command in (binary, "install.sh"):
        (folder / command).chmod(0o755)
    (folder / checksums).write_text(f"{hashlib.sha256(content).hexdigest()}  {binary}\n")


if __name__ == "__main__":
    # `make e2e` calls this before its workers, which print no progress.
    prepare(real_nodes=host.can_carry_kubelets() is None)
