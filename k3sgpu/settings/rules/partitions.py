"""Rules of MIG partitions: what the pool's product can have, and what its profile can offer."""

from collections.abc import Iterator, Mapping, Sequence

from k3sgpu.gpu_products import MigLayout, can_be_partitioned, mig_layouts
from k3sgpu.problem import Problem
from k3sgpu.settings.models.nodes import Gpu
from k3sgpu.settings.rules.draft import Draft
from k3sgpu.settings.rules.sharing import card_pools

_COMPUTE_SLICES = 7
"""The most compute slices of any product (NVIDIA's MIG User Guide)."""
_REMEDY = "write what `nvidia-smi -L` shows below one card"


def product_has_partitions(draft: Draft) -> Iterator[Problem]:
    """Refuse partitions that the product cannot have, or not at the same time.

    Of products that are not known, only the sums of compute slices and memory are checked.
    """
    for pool_name, gpu, _ in card_pools(draft.settings):
        if not gpu.mig:
            continue
        path, layouts = f"pools.{pool_name}.gpu.mig", mig_layouts(gpu.product, gpu.memory_mib)
        if layouts is None:
            yield from _too_much(path, gpu)
        elif not layouts:
            yield Problem(
                path,
                f"partitions ({', '.join(gpu.mig)}) of {gpu.product}",
                'whole cards: this product has no MIG (NVIDIA\'s MIG User Guide, "Supported GPUs")',
                f"remove it and share by timeSlicing or mps, or correct pools.{pool_name}.gpu.product",
            )
        else:
            yield from _impossible(path, gpu, layouts)


def _impossible(path: str, gpu: Gpu, layouts: Sequence[MigLayout]) -> Iterator[Problem]:
    names = [name for layout in layouts for name in layout.profiles]
    if unknown := [kind for kind in gpu.mig if kind not in names]:
        yield Problem(
            path,
            ", ".join(unknown),
            f"MIG profiles of {gpu.product}:\n{', '.join(dict.fromkeys(names))}",
            _REMEDY,
        )
    elif not any(can_be_partitioned(layout, gpu.mig) for layout in layouts):
        yield Problem(
            path,
            _counted(gpu.mig),
            f"partitions that one {gpu.product} can have at the same time. It has at most\n"
            f"{_counted(_maxima(gpu.mig, layouts))}, and their memory must not overlap: "
            "nvidia-smi mig -lgipp",
            _REMEDY,
        )


def _maxima(mig: Mapping[str, int], layouts: Sequence[MigLayout]) -> dict[str, int]:
    """How many partitions of each of these kinds an empty card can have."""
    profiles = {name: profile for layout in layouts for name, profile in layout.profiles.items()}
    return {kind: profiles[kind].maximum for kind in mig}


def _too_much(path: str, gpu: Gpu) -> Iterator[Problem]:
    sizes = {kind: _size(kind) for kind in gpu.mig}
    slices = sum(sizes[kind][0] * number for kind, number in gpu.mig.items())
    # Names round up: 4 x 1g.24gb are on a card of 94 GB.
    gigabytes = sum((sizes[kind][1] - 1) * number for kind, number in gpu.mig.items())
    if slices > _COMPUTE_SLICES:
        yield Problem(
            path,
            _counted(gpu.mig),
            f"partitions of one card: the numbers before the g add up to at most {_COMPUTE_SLICES}",
            _REMEDY,
        )
    elif gigabytes * 1024 > gpu.memory_mib:
        yield Problem(
            path,
            _counted(gpu.mig),
            f"partitions of one card: their memory adds up to at most {gpu.memory_mib} MiB (memoryMiB)",
            _REMEDY,
        )


def _size(kind: str) -> tuple[int, int]:
    """The compute slices and the GB in the name of a MIG profile: 3 and 20 of 3g.20gb."""
    slices, _, rest = kind.partition("g.")
    return int(slices), int(rest.partition("gb")[0])


def _counted(mig: Mapping[str, int]) -> str:
    return ", ".join(f"{number} x {kind}" for kind, number in mig.items())


def profile_offers_partitions(draft: Draft) -> Iterator[Problem]:
    """Refuse MIG partitions that the pool's sharing profile cannot offer."""
    for pool_name, gpu, profile in card_pools(draft.settings):
        path = f"pools.{pool_name}.gpu.mig"
        kinds = ", ".join(gpu.mig)
        if not gpu.mig:
            continue
        if not profile.mig_strategy:
            yield Problem(
                path,
                f"partitions ({kinds}), and the profile {gpu.profile} without migStrategy",
                "a profile with migStrategy: without it NVIDIA's plugin offers the whole cards, on which\n"
                "nothing can run while MIG is enabled",
                "name a profile with migStrategy: mixed (or single, where all partitions are alike)",
            )
        if profile.mig_strategy == "single" and len(gpu.mig) > 1:
            yield Problem(
                path,
                f"{len(gpu.mig)} kinds of partitions ({kinds}), and migStrategy: single in {gpu.profile}",
                'one kind: NVIDIA\'s plugin stops with "more than one MIG device type present on node"',
                f"write migStrategy: mixed in sharing.profiles.{gpu.profile}",
            )
        if profile.mps:
            yield Problem(
                path,
                f"partitions ({kinds}), and mps in the profile {gpu.profile}",
                "whole cards: NVIDIA's plugin stops with\n"
                '"sharing using MPS is not supported for MIG devices"',
                "share partitions by timeSlicing",
            )
