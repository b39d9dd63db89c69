"""GPU memory that workloads declare, against the memory of a card: which pods may share one card."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from k3sgpu.capacity.node_filters import Demand, may_run_on
from k3sgpu.capacity.offers import NodeOffer, ResourceOffer, SharingStrategy
from k3sgpu.capacity.schedulable_nodes import SchedulableNode

_MAX_STEPS = 200_000
"""A larger knapsack is filled by the most MiB for each slice first, which may miss the very worst case."""

_LoadKey = tuple[str, SharingStrategy, ResourceOffer, int, tuple[str, ...]]
"""Profile, strategy, resource, free slices, workloads: equal for nodes of one kind."""
_Meeting = tuple[int, dict[str, int]]
"""MiB, and the number of pods by workload."""


@dataclass(frozen=True)
class MemoryLoad:
    """The most memory that declared pods may use at one time on one card (or partition) of equal nodes.

    `memory_mib` is what the card has; `mib_each` what one pod may use: a client's part under MPS, else all.
    `most_mib` is the sum for `meeting`: how many pods of each workload share the card in the worst case.
    `too_large`: MiB on one card, by workload, for pods that need more than `mib_each`.
    """

    nodes: tuple[str, ...]
    resource: str
    strategy: SharingStrategy | None
    memory_mib: int
    mib_each: int
    most_mib: int
    meeting: Mapping[str, int]
    too_large: Mapping[str, int]

    @property
    def fits(self) -> bool:
        """Whether the card has enough memory in the worst case."""
        return not self.too_large and self.most_mib <= self.memory_mib


def memory_loads(
    offers: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], demands: Sequence[Demand]
) -> tuple[MemoryLoad, ...]:
    """A load for each kind of node and resource that pods with declared memory may use."""
    declared = {one.workload: one for one in demands if one.pods and one.memory_mib}
    by_name = {node.name: node for node in nodes}
    kinds: dict[_LoadKey, list[str]] = defaultdict(list)
    for offer in offers if declared else ():
        node = by_name[offer.name]
        for resource in offer.resource_offers:
            workloads = tuple(
                name
                for name, one in declared.items()
                if one.resource == resource.name and may_run_on(one, node)
            )
            if workloads:
                key = (offer.profile, offer.strategy, resource, node.free[resource.name], workloads)
                kinds[key].append(offer.name)
    return tuple(
        _load(tuple(names), strategy, resource, free, [declared[name] for name in workloads])
        for (_, strategy, resource, free, workloads), names in kinds.items()
    )


def _load(
    nodes: tuple[str, ...],
    strategy: SharingStrategy,
    resource: ResourceOffer,
    free: int,
    demands: Sequence[Demand],
) -> MemoryLoad:
    shared = resource.replicas > 1
    mib_each = resource.mib_per_slice if shared and strategy == "mps" else resource.memory_mib
    needs = {one.workload: _mib_on_one_device(one, resource) for one in demands}
    meeting = _worst_meeting(resource, free, demands, needs)
    return MemoryLoad(
        nodes=nodes,
        resource=resource.name,
        strategy=strategy if shared else None,
        memory_mib=resource.memory_mib,
        mib_each=mib_each,
        most_mib=sum(needs[name] * count for name, count in meeting.items()),
        meeting=meeting,
        too_large={name: mib for name, mib in needs.items() if mib > mib_each},
    )


def _mib_on_one_device(demand: Demand, resource: ResourceOffer) -> int:
    """A pod's MiB on one device: whole cards divide it equally; slices may all be on the same card."""
    return -(-demand.memory_mib // demand.request) if resource.replicas == 1 else demand.memory_mib


def _worst_meeting(
    resource: ResourceOffer, free: int, demands: Sequence[Demand], needs: Mapping[str, int]
) -> dict[str, int]:
    """How many pods of each workload use the most memory of one device: a knapsack of its slices.

    A pod takes at least one slice of the device, and no more than do not fit on the node's other devices.
    """
    elsewhere = (resource.devices - 1) * resource.replicas
    room = min(resource.replicas, free, sum(one.pods * one.request for one in demands))
    if len({one.request for one in demands}) == 1 or room * room * len(demands) > _MAX_STEPS:
        return _densest_meeting(room, free, elsewhere, demands, needs)
    best: list[_Meeting] = [(0, {}) for _ in range(room + 1)]
    for one in demands:
        slices = max(1, one.request - elsewhere)
        most = min(one.pods, free // one.request, room // slices)
        best = [
            _with_pods(best, one.workload, needs[one.workload], slices, most, have)
            for have in range(room + 1)
        ]
    return {name: count for name, count in best[room][1].items() if count}


def _densest_meeting(
    room: int, free: int, elsewhere: int, demands: Sequence[Demand], needs: Mapping[str, int]
) -> dict[str, int]:
    """The pods with the most MiB for each slice first. It is the worst case if all request the same."""
    meeting: dict[str, int] = {}
    slices = {one.workload: max(1, one.request - elsewhere) for one in demands}
    for one in sorted(demands, key=lambda one: -needs[one.workload] / slices[one.workload]):
        if number := min(one.pods, free // one.request, room // slices[one.workload]):
            meeting[one.workload] = number
            room -= number * slices[one.workload]
    return meeting


def _with_pods(
    best: Sequence[_Meeting], workload: str, mib: int, slices: int, most: int, have: int
) -> _Meeting:
    """The best use of `have` slices if up to `most` pods of one more workload may be added."""
    choices = (
        (best[have - count * slices][0] + count * mib, {**best[have - count * slices][1], workload: count})
        for count in range(min(most, have // slices) + 1)
    )
    return max(choices, key=lambda choice: choice[0])
