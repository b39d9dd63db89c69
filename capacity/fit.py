"""Do the workloads fit what the nodes will offer? Known before anything is touched."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from settings import Problem, Settings

from .misfit import problems_of
from .offer import NodeOffer, offers
from .scheduling import Demand, Outcome, schedule, verdict


@dataclass(frozen=True)
class Seat:
    """A pod that has a node: `count` of `resource` there."""

    pod: str
    workload: str
    node: str
    resource: str
    count: int


@dataclass(frozen=True)
class Pending:
    """A pod without a node, and what the scheduler will say about it."""

    pod: str
    workload: str
    resource: str
    count: int
    message: str


@dataclass(frozen=True)
class Fit:
    """`fits`: True in whatever order the pods come, False in none, None not decided (a warning says why).

    Seats are one placement among several: the scheduler chooses by itself. The problems begin with what the
    settings themselves are warned of.
    """

    offers: tuple[NodeOffer, ...]
    seats: tuple[Seat, ...]
    pending: tuple[Pending, ...]
    problems: tuple[Problem, ...]
    fits: bool | None

    @property
    def placements(self) -> dict[str, str]:
        """Pod name to node name."""
        return {seat.pod: seat.node for seat in self.seats}


def fit(settings: Settings) -> Fit:
    """Place the workloads on the offers. No rolling update asks for more: Deployments here have maxSurge 0.

    The setting `fit` decides how a misfit is told (enforce: as error, warn: as warning, off: not at all).
    """
    nodes = offers(settings)
    demands = [
        Demand(name, workload.replicas, workload.gpus, workload.resource, workload.node_selector)
        for name, workload in sorted(settings.workloads.items())
    ]
    outcomes = [schedule(nodes, demands, resource) for resource in sorted({one.resource for one in demands})]
    verdicts = [outcome.fits for outcome in outcomes]
    return Fit(
        offers=nodes,
        seats=tuple(seat for outcome in outcomes for seat in _seats(outcome)),
        pending=tuple(pod for outcome in outcomes for pod in _pending(nodes, outcome)),
        problems=(
            *settings.warnings,
            *_as_told([problem for one in outcomes for problem in problems_of(nodes, one)], settings.fit),
        ),
        fits=False if False in verdicts else None if None in verdicts else True,
    )


def pod_name(workload: str, number: int) -> str:
    """The program's name for a workload's n-th pod; Kubernetes will add letters of its own."""
    return f"{workload}#{number}"


def _seats(outcome: Outcome) -> list[Seat]:
    return [
        Seat(pod_name(one.workload, number), one.workload, node, outcome.resource, one.request)
        for one in outcome.demands
        for number, node in enumerate(outcome.packing.seats[one.workload], start=1)
    ]


def _pending(nodes: Sequence[NodeOffer], outcome: Outcome) -> list[Pending]:
    pods = []
    for one in outcome.demands:
        if left := outcome.pending.get(one.workload):
            message = verdict(one, nodes, outcome.free)
            pods += [
                Pending(pod_name(one.workload, number), one.workload, outcome.resource, one.request, message)
                for number in range(one.pods - left + 1, one.pods + 1)
            ]
    return pods


def _as_told(problems: list[Problem], setting: str) -> tuple[Problem, ...]:
    if setting == "off":
        return ()
    return tuple(
        replace(problem, severity="warning") if setting == "warn" else problem for problem in problems
    )
