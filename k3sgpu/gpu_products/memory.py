"""The size of a card's memory, where the product's name has it."""

import re

_SIZE = re.compile(r"-([0-9]{1,4})GB?(?![^-])")
_GRACE_HOPPER = re.compile(r"(NVIDIA-)?GH200-(120|480)GB(?![^-])")
"""Products whose name has the memory of the Grace CPU: the card of an NVIDIA GH200 480GB has 96 GB (NVIDIA,
"Grace Hopper Superchip" data sheet)."""


def named_memory_gb(label: str) -> frozenset[int]:
    """The sizes of the card's memory in a product label, in GB: 40 for NVIDIA-A100-SXM4-40GB; often none."""
    return frozenset() if _GRACE_HOPPER.match(label) else frozenset(map(int, _SIZE.findall(label)))
