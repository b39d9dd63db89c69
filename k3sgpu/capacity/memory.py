"""The memory that workloads declare against what a card has: who may meet on one, and what each may have."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from k3sgpu.capacity.offers import NodeOffer, ResourceOffer, SharingStrategy
from k3sgpu.capacity.scheduling import Demand, SchedulableNode, may_run_on
from k3sgpu.settings import Problem


@dataclass(frozen=True)
class MemoryLoad:
    """What declared pods may use at one time of one card (or partition) of a node, at most.

    `meeting`: by workload, how many of its pods that is; what the others there use is not known. `mib_each`
    is what a single one may have: a client's part under MPS, else all of it.
    """

    nodes: tuple[str, ...]
    resource: str
    strategy: SharingStrategy | None
    memory_mib: int
    mib_each: int
    most_mib: int
    meeting: Mapping[str, int]
    too_large: Mapping[str, int]
    """By workload: MiB on one card, where that is more than `mib_each`."""

    @property
    def fits(self) -> bool:
        """Whether all that may meet have what they declare."""
        return not self.too_large and self.most_mib <= self.memory_mib


def memory_loads(
    offers: Sequence[NodeOffer], nodes: Sequence[SchedulableNode], demands: Sequence[Demand]
) -> tuple[MemoryLoad, ...]:
    """For every kind of node and resource that declared pods may come to; nodes that are alike together."""
    declared = {one.workload: one for one in demands if one.pods and one.memory_mib}
    by_name = {node.name: node for node in nodes}
    alike: dict[tuple[str, SharingStrategy, ResourceOffer, int, tuple[str, ...]], list[str]] = defaultdict(
        list
    )
    for offer in offers if declared else ():
        node = by_name[offer.name]
        for share in offer.resource_offers:
            guests = tuple(
                name for name, one in declared.items() if one.resource == share.name and may_run_on(one, node)
            )
            if guests:
                alike[offer.profile, offer.strategy, share, node.free[share.name], guests].append(node.name)
    return tuple(
        _load(tuple(names), strategy, share, free, [declared[name] for name in guests])
        for (_, strategy, share, free, guests), names in alike.items()
    )


def _load(
    nodes: tuple[str, ...],
    strategy: SharingStrategy,
    share: ResourceOffer,
    free: int,
    guests: Sequence[Demand],
) -> MemoryLoad:
    limited = strategy == "mps" and share.replicas > 1
    each = share.mib_per_slice if limited else share.memory_mib
    needs = {one.workload: _on_one(one, share) for one in guests}
    meeting = _worst(share, free, guests, needs)
    return MemoryLoad(
        nodes=nodes,
        resource=share.name,
        strategy=strategy if share.replicas > 1 else None,
        memory_mib=share.memory_mib,
        mib_each=each,
        most_mib=sum(needs[name] * count for name, count in meeting.items()),
        meeting=meeting,
        too_large={name: mib for name, mib in needs.items() if mib > each},
    )


def _on_one(demand: Demand, share: ResourceOffer) -> int:
    """MiB on one card: whole cards divide a pod's need; of slices nobody knows whether they are apart."""
    return -(-demand.memory_mib // demand.request) if share.replicas == 1 else demand.memory_mib


def _worst(
    share: ResourceOffer, free: int, guests: Sequence[Demand], needs: Mapping[str, int]
) -> dict[str, int]:
    """By workload, the pods that together use most of one device: a knapsack of its slices.

    A pod takes as few slices there as the other devices leave it, at least one.
    """
    elsewhere = (share.devices - 1) * share.replicas
    room = min(share.replicas, free, sum(one.pods * one.request for one in guests))
    best: list[tuple[int, dict[str, int]]] = [(0, {}) for _ in range(room + 1)]
    for one in guests:
        slices = max(1, one.request - elsewhere)
        limit = min(one.pods, free // one.request, room // slices)
        before = best
        best = [
            max(
                (
                    (
                        before[have - count * slices][0] + count * needs[one.workload],
                        {**before[have - count * slices][1], one.workload: count},
                    )
                    for count in range(min(limit, have // slices) + 1)
                ),
                key=lambda found: found[0],
            )
            for have in range(room + 1)
        ]
    return {name: count for name, count in best[room][1].items() if count}


def memory_problems(offers: Sequence[NodeOffer], found: Sequence[MemoryLoad]) -> Iterator[Problem]:
    """A Problem for each load that may be more than there is."""
    profiles = {offer.name: offer.profile for offer in offers}
    for load in found:
        where = device_phrase(load)
        for workload, mib in load.too_large.items():
            part = (
                f"{load.memory_mib} MiB / {load.memory_mib // load.mib_each}"
                if load.strategy == "mps"
                else ""
            )
            yield Problem(
                f"workloads.{workload}.memoryMiB",
                f"{mib} MiB {where}",
                f"at most {load.mib_each}: "
                + (f"MPS lets each client have its part ({part})" if part else "it has no more"),
                f"write memoryMiB: {load.mib_each}"
                + (f", or fewer replicas in sharing.profiles.{profiles[load.nodes[0]]}" if part else "")
                + ", or select nodes whose cards have more (nodeSelector)",
            )
        if not load.too_large and load.most_mib > load.memory_mib:
            names = sorted(load.meeting)
            pods = " and ".join(f"{load.meeting[name]} of {name}" for name in names)
            each = load.memory_mib // sum(load.meeting.values())
            yield Problem(
                f"workloads.{names[0]}.memoryMiB" if len(names) == 1 else "workloads",
                f"up to {load.most_mib} MiB {where}, where {pods} may meet",
                f"at most {load.memory_mib}, which is all it has: slices share memory without a limit,\n"
                "and a pod that finds none left fails, whichever took it",
                f"write memoryMiB: {each} or less, fewer replicas in "
                f"sharing.profiles.{profiles[load.nodes[0]]}, or keep pods apart (nodeSelector)",
            )


def device_phrase(load: MemoryLoad) -> str:
    """On one card of gpu-1."""
    nodes, kind = load.nodes, "partition" if "/mig-" in load.resource else "card"
    if len(nodes) == 1:
        return f"on one {kind} of {nodes[0]}"
    return f"on one {kind} of any of {nodes[0]} to {nodes[-1]} ({len(nodes)} alike)"
