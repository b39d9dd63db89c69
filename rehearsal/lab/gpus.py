"""The simulated GPUs of a machine: a file that describes them, the vendor's commands, and PCI devices."""

from __future__ import annotations

import json
import shlex
import shutil
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

MACHINE_FILES = Path(__file__).parent / "machinefiles"
DRIVER_COMMANDS = ("nvidia-smi",)
TOOLKIT_COMMANDS = ("nvidia-container-runtime", "nvidia-ctk")
DRIVER = "580.126.20"  # of hosts whose pool declares none
# The CUDA version that nvidia-smi prints, by the oldest driver branch (NVIDIA, "CUDA Toolkit Release Notes").
CUDA = {450: "11.0", 470: "11.4", 525: "12.0", 535: "12.2", 550: "12.4", 570: "12.8", 580: "13.0"}
VENDOR = "0x10de"  # NVIDIA, in the PCI ID database
VGA, COMPUTE = "0x030000", "0x030200"  # VGA compatible controller, 3D controller
# By product: PCI device id (pci.ids) and class. Other products are 3D controllers with an unknown id.
PCI = {
    "NVIDIA-GeForce-RTX-2080-Ti": ("0x1e07", VGA),
    "Tesla-T4": ("0x1eb8", COMPUTE),
    "NVIDIA-A100-SXM4-40GB": ("0x20b0", COMPUTE),
    "NVIDIA-A100-PCIE-40GB": ("0x20f1", COMPUTE),
    "NVIDIA-H100-80GB-HBM3": ("0x2330", COMPUTE),
    "NVIDIA-H100-PCIe": ("0x2331", COMPUTE),
    "NVIDIA-H200": ("0x2335", COMPUTE),
}
UNKNOWN = ("0xffff", COMPUTE)

# systemd-nspawn mounts parts of the computer's sysfs over everything that is bound below /sys. So the
# declared devices are bound elsewhere, and a unit of the machine mounts them in place early in its boot.
SYSFS_SOURCE = "/run/sysfs"
SYSFS = {"pci": "/sys/bus/pci/devices", "module": "/sys/module"}
SYSFS_UNIT = "declared-devices.service"
SYSFS_UNIT_TEXT = f"""[Unit]
Description=The PCI devices and modules of the kernel that this machine is declared to have
DefaultDependencies=no
Before=local-fs.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=mount -o remount,bind,rw /sys
ExecStart=mkdir -p {" ".join(SYSFS.values())}
ExecStart=mount -o remount,bind,ro /sys
""" + "".join(f"ExecStart=mount -o bind,ro {SYSFS_SOURCE}/{name} {where}\n" for name, where in SYSFS.items())


@dataclass(frozen=True)
class Gpus:
    """The simulated cards of one machine, all alike.

    `product` is the value of the node label nvidia.com/gpu.product without sharing
    ("NVIDIA-GeForce-RTX-2080-Ti"); `name` is what nvidia-smi prints, by default `product` with blanks for
    hyphens. `memory_mib` is the memory of one card, `mig` the number of its partitions by MIG profile.
    `driver` is a complete version. `driver` None and `toolkit` False: the GPU Operator installs them.
    """

    product: str
    count: int
    memory_mib: int
    driver: str | None = DRIVER
    toolkit: bool = True
    name: str | None = None
    mig: Mapping[str, int] = field(default_factory=dict)

    def cards(self, machine: str) -> list[tuple[str, str]]:
        """(PCI address, UUID) of each card; the same at each boot of `machine`."""
        return [
            (f"0000:{index + 1:02x}:00.0", f"GPU-{uuid.uuid5(uuid.NAMESPACE_DNS, f'{index}.{machine}')}")
            for index in range(self.count)
        ]


def complete_driver_version(declared: str | None) -> str:
    """A complete driver version for the declared one: complete, a branch alone, or None."""
    if not declared or f"{DRIVER}.".startswith(f"{declared}."):
        return DRIVER
    return declared if "." in declared else f"{declared}.0"


