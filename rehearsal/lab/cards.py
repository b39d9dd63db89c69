"""The real NVIDIA cards of this computer, and how a machine gets them: device files, driver, PCI devices.

The driver's kernel module is the computer's. A machine has the driver's programs and libraries in the places
of the driver's Debian packages, and sees only the cards that it was given.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rehearsal.lab import driver_files, gpus, identity
from rehearsal.process import RehearsalError, run

# Where installers and distributions put the driver; the first is also where cloud machines mount it.
PROGRAM_FOLDERS = ("usr/local/nvidia/bin", "usr/bin")
LIBRARY_FOLDERS = ("usr/local/nvidia/lib64", "usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/lib")
PROGRAMS = ("nvidia-smi", "nvidia-cuda-mps-control", "nvidia-cuda-mps-server")
# What NVIDIA's container toolkit mounts for compute and utility; the rest of a driver draws or encodes.
LIBRARIES = (
    "libcuda",
    "libcudadebugger",
    "libnvidia-ml",
    "libnvidia-cfg",
    "libnvidia-gpucomp",
    "libnvidia-nvvm",
    "libnvidia-ptxjitcompiler",
    "libnvidia-sandboxutils",
)
SHARED_DEVICES = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-caps")
FIELDS = ("pci.bus_id", "name", "memory.total", "driver_version")
PCI_DEVICES = Path("/sys/bus/pci/devices")
PCI_FILES = ("vendor", "device", "class", "revision", "subsystem_vendor", "subsystem_device")
PCI_FILES += ("numa_node", "local_cpulist", "resource", "config")
PROC = Path("/proc/driver/nvidia")
# The driver's libraries make the missing device files of all cards, unless this says that they may not.
PARAMETERS = "params"
UNIT = f"etc/systemd/system/{gpus.SYSFS_UNIT}.d/parameters.conf"
UNIT_TEXT = f"""[Service]
ExecStart=mount -o bind,ro {gpus.SYSFS_SOURCE}/{PARAMETERS} {PROC / PARAMETERS}
"""
SECONDS = 30


@dataclass(frozen=True)
class RealCard:
    """A card of this computer, as nvidia-smi describes it. `memory_mib` is in MiB."""

    bus_id: str  # as below /sys: 0000:01:00.0
    name: str
    memory_mib: int
    driver: str
    minor: int

    @property
    def product(self) -> str:
        """The value of the node label nvidia.com/gpu.product without sharing."""
        return self.name.replace(" ", "-")


@dataclass(frozen=True)
class RealCards:
    """The real cards of one machine. `toolkit` False: the GPU Operator installs the container toolkit."""

    cards: tuple[RealCard, ...]
    toolkit: bool = True


def found() -> tuple[RealCard, ...]:
    """The cards of this computer; none without a driver. Raises RehearsalError when the driver fails."""
    if not shutil.which("nvidia-smi"):
        return ()
    options = [f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"]
    return tuple(parse(line) for line in run(["nvidia-smi", *options], timeout=SECONDS).splitlines())


def parse(line: str) -> RealCard:
    """The card of one line of nvidia-smi's answer to FIELDS. Raises RehearsalError for another answer."""
    words = [word.strip() for word in line.split(",")]
    if len(words) != len(FIELDS):
        raise RehearsalError(
            f"nvidia-smi: found {line!r}, expected {', '.join(FIELDS)}; try nvidia-smi by hand"
        )
    bus, name, memory, driver = words
    bus_id = bus.lower()[-len("0000:00:00.0") :]  # nvidia-smi writes eight digits for the domain
    return RealCard(bus_id, name, int(memory), driver, minor(bus_id))


def minor(bus_id: str) -> int:
    """The number in the card's device file. Raises RehearsalError when the driver does not have the card."""
    path = PROC / "gpus" / bus_id / "information"
    for line in path.read_text().splitlines() if path.exists() else ():
        if line.startswith("Device Minor:"):
            return int(line.partition(":")[2])
    raise RehearsalError(
        f"{path}: found no line 'Device Minor', expected it for a card that nvidia-smi lists"
    )


