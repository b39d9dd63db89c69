"""How MIG divides NVIDIA's cards: by product the profiles, how many of each, and where their memory lies.

Sources: NVIDIA's MIG User Guide, "Supported GPUs" and "Supported MIG Profiles" (profiles, numbers of
instances, decoders) and "Getting Started with MIG" (nvidia-smi mig -lgipp: where instances start);
pkg/nvml/mock/gpus of NVIDIA/go-nvml (A30, A100); deployments/container/nvidia-mig-manager-example-hopper-
blackwell.yaml of NVIDIA/mig-parted v0.15.0 (GB200, B300, GB300).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from k3sgpu.gpu_products.compute_capability import compute_capability
from k3sgpu.gpu_products.memory import named_memory_gb


@dataclass(frozen=True)
class MigProfile:
    """A MIG profile of a product: how many instances a card has at most, and what one instance takes.

    An instance takes `size` memory slices, beginning at one of `starts`, and `decoders` video decoders. Only
    one instance of a card has the media `extensions`.
    """

    maximum: int
    starts: tuple[int, ...]
    size: int
    decoders: int = 0
    extensions: bool = False


@dataclass(frozen=True)
class MigLayout:
    """The MIG profiles of a card, by name. `memory_gb` is its nominal memory."""

    memory_gb: int
    decoders: int
    profiles: Mapping[str, MigProfile]


def _seven_slices(one: int, two: int, four: int, whole: int) -> MigLayout:
    """The layout of a card with seven compute and eight memory slices.

    The arguments are the GB of one, two, four and all memory slices.
    """
    return MigLayout(
        whole,
        0,
        {
            f"1g.{one}gb": MigProfile(7, (0, 1, 2, 3, 4, 5, 6), 1),
            f"1g.{one}gb+me": MigProfile(1, (0, 1, 2, 3, 4, 5, 6), 1, extensions=True),
            f"1g.{two}gb": MigProfile(4, (0, 2, 4, 6), 2),
            f"2g.{two}gb": MigProfile(3, (0, 2, 4), 2),
            f"3g.{four}gb": MigProfile(2, (0, 4), 4),
            f"4g.{four}gb": MigProfile(1, (0,), 4),
            f"7g.{whole}gb": MigProfile(1, (0,), 8),
        },
    )


_A30 = MigLayout(
    24,
    4,
    {
        "1g.6gb": MigProfile(4, (0, 1, 2, 3), 1),
        "1g.6gb+me": MigProfile(1, (0, 1, 2, 3), 1, 1, True),
        "2g.12gb": MigProfile(2, (0, 2), 2, 2),
        "2g.12gb+me": MigProfile(1, (0, 2), 2, 2, True),
        "4g.24gb": MigProfile(1, (0,), 4, 4, True),
    },
)
_RTX_PRO_6000 = MigLayout(
    96,
    4,
    {
        "1g.24gb": MigProfile(4, (0, 1, 2, 3), 1, 1),
        "1g.24gb+me": MigProfile(1, (0, 1, 2, 3), 1, 1, True),
        "1g.24gb+gfx": MigProfile(4, (0, 1, 2, 3), 1, 1),
        "1g.24gb+me.all": MigProfile(1, (0, 1, 2, 3), 1, 4, True),
        "1g.24gb-me": MigProfile(4, (0, 1, 2, 3), 1),
        "2g.48gb": MigProfile(2, (0, 2), 2, 2),
        "2g.48gb+gfx": MigProfile(2, (0, 2), 2, 2),
        "2g.48gb+me.all": MigProfile(1, (0, 2), 2, 4, True),
        "2g.48gb-me": MigProfile(2, (0, 2), 2),
        "4g.96gb": MigProfile(1, (0,), 4, 4, True),
        "4g.96gb+gfx": MigProfile(1, (0,), 4, 4, True),
    },
)
_RTX_PRO_5000 = MigLayout(
    48,
    3,
    {
        "1g.24gb": MigProfile(2, (0, 1), 1, 1),
        "1g.24gb+me": MigProfile(1, (0, 1), 1, 1, True),
        "1g.24gb+gfx": MigProfile(2, (0, 1), 1, 1),
        "1g.24gb+me.all": MigProfile(1, (0, 1), 1, 3, True),
        "1g.24gb-me": MigProfile(2, (0, 1), 1),
        "2g.48gb": MigProfile(1, (0,), 2, 3, True),
        "2g.48gb+gfx": MigProfile(1, (0,), 2, 3, True),
    },
)
_RTX_PRO_5000_DRIVER_580 = MigLayout(  # the guide's edition for driver 580
    48,
    3,
    {
        "1g.12gb": MigProfile(1, (0, 1, 2, 3), 1, 1),
        "1g.12gb+me": MigProfile(1, (0, 1, 2, 3), 1, 1, True),
        "1g.12gb+gfx": MigProfile(1, (0, 1, 2, 3), 1, 1),
        "1g.12gb-me": MigProfile(3, (0, 1, 2, 3), 1),
        "2g.24gb-me": MigProfile(1, (0, 2), 2),
        "4g.48gb": MigProfile(1, (0,), 4, 3, True),
        "4g.48gb+gfx": MigProfile(1, (0,), 4, 3, True),
    },
)
_RTX_PRO_4500 = MigLayout(
    32,
    3,
    {
        "1g.16gb": MigProfile(2, (0, 1), 1, 1),
        "1g.16gb+gfx": MigProfile(2, (0, 1), 1, 1),
        "1g.16gb+me.all": MigProfile(1, (0, 1), 1, 3, True),
        "1g.16gb-me": MigProfile(2, (0, 1), 1),
        "2g.32gb": MigProfile(1, (0,), 2, 3, True),
        "2g.32gb+gfx": MigProfile(1, (0,), 2, 3, True),
    },
)

_PRODUCTS: tuple[tuple[str, tuple[MigLayout, ...]], ...] = (
    (r"A100X?|A800", (_seven_slices(5, 10, 20, 40), _seven_slices(10, 20, 40, 80))),
    (r"A30X?", (_A30,)),
    (
        r"H100|H800",
        (_seven_slices(10, 20, 40, 80), _seven_slices(12, 24, 47, 94), _seven_slices(12, 24, 48, 96)),
    ),
    (r"GH200", (_seven_slices(12, 24, 48, 96), _seven_slices(18, 36, 72, 144))),
    (r"H20", (_seven_slices(12, 24, 48, 96), _seven_slices(18, 35, 71, 141))),
    (r"H200", (_seven_slices(18, 35, 71, 141),)),
    (r"B200", (_seven_slices(23, 45, 90, 180),)),
    (r"GB200", (_seven_slices(23, 47, 93, 186), _seven_slices(24, 47, 95, 189))),
    (r"B300", (_seven_slices(34, 67, 135, 269),)),
    (r"GB300", (_seven_slices(35, 70, 139, 278),)),
    (r"RTX-PRO-6000-Blackwell", (_RTX_PRO_6000,)),
    (r"RTX-PRO-5000-Blackwell", (_RTX_PRO_5000, _RTX_PRO_5000_DRIVER_580)),
    (r"RTX-PRO-4500-Blackwell", (_RTX_PRO_4500,)),
    (r"RTX-PRO-[24]000(-SFF)?-Blackwell|GeForce-.+|GB10", ()),
)
_COMPILED = tuple((re.compile(rf"(NVIDIA-)?({pattern})(?![^-])"), layouts) for pattern, layouts in _PRODUCTS)
_LIST_COMPLETE_BELOW = (9, 0)
"""Below this compute capability the guide lists every product with MIG; newer ones may still be added."""
_TOLERANCE = 0.06
"""How far the memory that nvidia-smi shows may be from the nominal memory: 143771 MiB for 141 GB."""


def mig_layouts(label: str, memory_mib: int) -> tuple[MigLayout, ...] | None:
    """The possible layouts of a card with this product label and memory in MiB.

    Several where the driver or a memory that fits more than one of them decides. Empty if the product has no
    MIG. None if the table does not have the product, or not with this memory.
    """
    known = next((layouts for product, layouts in _COMPILED if product.match(label)), None)
    if known is None:
        capability = compute_capability(label)
        return () if capability and capability < _LIST_COMPLETE_BELOW else None
    named = named_memory_gb(label)
    if by_name := tuple(layout for layout in known if layout.memory_gb in named):
        return by_name
    by_memory = tuple(layout for layout in known if _has_memory(layout, memory_mib))
    return by_memory if by_memory or not known else None


def _has_memory(layout: MigLayout, memory_mib: int) -> bool:
    nominal = layout.memory_gb * 1024
    return abs(memory_mib - nominal) <= _TOLERANCE * nominal


def can_be_partitioned(layout: MigLayout, partitions: Mapping[str, int]) -> bool:
    """Whether one card can have all these partitions (numbers by MIG profile) at the same time."""
    if any(name not in layout.profiles for name in partitions):
        return False
    chosen = [(layout.profiles[name], number) for name, number in partitions.items()]
    if any(number > profile.maximum for profile, number in chosen):
        return False
    wanted = [profile for profile, number in chosen for _ in range(number)]
    if sum(profile.extensions for profile in wanted) > 1:
        return False
    if sum(profile.decoders for profile in wanted) > layout.decoders:
        return False
    return _fit_on_card(sorted(wanted, key=lambda profile: -profile.size), 0)


def _fit_on_card(profiles: Sequence[MigProfile], taken: int) -> bool:
    """Whether all these instances fit on one card; `taken` has a bit for each memory slice in use."""
    if not profiles:
        return True
    first, *rest = profiles
    bits = (1 << first.size) - 1
    return any(
        not taken & bits << start and _fit_on_card(rest, taken | bits << start) for start in first.starts
    )
