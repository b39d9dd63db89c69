"""Rules of the nodes that the GPU Operator's own pods need."""

import json
from collections.abc import Iterator
from typing import Any

from k3sgpu.problem import Problem
from k3sgpu.settings.models.nodes import Node
from k3sgpu.settings.operator_tolerations import (
    NFD,
    ON_ANY_NODE,
    missing,
    tolerations_of,
    with_tolerations,
)
from k3sgpu.settings.rules.draft import Draft


def operator_has_a_node(draft: Draft) -> Iterator[Problem]:
    """Refuse a cluster of which every node has a taint that the operator's own pods do not tolerate.

    Nothing is known about the taints of an existing cluster's Nodes.
    """
    settings = draft.settings
    nodes = settings.nodes
    if not settings.gpu_operator.enabled or settings.kubeconfig or not nodes or not draft.intact("pools"):
        return
    values = settings.gpu_operator.values
    without_node = [
        section
        for section in ON_ANY_NODE
        if not any(not missing(tolerations_of(values, section), node.taints) for node in nodes)
        and not _is_off(values, section)
    ]
    if not without_node:
        return
    best = min(nodes, key=lambda node: (node.gpu is not None, node.role != "server", node.name))
    taints = sorted(
        {taint for section in without_node for taint in missing(tolerations_of(values, section), best.taints)}
    )
    wanted: dict[str, Any] = {}
    for section in without_node:
        with_tolerations(wanted, section, tolerations_of(values, section), taints)
    names = ", ".join(taint.text for taint in taints)
    yield Problem(
        f"pools.{best.pool}.taints",
        "a taint on every node: " + "; ".join(_taints_of(node, values, without_node) for node in nodes[:5]),
        f"a node that admits {', '.join(ON_ANY_NODE[section] for section in without_node)}",
        f"remove {names} from {best.name}, or let these pods tolerate them:\n"
        f"gpuOperator: {{values: {json.dumps(wanted)}}}",
    )


def _is_off(values: dict[str, Any], section: tuple[str, ...]) -> bool:
    """Whether the values switch off what only cleans up: node feature discovery's garbage collector."""
    here = values.get(NFD)
    gc = here.get("gc") if section == (NFD, "gc") and isinstance(here, dict) else None
    return isinstance(gc, dict) and gc.get("enable") is False


def _taints_of(node: Node, values: dict[str, Any], sections: list[tuple[str, ...]]) -> str:
    taints = {
        taint for section in sections for taint in missing(tolerations_of(values, section), node.taints)
    }
    return f"{node.name} {', '.join(taint.text for taint in sorted(taints))}"
