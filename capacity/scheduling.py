"""The scheduler's view: which nodes a pod may go to, and what it says of a pod that goes to none."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .offer import NodeOffer
from .packing import Group, Packing, has_placement, pack

KNOWN_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "accelerator",
        "nvidia.com/device-plugin.config",
        "nvidia.com/gpu.product",
        "nvidia.com/gpu.count",
        "nvidia.com/gpu.replicas",
        "nvidia.com/gpu.sharing-strategy",
    }
)
"""Labels whose value on every node follows from the settings. Selectors on other keys cannot be decided."""


@dataclass(frozen=True)
class Demand:
    """A workload's pods: `pods` times `request` of `resource`, on nodes with the labels of `selector`."""

    workload: str
    pods: int
    request: int
    resource: str
    selector: Mapping[str, str]

    @property
    def undecided(self) -> list[str]:
        """Keys of the selector whose labels the program does not know."""
        return sorted(self.selector.keys() - KNOWN_LABELS)


@dataclass(frozen=True)
class Outcome:
    """All demands for one resource, packed. `fits` is None also where a selector could not be decided."""

    resource: str
    demands: tuple[Demand, ...]
    packing: Packing
    free: dict[str, int]

    @property
    def fits(self) -> bool | None:
        """True: in any order. False: in none. None: not decided."""
        if self.packing.fits and any(demand.undecided and demand.pods for demand in self.demands):
            return None
        return self.packing.fits

    @property
    def pending(self) -> dict[str, int]:
        """Pods without a node, by workload, where there are any."""
        placed = {demand.workload: len(self.packing.seats[demand.workload]) for demand in self.demands}
        return {
            one.workload: one.pods - placed[one.workload]
            for one in self.demands
            if one.pods > placed[one.workload]
        }


def schedule(offers: Sequence[NodeOffer], demands: Iterable[Demand], resource: str) -> Outcome:
    """Place the demands for one resource on what the nodes offer of it."""
    asked = tuple(demand for demand in demands if demand.resource == resource)
    room, groups = _room(offers, resource), _groups(offers, asked)
    packing = pack(groups, room)
    free = dict(room)
    for group in groups:
        for node in packing.seats[group.name]:
            free[node] -= group.request
    return Outcome(resource, asked, packing, free)


def all_fit(offers: Sequence[NodeOffer], demands: Sequence[Demand], resource: str) -> bool:
    """Whether there is room for all demands for the resource, selectors taken as far as they are known."""
    return has_placement(_groups(offers, demands), _room(offers, resource))


def _room(offers: Sequence[NodeOffer], resource: str) -> dict[str, int]:
    return {offer.name: offer.resources.get(resource, 0) for offer in offers}


def _groups(offers: Sequence[NodeOffer], demands: Sequence[Demand]) -> list[Group]:
    labels = {offer.name: offer.all_labels for offer in offers}
    return [
        Group(
            one.workload,
            one.pods,
            one.request,
            frozenset(name for name in labels if _matches(one, labels[name])),
        )
        for one in demands
    ]


def may_run_on(demand: Demand, offer: NodeOffer) -> bool:
    """Whether the selector lets the pods onto the node, as far as the labels are known."""
    return _matches(demand, offer.all_labels)


def _matches(demand: Demand, labels: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in demand.selector.items() if key in KNOWN_LABELS)


def verdict(demand: Demand, offers: Sequence[NodeOffer], free: Mapping[str, int]) -> str:
    """The message of the Pending pod's FailedScheduling event, up to what it says about preemption.

    As kube-scheduler composes it (framework.FitError): "<count> <reason>" of the first filter that each node
    failed (selector before resources), sorted as texts, joined by ", ", with a full stop.
    """
    reasons = Counter(
        f"Insufficient {demand.resource}"
        if may_run_on(demand, offer)
        else "node(s) didn't match Pod's node affinity/selector"
        for offer in offers
        if free.get(offer.name, 0) < demand.request or not may_run_on(demand, offer)
    )
    listed = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    return f"0/{len(offers)} nodes are available: {listed}."
