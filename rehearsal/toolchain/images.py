"""The images that pods of a rehearsal run on a real kubelet, under the references that their makers use.

They hold programs that the toolchain built, with the shell, the few commands and the C library that they need
from the machines' root file system. A node reads them from /opt/standin/images in place of a registry.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from rehearsal.process import RehearsalError, run
from rehearsal.progress import Progress
from rehearsal.toolchain import archives, c_programs, cache, golang
from rehearsal.toolchain.archives import Image

QUERY_SECONDS = 30
# k3s's own name for the image of a pod's sandbox, and containerd's.
PAUSE = ("docker.io/rancher/mirrored-pause:3.6", "registry.k8s.io/pause:3.10.2")
DEVICE_PLUGIN = ("nvcr.io/nvidia/k8s-device-plugin:v0.20.0",)
# DCGM and the MIG manager are no part of a rehearsal: in their pods the simulator waits for the end.
GPU_OPERATOR = (
    "nvcr.io/nvidia/gpu-operator:v26.7.0",
    "nvcr.io/nvidia/k8s/dcgm-exporter:4.6.0-4.8.3-distroless",
    "nvcr.io/nvidia/cloud-native/dcgm:4.6.0-1-ubuntu24.04",
    "nvcr.io/nvidia/cloud-native/k8s-mig-manager:v0.15.0",
)
NODE_FEATURE_DISCOVERY = ("registry.k8s.io/nfd/node-feature-discovery:v0.19.0",)
CARD_TEST = ("docker.io/k3s-gpu-sharing/card-test:1",)

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Where Debian and Ubuntu have the C library and its loader. Helm's package is for this processor only, too.
LIBRARIES = "/usr/lib/x86_64-linux-gnu"
LOADER = "ld-linux-x86-64.so.2"
# What NVIDIA's driver libraries need of an image: the toolkit mounts them into a container without these.
DRIVER_NEEDS = ("libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1")
NOBODY = "65534:65534"
# What scripts of the operands run, and what NVIDIA's MPS daemon starts: mount, umount and tail.
COMMANDS = ("dash", "cat", "grep", "ls", "mkdir", "mount", "rm", "sleep", "tail", "touch", "umount")
MERGED_USR = {"/bin": "usr/bin", "/sbin": "usr/sbin", "/lib": "usr/lib", "/lib64": "usr/lib64"}
FOLDERS = ("/dev", "/etc", "/proc", "/run", "/sys", "/tmp", "/usr/sbin", "/var")
# The other programs that the image of GPU Operator has; the simulator looks at the name it is called by.
OPERATOR_NAMES = ("gpu-operator", "nvidia-validator", "manage-crds", "cleanup-gpuclusters")
NVIDIA_SMI = """#!/bin/sh
# NVIDIA's MPS daemon asks for exclusive compute mode. A rehearsal leaves the settings of a card as they are,
# and MPS works in the default mode as well.
for word; do [ "$word" = -c ] && exit 0; done
exec /usr/bin/nvidia-smi "$@"
"""


def build(root: Path, go: golang.Go, progress: Progress) -> list[Path]:
    """The folders of all archives, from the cache or built now. `root` is the machines' root file system."""
    nvidia = golang.build(golang.NVIDIA, go, progress)
    discovery = golang.build(golang.NFD, go, progress)
    gpusim = golang.build(golang.GPUSIM, go, progress)
    pause = c_programs.build(c_programs.PAUSE, progress)
    computing = [c_programs.build(program, progress) for program in c_programs.card_programs()]
    return [
        archive("pause", pause_image(pause), [pause], progress),
        archive("device-plugin", device_plugin(nvidia, root), [nvidia, root], progress),
        archive("gpu-operator", gpu_operator(gpusim, root), [gpusim, root], progress),
        archive("node-feature-discovery", node_feature_discovery(discovery), [discovery], progress),
        archive("card-test", card_programs(computing, root), [*computing, root], progress),
    ]


def archive(name: str, image: Image, made_of: Sequence[Path], progress: Progress) -> Path:
    """The folder with NAME.tar. `made_of` are cache entries, or lie in them: their names tell the content."""
    recipe = (Path(__file__).read_bytes(), Path(archives.__file__).read_bytes())
    key = cache.digest(*recipe, *(str(path.relative_to(cache.folder())) for path in made_of))
    what = f"packing the image {image.references[0]}"
    return cache.entry(
        f"image-{name}",
        key,
        lambda place: archives.write(image, place / f"{name}.tar"),
        progress,
        what,
        1,
    )


