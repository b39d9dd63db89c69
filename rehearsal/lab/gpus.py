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

from k3sgpu.gpu_products import mig_layouts

MACHINE_FILES = Path(__file__).parent / "machinefiles"
DRIVER_COMMANDS = ("nvidia-smi",)
VARIABLES_LINE = ". /etc/standin/gpus.env"  # of a stand-in command
TOOLKIT_COMMANDS = ("nvidia-container-runtime", "nvidia-ctk")
TOOLKIT_CONFIG = Path("etc/nvidia-container-runtime/config.toml")
# As doctor's check card-access asks for it.
TOOLKIT_CONFIG_TEXT = "accept-nvidia-visible-devices-envvar-when-unprivileged = false\n"
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
DEVICES = "dev"  # a folder with a file for each device that the machine has in /dev
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
ExecStart=sh -c 'for name in $$(ls {SYSFS_SOURCE}/{DEVICES} 2>/dev/null); do \
    : >/dev/$$name && mount --bind /dev/null /dev/$$name || exit; done'
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

    def partition_uuids(self, machine: str, card: int) -> list[str]:
        """The UUIDs of the partitions of a card, by its index; the same at each boot of `machine`."""
        return [
            f"MIG-{uuid.uuid5(uuid.NAMESPACE_DNS, f'{part}.{card}.{machine}')}"
            for part in range(sum(self.mig.values()))
        ]

    @property
    def shown_name(self) -> str:
        """The product's name that the driver reports."""
        return self.name or self.product.replace("-", " ")

    @property
    def mig_capable(self) -> bool:
        """Whether MIG could divide the cards."""
        return bool(mig_layouts(self.product, self.memory_mib))


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
    """The text of /etc/standin/gpus.json, and the same as variables of POSIX shells."""
    cards = gpus.cards(machine)
    document = {
        "product": gpus.product,
        "name": gpus.shown_name,
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
        "NAME": gpus.shown_name,
        "COUNT": gpus.count,
        "MEMORY_MIB": gpus.memory_mib,
        "DRIVER": gpus.driver or "",
        "CUDA": cuda(gpus.driver),
        "UUIDS": " ".join(document["uuids"]),
        "BUS_IDS": " ".join(document["busIds"]),
        "MIG": " ".join(Counter(gpus.mig).elements()),
        "MIG_UUIDS": " ".join(
            part for index in range(gpus.count) for part in gpus.partition_uuids(machine, index)
        ),
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
    (root / TOOLKIT_CONFIG).unlink(missing_ok=True)
    for name in SYSFS:  # the folders stay, because a running machine has them mounted
        for shown in (sysfs / name).iterdir():
            shutil.rmtree(shown)
    if gpus:
        folder.mkdir()
        for command in commands(gpus):
            write_command(root / "usr/bin" / command, shell)
        if gpus.toolkit:
            (root / TOOLKIT_CONFIG).parent.mkdir(exist_ok=True)
            (root / TOOLKIT_CONFIG).write_text(TOOLKIT_CONFIG_TEXT)
        for address, _ in gpus.cards(machine):
            write_device(sysfs / "pci" / address, gpus)
        if gpus.driver:
            write_module(sysfs / "module" / "nvidia", gpus.driver)
        (folder / "gpus.json").write_text(document)  # last: it marks the rest as complete
    return True


def write_command(path: Path, variables: str) -> None:
    """Writes the stand-in command of this name, with `variables` in place of the line for them."""
    text = (MACHINE_FILES / path.name).read_text()
    path.write_text(text.replace(f"{VARIABLES_LINE}\n", variables))
    path.chmod(0o755)


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
        ("subsystem_vendor", VENDOR),
        ("subsystem_device", device),
        ("revision", "0xa1"),
        ("numa_node", "-1"),
        ("resource", " ".join(["0x0000000000000000"] * 3)),
    ):
        (folder / name).write_text(value + "\n")
    (folder / "config").write_bytes(configuration_space(device, kind))
    if gpus.driver:
        (folder / "driver").symlink_to("../../../bus/pci/drivers/nvidia")


def configuration_space(device: str, kind: str) -> bytes:
    """The 256 bytes of a PCI device's configuration space: identity and class, no capabilities."""
    identity = int(VENDOR, 16).to_bytes(2, "little") + int(device, 16).to_bytes(2, "little")
    revision_and_class = b"\xa1" + int(kind, 16).to_bytes(3, "little")
    return (identity + bytes(4) + revision_and_class).ljust(256, b"\0")


def write_module(folder: Path, version: str) -> None:
    """Writes NVIDIA's loaded kernel module in the form of sysfs."""
    folder.mkdir()
    (folder / "version").write_text(version + "\n")
