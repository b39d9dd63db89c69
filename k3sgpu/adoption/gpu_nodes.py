"""The nodes with cards, from the labels that NVIDIA's feature discovery gives them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from k3sgpu.foreign_text import escape
from k3sgpu.gpu_products import without_suffixes
from k3sgpu.problem import Problem
from k3sgpu.wellknown import CONFIG_LABEL, GPU_RESOURCE, PRODUCT_LABEL

PRESENT_LABEL = f"{GPU_RESOURCE}.present"
"""The operator sets it to "true" on every node with a card of NVIDIA's."""
_OPT_OUT = ("nvidia.com/gpu.deploy.operands", "nvidia.com/gpu.deploy.device-plugin")
"""Labels with which a node is left without the device plugin when they are "false"."""
_PARTITION = "nvidia.com/mig-"
_COUNT, _MEMORY = f"{GPU_RESOURCE}.count", f"{GPU_RESOURCE}.memory"


@dataclass(frozen=True)
class GpuNode:
    """A node with cards."""

    name: str
    product: str
    count: int
    memory_mib: int
    key: str
    """The device plugin's configuration that the node's label selects; "" without the label."""


def gpu_nodes(nodes: Sequence[Mapping[str, Any]]) -> tuple[list[GpuNode], list[Problem]]:
    """Returns the nodes with cards, and what is not known about some of them."""
    found: list[GpuNode] = []
    problems: list[Problem] = []
    for node in nodes:
        labels = node["metadata"].get("labels") or {}
        if labels.get(PRESENT_LABEL) != "true" or any(labels.get(one) == "false" for one in _OPT_OUT):
            continue
        reasons = list(_unusable(labels, (node.get("status") or {}).get("allocatable") or {}))
        problems += [Problem(escape(node["metadata"]["name"]), *reason) for reason in reasons]
        if not reasons:
            found.append(
                GpuNode(
                    name=node["metadata"]["name"],
                    product=without_suffixes(labels[PRODUCT_LABEL]),
                    count=int(labels[_COUNT]),
                    memory_mib=int(labels[_MEMORY]),
                    key=labels.get(CONFIG_LABEL, ""),
                )
            )
    return found, problems


def _unusable(labels: Mapping[str, str], allocatable: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Why a node with cards cannot be described: found, expected, remedy."""
    missing = [name for name in (PRODUCT_LABEL, _COUNT, _MEMORY) if not labels.get(name)]
    if missing:
        yield (
            f"no label {', '.join(missing)}",
            "the labels of NVIDIA's feature discovery, which say what cards it has",
            "see why its pod does not run: kubectl --namespace gpu-operator get pods --output wide",
        )
        return
    partitions = sorted(name for name in allocatable if name.startswith(_PARTITION))
    if partitions or "-MIG-" in labels[PRODUCT_LABEL]:
        yield (
            f"cards in partitions: {escape(', '.join(partitions) or labels[PRODUCT_LABEL])}",
            "whole cards: adopt does not describe partitions",
            "write its pool by hand, with gpu.mig, into the file that --partial writes",
        )
    if not (labels[_COUNT].isdecimal() and int(labels[_COUNT]) and labels[_MEMORY].isdecimal()):
        yield (
            f"{_COUNT}={escape(labels[_COUNT], 40)}, {_MEMORY}={escape(labels[_MEMORY], 40)}",
            "the number of its cards and their MiB",
            "see the log of its gpu-feature-discovery pod",
        )