def pause_image(program: Path) -> Image:
    """The image of a pod's sandbox."""
    return Image(PAUSE, {"/pause": program}, entry_point=("/pause",), user="65535:65535")


def device_plugin(programs: Path, root: Path) -> Image:
    """NVIDIA's device plugin, feature discovery, config manager and MPS control daemon."""
    return Image(
        DEVICE_PLUGIN,
        {**with_system(sorted(programs.iterdir()), root), "/usr/local/bin/nvidia-smi": NVIDIA_SMI},
        entry_point=("nvidia-device-plugin",),
        links=system_links(),
        folders=FOLDERS,
        environment={
            "PATH": SEARCH_PATH,
            "NVIDIA_DISABLE_REQUIRE": "true",
            "NVIDIA_VISIBLE_DEVICES": "all",
            "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        },
    )


def gpu_operator(programs: Path, root: Path) -> Image:
    """The simulator of GPU Operator, under all names that the operator's own image has."""
    return Image(
        GPU_OPERATOR,
        with_system([programs / "gpusim"], root),
        entry_point=("gpu-operator",),
        links={**system_links(), **{f"/usr/bin/{name}": "gpusim" for name in OPERATOR_NAMES}},
        folders=FOLDERS,
        # NVIDIA's runtime brings nothing into containers that check whether the driver is there.
        environment={"PATH": SEARCH_PATH, "NVIDIA_VISIBLE_DEVICES": "void"},
    )


def node_feature_discovery(programs: Path) -> Image:
    """NFD's master, worker and collector of garbage."""
    files = {f"/usr/bin/{program.name}": program for program in sorted(programs.iterdir())}
    environment = {"PATH": SEARCH_PATH}
    return Image(
        NODE_FEATURE_DISCOVERY, files, ("nfd-master",), folders=FOLDERS, environment=environment, user=NOBODY
    )


def card_programs(programs: list[Path], root: Path) -> Image:
    """The programs that compute on a card."""
    files = with_system(programs, root)
    environment = {"PATH": SEARCH_PATH}
    return Image(CARD_TEST, files, ("card-test",), system_links(), FOLDERS, environment)


def with_system(programs: Sequence[Path], root: Path) -> Mapping[str, Path | str]:
    """`programs` in /usr/bin, with shell, commands, and the C libraries that they and a driver need."""
    commands = [root / "usr/bin" / name for name in COMMANDS]
    files: dict[str, Path | str] = {f"/usr/bin/{path.name}": path for path in (*programs, *commands)}
    libraries = {
        name: path for path in (*programs, *commands) for name, path in libraries_of(path, root).items()
    }
    libraries |= {f"{LIBRARIES}/{name}": root / LIBRARIES.lstrip("/") / name for name in DRIVER_NEEDS}
    return {**files, **libraries, "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n"}


def system_links() -> dict[str, str]:
    """The links of a root file system whose programs are all below /usr."""
    return {**MERGED_USR, "/usr/bin/sh": "dash", f"/usr/lib64/{LOADER}": f"../..{LIBRARIES}/{LOADER}"}


def libraries_of(program: Path, root: Path) -> dict[str, Path]:
    """The shared libraries that `program` loads at its start, by their path in an image.

    A static program has none. Raises RehearsalError when `root` lacks one.
    """
    found: dict[str, Path] = {}
    waiting = [program]
    while waiting:
        output = run(["readelf", "--dynamic", waiting.pop()], timeout=QUERY_SECONDS, env={"LC_ALL": "C"})
        for name in re.findall(r"\(NEEDED\)\s+Shared library: \[(.+)\]", output):
            path = root / LIBRARIES.lstrip("/") / name
            if not path.exists():
                raise RehearsalError(
                    f"{program}: needs {name}, which is not in {path.parent}; expected a library of the "
                    "machines' root file system; link it statically or add its package to rootfs.py"
                )
            if f"{LIBRARIES}/{name}" not in found:
                found[f"{LIBRARIES}/{name}"] = path
                waiting.append(path)
    return found