def binds(cards: Sequence[RealCard]) -> list[str]:
    """Options of systemd-nspawn for the device files of `cards`. Raises RehearsalError for missing ones."""
    own = [Path(f"/dev/nvidia{card.minor}") for card in cards]
    shared = [Path("/dev") / name for name in SHARED_DEVICES]
    needed = [*own, *shared[:2]] if cards else []
    if missing := [str(path) for path in needed if not path.exists()]:
        raise RehearsalError(
            f"this computer: found no {', '.join(missing)}, expected the device files of its NVIDIA cards; "
            "make them: nvidia-modprobe --unified-memory --create-nvidia-device-file=0"
        )
    return [f"--bind={path}" for path in [*own, *shared] if cards and path.exists()]


def install(cards: Sequence[RealCard], root: Path, sysfs: Path) -> None:
    """Writes the driver of `cards` into `root`, and their PCI devices into the folders that a machine sees
    below /sys.
    """
    if not install_driver(Path("/"), root):
        raise RehearsalError(
            f"this computer: found no libcuda.so.1 in {', '.join(LIBRARY_FOLDERS)}, expected NVIDIA's driver "
            "there, with its programs; install it first"
        )
    for card in cards:
        copy_device(PCI_DEVICES / card.bus_id, sysfs / "pci" / card.bus_id)
    for module in sysfs.glob("module/nvidia*"):
        shutil.rmtree(module)
    (sysfs / "module/nvidia").mkdir()
    (sysfs / "module/nvidia/version").write_text(f"{cards[0].driver}\n")
    parameters = (PROC / PARAMETERS).read_text().replace("ModifyDeviceFiles: 1", "ModifyDeviceFiles: 0")
    (sysfs / PARAMETERS).write_text(parameters)
    identity.write(root / UNIT, UNIT_TEXT)


def copy_device(device: Path, target: Path) -> None:
    """Copies what describes a PCI device in sysfs."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name in PCI_FILES:
        if (device / name).exists():
            (target / name).write_bytes((device / name).read_bytes())
    if (device / "driver").exists():
        (target / "driver").symlink_to(f"../../../bus/pci/drivers/{(device / 'driver').resolve().name}")


def install_driver(source: Path, root: Path) -> bool:
    """Copies the driver's programs and libraries below `source` to `root`, to the places that Debian has for
    them. Returns whether there is a driver.
    """
    libraries = first_folder(source, LIBRARY_FOLDERS, "libcuda.so.1")
    programs = first_folder(source, PROGRAM_FOLDERS, "nvidia-smi")
    if not libraries or not programs:
        return False
    for stem in LIBRARIES:
        for path in sorted(libraries.glob(f"{stem}*.so.*")):
            copy(path, root / driver_files.LIBRARIES / path.name)
    for name in PROGRAMS:
        if (programs / name).exists():
            copy(programs / name, root / "usr/bin" / name)
    run(["ldconfig", "-r", root], timeout=SECONDS)
    return True


def first_folder(source: Path, folders: Sequence[str], name: str) -> Path | None:
    """The first of `folders` below `source` that has the file `name`."""
    return next((source / folder for folder in folders if os.path.lexists(source / folder / name)), None)


def copy(path: Path, target: Path) -> None:
    """Copies a file of the driver, or a link to one beside it; one that is there already stays."""
    if path.is_symlink() and path.readlink().name == str(path.readlink()):
        target.unlink(missing_ok=True)
        target.symlink_to(path.readlink())
    elif not target.exists() or target.stat().st_size != path.stat().st_size:
        target.unlink(missing_ok=True)
        shutil.copy2(path, target)


if __name__ == "__main__":
    # A bundle calls this in its own root file system, for the driver of the computer around it.
    if not install_driver(Path(sys.argv[1]), Path("/")):
        print("found no NVIDIA driver on this computer", file=sys.stderr)
