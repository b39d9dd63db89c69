"""Pools of an existing cluster: its nodes with cards, those alike in one pool."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from k3sgpu.adoption.gpu_nodes import GpuNode

_LONGEST = 40
_BRANDS = re.compile(r"^(nvidia|geforce|tesla|quadro)-")


def existing_pools(nodes: Iterable[GpuNode], profiles: Mapping[str, str]) -> dict[str, Any]:
    """Returns the section `pools`. `profiles`: by node, the profile of its cards.

    Cards of one product differ by some MiB: a pool has the memory of its smallest.
    """
    alike: dict[tuple[str, int, str], list[GpuNode]] = defaultdict(list)
    for node in nodes:
        alike[node.product, node.count, profiles[node.name]].append(node)
    pools: dict[str, Any] = {}
    for (product, count, profile), members in sorted(alike.items()):
        pools[_name(product, pools)] = {
            "nodes": [node.name for node in members],
            "gpu": {
                "product": product,
                "count": count,
                "memoryMiB": min(node.memory_mib for node in members),
                "profile": profile,
            },
        }
    return pools


def _name(product: str, taken: Mapping[str, Any]) -> str:
    """A pool's name like its product: rtx-2080-ti, rtx-2080-ti-2."""
    name = re.sub(r"[^a-z0-9]+", "-", product.lower()).strip("-")
    while _BRANDS.match(name):
        name = _BRANDS.sub("", name)
    name = name[:_LONGEST].strip("-") or "gpu"
    number = next(n for n in range(1, len(taken) + 2) if (f"{name}-{n}" if n > 1 else name) not in taken)
    return f"{name}-{number}" if number > 1 else name