def cuda(driver: str | None) -> str:
    """The CUDA version that nvidia-smi prints for a driver; for None, of the driver that the operator
    installs.
    """
    branch = int((driver or DRIVER).partition(".")[0])
    return CUDA[max((known for known in CUDA if known <= branch), default=min(CUDA))]


def render_files(gpus: Gpus, machine: str) -> tuple[str, str]:
    """The texts of /etc/standin/gpus.json and of its twin for POSIX shells, gpus.env."""
    cards = gpus.cards(machine)
    name = gpus.name or gpus.product.replace("-", " ")
    document = {
        "product": gpus.product,
        "name": name,
        "count": gpus.count,
        "memoryMiB": gpus.memory_mib,
        "driver": gpus.driver,
        "toolkit": gpus.toolkit,
        "mig": dict(gpus.mig),
        "cuda": cuda(gpus.driver),
        "uuids": [card for _, card in cards],
        "busIds": [address for address, _ in cards],
    }
    variables = {
        "PRODUCT": gpus.product,
        "NAME": name,
        "COUNT": gpus.count,
        "MEMORY_MIB": gpus.memory_mib,
        "DRIVER": gpus.driver or "",
        "CUDA": cuda(gpus.driver),
        "UUIDS": " ".join(document["uuids"]),
        "BUS_IDS": " ".join(document["busIds"]),
        "MIG": " ".join(Counter(gpus.mig).elements()),
    }
    shell = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in variables.items())
    return json.dumps(document, indent=2) + "\n", shell


def install(gpus: Gpus | None, machine: str, root: Path, sysfs: Path) -> bool:
    """Writes what describes `gpus` into `root`, and into the folders of `sysfs`, which the machine sees below
    /sys.

    Returns whether anything changed. Works on a running machine as well.
    """
    folder = root / "etc/standin"
    document, shell = render_files(gpus, machine) if gpus else ("", "")
    present = (folder / "gpus.json").read_text() if (folder / "gpus.json").exists() else ""
    if present == document:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    for command in DRIVER_COMMANDS + TOOLKIT_COMMANDS:
        (root / "usr/bin" / command).unlink(missing_ok=True)
    for name in SYSFS:  # the folders stay, because a running machine has them mounted
        for shown in (sysfs / name).iterdir():
            shutil.rmtree(shown)
    if gpus:
        folder.mkdir()
        (folder / "gpus.env").write_text(shell)
        for command in commands(gpus):
            shutil.copy(MACHINE_FILES / command, root / "usr/bin" / command)
        for address, _ in gpus.cards(machine):
            write_device(sysfs / "pci" / address, gpus)
        if gpus.driver:
            write_module(sysfs / "module" / "nvidia", gpus.driver)
        (folder / "gpus.json").write_text(document)  # last: it marks the rest as complete
    return True


def commands(gpus: Gpus) -> tuple[str, ...]:
    """The stand-in commands that a host with `gpus` has installed."""
    return (DRIVER_COMMANDS if gpus.driver else ()) + (TOOLKIT_COMMANDS if gpus.toolkit else ())


def install_unit(root: Path) -> None:
    """Installs the unit that shows a machine its declared PCI devices and kernel modules, and no others."""
    units = root / "etc/systemd/system"
    wants = units / "local-fs.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (units / SYSFS_UNIT).write_text(SYSFS_UNIT_TEXT)
    link = wants / SYSFS_UNIT
    link.unlink(missing_ok=True)
    link.symlink_to(f"../{SYSFS_UNIT}")


def write_device(folder: Path, gpus: Gpus) -> None:
    """Writes a PCI device in the form of sysfs, bound to the nvidia driver if the machine has one."""
    folder.mkdir()
    device, kind = PCI.get(gpus.product, UNKNOWN)
    for name, value in (
        ("vendor", VENDOR),
        ("device", device),
        ("class", kind),
        ("revision", "0xa1"),
    ):
        (folder / name).write_text(value + "\n")
    if gpus.driver:
        (folder / "driver").symlink_to("../../../bus/pci/drivers/nvidia")


def write_module(folder: Path, version: str) -> None:
    """Writes NVIDIA's loaded kernel module in the form of sysfs."""
    folder.mkdir()
    (folder / "version").write_text(version + "\n")
