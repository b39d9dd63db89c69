"""The memory that stands in a product's name."""

import re

_SIZE = re.compile(r"-([0-9]{1,4})GB?(?![^-])")
_OF_THE_CPU = re.compile(r"(NVIDIA-)?GH200-(120|480)GB(?![^-])")
"""NVIDIA GH200 480GB: a card of 96 GB; the name has the memory of its Grace CPU (NVIDIA, "Grace Hopper
Superchip" data sheet)."""


def named_memory_gb(label: str) -> frozenset[int]:
    """The sizes of the card's memory in a product label, in GB: 40 for NVIDIA-A100-SXM4-40GB."""
    return frozenset() if _OF_THE_CPU.match(label) else frozenset(map(int, _SIZE.findall(label)))
