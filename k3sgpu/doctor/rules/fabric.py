"""The rule about NVLink's fabric, which a machine with NVSwitches needs for every CUDA program."""

import re
from collections.abc import Iterator, Sequence

from k3sgpu.doctor.cards import Card
from k3sgpu.doctor.machine import Machine, Plan
from k3sgpu.problem import Problem

NVSWITCH_PRODUCTS = re.compile(
    r"NVIDIA (A100-SXM4|A800-SXM4|H100 .*HBM3|H800|H20(?!0)|H200|B200|B300)(?! (NVL|PCIe))|Tesla V100-SXM3"
)
"""The names of cards that NVSwitches connect where eight or more are in one machine (NVIDIA, "Fabric Manager
User Guide": HGX and DGX A100, H100, H200, B200 and B300, and DGX-2). The switches of B200 and B300 are no
PCI devices of NVIDIA."""
NVSWITCH_CARDS = 8


def fabric(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """NVLink's fabric is set up, where NVSwitches connect the cards: without it no CUDA program runs."""
    if not machine.gpu or plan.driver != "host":
        return
    shown = machine.cards.shown
    if unready := [card for card in shown if not _fabric_works(card.fabric)]:
        found = f"the fabric of card {unready[0].index} is: {unready[0].fabric}"
    elif machine.facts.one("fabric-manager") or any(card.fabric.startswith("Completed") for card in shown):
        return
    elif switches := len(machine.facts.all("nvswitch")):
        found = f"{switches} NVSwitches, and nvidia-fabricmanager does not run"
    elif not any(card.fabric for card in shown) and _nvswitch_system(shown):
        found = f"{len(shown)} × {shown[0].name}, and nvidia-fabricmanager does not run"
    else:
        return
    yield machine.problem(
        found,
        "the fabric manager, in the driver's version: without it every CUDA program fails (error 802)",
        _fabric_remedy(machine, shown),
    )


def _fabric_works(state: str) -> bool:
    """False while a card waits for the fabric, and where its registration failed.

    N/A: the card is part of no fabric, and CUDA needs none: also a single H200 in a virtual machine.
    """
    return state in ("", "Completed, Success") or state.startswith(("N/A", "["))


def _nvswitch_system(shown: Sequence[Card]) -> bool:
    return len([card for card in shown if NVSWITCH_PRODUCTS.match(card.name)]) >= NVSWITCH_CARDS


def _fabric_remedy(machine: Machine, shown: Sequence[Card]) -> str:
    if any(card.name.startswith("NVIDIA GB") for card in shown):
        return (
            "the fabric of an NVL system is managed on its switch trays: look at their NMX controller\n"
            f'{machine.ssh} "systemctl status nvidia-imex"'
        )
    if machine.facts.one("fabric-manager"):
        return f'{machine.ssh} "sudo journalctl -u nvidia-fabricmanager"   # B200, B300: nvlsm too'
    return f'{machine.ssh} "sudo systemctl enable --now nvidia-fabricmanager"   # install it first'
