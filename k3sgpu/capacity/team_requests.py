"""The CPU and memory that guaranteed pods may request on each node, which it should have."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from k3sgpu.capacity.offers import NodeOffer
from k3sgpu.capacity.team_shares import TeamShare, team_shares
from k3sgpu.settings import Settings


@dataclass(frozen=True)
class TeamRequests:
    """What the guaranteed pods on a node may request together."""

    slices: int
    cpu_millis: int
    memory_mib: int


def team_requests(settings: Settings, offers: Sequence[NodeOffer]) -> dict[str, TeamRequests]:
    """By node: `perSlice` for as many slices as guaranteed pods can use there, where they can use any."""
    shares = team_shares(settings, offers)
    found: dict[str, TeamRequests] = {}
    for offer in offers:
        gpu = settings.pools[offer.pool].gpu
        if gpu and (slices := _slices(offer, shares)):
            each = gpu.per_slice
            found[offer.name] = TeamRequests(slices, slices * each.cpu_millis, slices * each.memory_mib)
    return found


def _slices(offer: NodeOffer, shares: Iterable[TeamShare]) -> int:
    """The slices of a node that guaranteed pods can use."""
    guaranteed: dict[str, int] = {}
    for share in shares:
        if share.pool == offer.pool:
            guaranteed[share.resource] = guaranteed.get(share.resource, 0) + share.guaranteed
    return sum(min(count, guaranteed.get(name, 0)) for name, count in offer.resources.items())
