"""What becomes of the pods later: while Deployments are updated, and when a node is lost."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from k3sgpu.capacity.packing import Verdict
from k3sgpu.capacity.scheduling import Demand, Outcome, SchedulableNode, may_run_on, schedule

MAX_NODE_KINDS = 20
"""So many kinds of nodes are looked at; more would be as many reports."""
WORST_FIRST: tuple[Verdict, ...] = ("no order", "not decided", "some orders", "any order")


@dataclass(frozen=True)
class FitSummary:
    """All resources together: the worst verdict, and how many pods stay Pending at least and at most."""

    verdict: Verdict
    min_pending: int
    max_pending: int


@dataclass(frozen=True)
class NodeLoss:
    """What the loss of any single one of these nodes, which are alike, would do."""

    nodes: tuple[str, ...]
    result: FitSummary


def schedule_all(nodes: Sequence[SchedulableNode], demands: Sequence[Demand]) -> list[Outcome]:
    """Of all demands on these nodes, by resource."""
    return [schedule(nodes, demands, name) for name in sorted({one.resource for one in demands})]


def summarize(outcomes: Sequence[Outcome]) -> FitSummary:
    """Of several outcomes that all matter."""
    return FitSummary(
        _worst([outcome.verdict for outcome in outcomes]),
        sum(outcome.packing.min_pending for outcome in outcomes),
        sum(outcome.packing.max_pending for outcome in outcomes),
    )


def _worst(verdicts: Sequence[Verdict]) -> Verdict:
    for one in WORST_FIRST:
        if one in verdicts:
            return one
    return "any order"


def node_losses(nodes: Sequence[SchedulableNode], demands: Sequence[Demand]) -> tuple[NodeLoss, ...]:
    """For every kind of node that pods may use, most frequent first, at most MAX_NODE_KINDS of them."""
    wanted = [demand for demand in demands if demand.pods]
    kinds: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for node in nodes:
        guests = frozenset(n for n, demand in enumerate(wanted) if may_run_on(demand, node))
        room = {name: count for name, count in node.free.items() if count}
        if room and guests:
            kinds[frozenset(room.items()), guests].append(node.name)

    def without(lost: str) -> FitSummary:
        return summarize(schedule_all([node for node in nodes if node.name != lost], demands))

    return tuple(
        NodeLoss(tuple(names), without(names[0]))
        for names in sorted(kinds.values(), key=len, reverse=True)[:MAX_NODE_KINDS]
    )


def rollout(verdict: Verdict, pending: bool) -> str:
    """In words, what a rolling update meets. A Deployment of ours takes one pod away before it makes another
    (maxSurge 0, maxUnavailable 1), so the new pod finds the old one's seat, unless somebody else took it."""
    if verdict == "any order":
        return "every new pod finds room, however many Deployments are updated at once"
    if pending:
        return "a Pending pod may take the seat of a pod that is being replaced, which then waits instead"
    return "one Deployment at a time, every new pod finds room; several at once may take each other's"
