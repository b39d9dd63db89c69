"""What a driver brings into a machine with simulated cards: library, devices, programs.

The library is the stand-in for NVML. It has the machine's cards in its own file (simulators/nvml/facts.c), so
a container that gets the library, as NVIDIA's toolkit mounts it, sees them.
"""

from __future__ import annotations

import platform
import re
import shutil
from collections import Counter
from pathlib import Path

from k3sgpu.gpu_products import compute_capability
from k3sgpu.gpu_products.compute_capability import Capability
from rehearsal.lab.gpus import DEVICES, DRIVER, MACHINE_FILES, PCI, UNKNOWN, Gpus, cuda

LIBRARIES = Path("usr/lib") / f"{platform.machine()}-linux-gnu"  # Debian's folder for libraries
COMMANDS = Path("usr/bin")
MPS_CONTROL = "nvidia-cuda-mps-control"
CONTROL_DEVICES = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools")
MARKER = "\nnvml-stand-in-facts\n"
# NVML's numbers of the MIG profiles (NVML_GPU_INSTANCE_PROFILE_* in nvml.h), by slices, for each suffix.
PROFILES = {
    "": {1: 0, 2: 1, 3: 2, 4: 3, 7: 4},
    "+me": {1: 7, 2: 8},
    "+gfx": {1: 10, 2: 11, 4: 12},
    "-me": {1: 13, 2: 14},
    "+me.all": {1: 15, 2: 16},
}
DOUBLE_MEMORY = 9  # one compute slice with twice the memory (NVML_GPU_INSTANCE_PROFILE_1_SLICE_REV2)
USABLE = 0.95  # of a partition's nominal memory: 4864 MiB of 1g.5gb


def install(gpus: Gpus | None, machine: str, root: Path, sysfs: Path, standin: Path) -> None:
    """Installs what `gpus` need in the file system `root`, from the folder nvml of `standin`.

    It does nothing where there is no such folder: no program of NVIDIA runs on those machines.
    """
    remove(root, sysfs)
    library = standin / "nvml" / "libnvidia-ml.so.1"
    if not gpus or not library.exists():
        return
    if gpus.driver:
        write_library(library.read_bytes(), gpus, machine, root)
        shutil.copy(MACHINE_FILES / MPS_CONTROL, root / COMMANDS)
        (sysfs / DEVICES).mkdir()
        for device in (*(f"nvidia{index}" for index in range(gpus.count)), *CONTROL_DEVICES):
            (sysfs / DEVICES / device).touch()


def remove(root: Path, sysfs: Path) -> None:
    """Removes what `install` made."""
    for present in (root / LIBRARIES).glob("libnvidia-ml.so.*"):
        present.unlink()
    (root / COMMANDS / MPS_CONTROL).unlink(missing_ok=True)
    shutil.rmtree(sysfs / DEVICES, ignore_errors=True)


def write_library(library: bytes, gpus: Gpus, machine: str, root: Path) -> None:
    """Writes the library into the file system `root`, under the names that a driver's packages give it."""
    folder = root / LIBRARIES
    folder.mkdir(parents=True, exist_ok=True)
    versioned = folder / f"libnvidia-ml.so.{gpus.driver}"
    versioned.write_bytes(library + facts(gpus, machine).encode())
    versioned.chmod(0o755)
    (folder / "libnvidia-ml.so.1").symlink_to(versioned.name)


def facts(gpus: Gpus, machine: str) -> str:
    """What is appended to the library: a marker, and lines of KEY=VALUE."""
    capability = compute_capability(gpus.product) or (0, 0)
    device, _ = PCI.get(gpus.product, UNKNOWN)
    lines = {
        "driver": gpus.driver or DRIVER,
        "cuda": cuda(gpus.driver),
        "name": gpus.shown_name,
        "memoryMiB": str(gpus.memory_mib),
        "compute": "{}.{}".format(*capability),
        "pciDevice": device,
        "migCapable": "true" if gpus.mig_capable else "false",
    }
    partitions = [partition(name, gpus.memory_mib, capability) for name in Counter(gpus.mig).elements()]
    text = [f"{key}={value}" for key, value in lines.items()]
    text += [f"partition={' '.join(map(str, numbers))}" for numbers in partitions]
    for index, (address, card) in enumerate(gpus.cards(machine)):
        text.append(f"card={' '.join([address, card, *gpus.partition_uuids(machine, index)])}")
    return MARKER + "\n".join(text) + "\n"


def partition(profile: str, card_mib: int, capability: Capability) -> tuple[int, ...]:
    """The numbers of a MIG profile: NVML's number of it, slices, memory in MiB, processors and engines
    (copy, decoder, encoder, JPEG, OFA).
    """
    match = re.fullmatch(r"(\d)g\.(\d+)gb(.*)", profile)
    assert match, profile  # the stack file's grammar
    slices, gigabytes, suffix = int(match[1]), int(match[2]), match[3]
    number = PROFILES[suffix][slices]
    if slices == 1 and not suffix and gigabytes * 1024 * 8 > 1.5 * card_mib:
        number = DOUBLE_MEMORY
    memory = int(gigabytes * 1024 * USABLE)
    return (number, slices, memory, *engines(slices, suffix == "+me", capability[0]))


def engines(slices: int, media: bool, major: int) -> tuple[int, ...]:
    """Processors and engines of a partition (NVIDIA's MIG User Guide for A100 and H100; an H200 is divided
    like an H100). Zeros for other architectures, of which nothing is known.
    """
    whole = int(slices == 7)
    if major == 8:
        decoders = 1 if media else {2: 1, 3: 2, 4: 2, 7: 5}.get(slices, 0)
        return (14 * slices, slices, decoders, 0, int(media or whole), int(media or whole))
    if major == 9:
        processors = {1: 16, 2: 32, 3: 60, 4: 64, 7: 132}[slices]
        return (processors, slices + whole, slices, 0, slices, int(media or whole))
    return (0, 0, 0, 0, 0, 0)
