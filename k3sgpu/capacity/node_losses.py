"""What happens to the pods if a node is lost."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from k3sgpu.capacity.node_filters import Demand, may_run_on
from k3sgpu.capacity.schedulable_nodes import SchedulableNode
from k3sgpu.capacity.scheduling import FitSummary, schedule_all, summarize

MAX_NODE_KINDS = 20
"""So many kinds of nodes are examined: each costs a scheduling run and a line of the report."""


@dataclass(frozen=True)
class NodeLoss:
    """The result if any single one of these equal nodes is lost."""

    nodes: tuple[str, ...]
    result: FitSummary


def node_losses(nodes: Sequence[SchedulableNode], demands: Sequence[Demand]) -> tuple[NodeLoss, ...]:
    """The loss of a node, for each kind of node that pods may use; the most frequent kinds first."""
    kinds: dict[tuple[object, ...], list[str]] = defaultdict(list)
    wanted = [demand for demand in demands if demand.pods]
    for node in nodes:
        usable_by = frozenset(index for index, one in enumerate(wanted) if may_run_on(one, node))
        free = frozenset((name, count) for name, count in node.free.items() if count)
        if free and usable_by:
            kinds[free, node.free_pods, usable_by].append(node.name)
    most_frequent = sorted(kinds.values(), key=len, reverse=True)[:MAX_NODE_KINDS]
    return tuple(NodeLoss(tuple(names), _without(names[0], nodes, demands)) for names in most_frequent)


def _without(lost: str, nodes: Sequence[SchedulableNode], demands: Sequence[Demand]) -> FitSummary:
    return summarize(schedule_all([node for node in nodes if node.name != lost], demands))
