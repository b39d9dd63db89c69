"""A machine's NVIDIA cards as its facts show them, and whether NVIDIA's operator supports its GPUs."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from k3sgpu.gpu_products import product_label
from k3sgpu.hosts.facts import Facts

# One line of nvidia-smi --query-gpu=name,memory.total; memory is [N/A] where the card uses the system's.
_CARD = re.compile(r"(.+), (?:(\d+) MiB|\[.*\])")

_PARTITION = re.compile(r"([0-9]{1,3}) ([0-9]{1,2}g\.[0-9]{1,4}gb(?:[+-][a-z.]{1,20})?)")

DISPLAY_CARDS = ("DGX Display", "NVIDIA DGX Display")
"""Cards by name that the device plugin and feature discovery leave out: the default of `skippedDevices`
(go-nvlib, pkg/nvlib/device/api.go)."""
DISPLAY_BOARD = " 0x1fb0 0x10de 0x1485"
"""Their PCI device and board, for machines without a driver (NVIDIA/open-gpu-kernel-modules, README.md)."""

INTEGRATED = re.compile(r"\b(Orin|Thor|Tegra|Xavier)\b|\(nvgpu\)")
"""The names of the GPUs inside NVIDIA's Tegra chips."""


@dataclass(frozen=True)
class Card:
    """A card as nvidia-smi shows it."""

    index: int
    """Its number in nvidia-smi."""
    name: str
    memory_mib: int | None
    """None: it uses the system's memory and reports none of its own."""
    partitions: Counter[str]
    """How many MIG partitions it has, by profile; empty for a whole card."""
    mig_mode: bool
    """Whether MIG mode is on: such a card is of no use without partitions."""
    fabric: str
    """The state of its registration with NVLink's fabric, and its status: "Completed, Success". "" where the
    driver does not have this query."""

    @property
    def product(self) -> str:
        """The product as feature discovery writes it into the node label."""
        return product_label(self.name)


@dataclass(frozen=True)
class Cards:
    """The cards of a machine, without those that only drive a display."""

    shown: tuple[Card, ...] = ()
    """Those that nvidia-smi shows."""
    on_bus: int = 0
    """How many the PCI bus shows."""
    passed_through: int = 0
    """How many of those on the bus vfio-pci holds, for virtual machines."""

    @property
    def products(self) -> Counter[str]:
        """How many cards nvidia-smi shows of each product, the most frequent first."""
        return Counter(dict(Counter(card.product for card in self.shown).most_common()))


def read_cards(facts: Facts) -> Cards:
    """Reads the cards from a machine's facts. Where nvidia-smi failed, it shows none."""
    cards: list[Card] = []
    lines = facts.all("nvidia-smi") if facts.number("nvidia-smi-status") == 0 else ()
    for index, match in enumerate(match for line in lines if (match := _CARD.fullmatch(line))):
        cards.append(
            Card(
                index,
                match[1],
                int(match[2]) if match[2] else None,
                _partitions(facts, index),
                _at(facts.all("mig-mode"), index) == "Enabled",
                _at(facts.all("fabric"), index),
            )
        )
    shown = tuple(card for card in cards if card.name not in DISPLAY_CARDS)
    on_bus = facts.all("pci-gpu")
    displays = max(len(cards) - len(shown), sum(line.endswith(DISPLAY_BOARD) for line in on_bus))
    return Cards(shown, max(len(on_bus) - displays, 0), facts.all("pci-driver").count("vfio-pci"))


def _partitions(facts: Facts, index: int) -> Counter[str]:
    found = (_PARTITION.fullmatch(line) for line in facts.all("mig-partition"))
    return Counter(match[2] for match in found if match and match[1] == str(index))


def _at(values: Sequence[str], index: int) -> str:
    return values[index] if index < len(values) else ""


def partitions_mapping(counts: Counter[str]) -> str:
    """Partitions as the stack file has them: {1g.10gb: 7}."""
    return "{" + ", ".join(f"{profile}: {number}" for profile, number in sorted(counts.items())) + "}"


def indices(cards: Sequence[Card]) -> str:
    """Cards as nvidia-smi -i takes them: 0,2."""
    return ",".join(str(card.index) for card in cards)


def unsupported_platform(facts: Facts, cards: Cards) -> str:
    """Why NVIDIA's operator does not support the GPUs of this machine; "" where it may.

    WSL2: the guest has no NVIDIA kernel driver and no PCI device, only /dev/dxg, and node feature discovery
    finds a GPU by its PCI device. Tegra: "The GPU Operator only supports platforms using discrete GPUs";
    an IGX Orin is supported with its discrete one (docs.nvidia.com, GPU Operator, platform support).
    """
    kernel = facts.one("kernel-release").lower()
    if "microsoft" in kernel or "wsl2" in kernel:
        return f"WSL (kernel {facts.one('kernel-release')}): its GPU is Windows' own, behind /dev/dxg"
    discrete = any(not INTEGRATED.search(card.name) for card in cards.shown)
    if "tegra" in kernel and not discrete and (cards.shown or not facts.all("pci-gpu")):
        return (
            f"a Jetson or another Tegra (kernel {facts.one('kernel-release')}): its GPU is part of the chip"
        )
    return ""
