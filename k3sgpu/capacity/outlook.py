"""What becomes of the pods later: while Deployments are updated, and when a node is lost."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from k3sgpu.capacity.packing import Verdict
from k3sgpu.capacity.scheduling import Demand, Outcome, Place, may_run_on, schedule

KINDS = 20
"""So many kinds of nodes are looked at; more would be as many reports."""
WORST_FIRST: tuple[Verdict, ...] = ("no order", "not decided", "some orders", "any order")


@dataclass(frozen=True)
class Prospect:
    """All resources together: the worst verdict, and how many pods stay Pending at least and at most."""

    verdict: Verdict
    least: int
    most: int


@dataclass(frozen=True)
class Loss:
    """What the loss of any single one of these nodes, which are alike, would do."""

    nodes: tuple[str, ...]
    prospect: Prospect


def outcomes_of(places: Sequence[Place], demands: Sequence[Demand]) -> list[Outcome]:
    """Of all demands on these nodes, by resource."""
    return [schedule(places, demands, name) for name in sorted({one.resource for one in demands})]


def prospect(outcomes: Sequence[Outcome]) -> Prospect:
    """Of several outcomes that all matter."""
    return Prospect(
        _worst([outcome.verdict for outcome in outcomes]),
        sum(outcome.packing.least for outcome in outcomes),
        sum(outcome.packing.most for outcome in outcomes),
    )


def _worst(verdicts: Sequence[Verdict]) -> Verdict:
    for one in WORST_FIRST:
        if one in verdicts:
            return one
    return "any order"


def losses(places: Sequence[Place], demands: Sequence[Demand]) -> tuple[Loss, ...]:
    """For every kind of node with something to ask for, most frequent first, at most KINDS of them."""
    wanted = [demand for demand in demands if demand.pods]
    kinds: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for place in places:
        guests = frozenset(n for n, demand in enumerate(wanted) if may_run_on(demand, place))
        room = {name: count for name, count in place.free.items() if count}
        if room and guests:
            kinds[frozenset(room.items()), guests].append(place.name)

    def without(lost: str) -> Prospect:
        return prospect(outcomes_of([place for place in places if place.name != lost], demands))

    return tuple(
        Loss(tuple(names), without(names[0]))
        for names in sorted(kinds.values(), key=len, reverse=True)[:KINDS]
    )


def rollout(verdict: Verdict, pending: bool) -> str:
    """In words, what a rolling update meets. A Deployment of ours takes one pod away before it makes another
    (maxSurge 0, maxUnavailable 1), so the new pod finds the old one's seat, unless somebody else took it."""
    if verdict == "any order":
        return "every new pod finds room, however many Deployments are updated at once"
    if pending:
        return "a Pending pod may take the seat of a pod that is being replaced, which then waits instead"
    return "one Deployment at a time, every new pod finds room; several at once may take each other's"
