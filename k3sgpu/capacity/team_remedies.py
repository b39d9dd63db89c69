"""Remedies for guarantees that cannot always be kept: of each kind the smallest change that is enough."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from k3sgpu.capacity.offers import NodeOffer
from k3sgpu.capacity.remedies import sharing_cost
from k3sgpu.capacity.remedy_search import MAX_PODS, MAX_SEARCHED, smallest
from k3sgpu.capacity.team_guarantees import NodeRoom, PoolGuarantees, blocked_request
from k3sgpu.capacity.wording import count_noun
from k3sgpu.gpu_products import mps_clients
from k3sgpu.settings import NO_SHARING


def remedies_for(offers: Sequence[NodeOffer], one: PoolGuarantees) -> list[str]:
    """Each remedy alone is enough; one step less of it is not."""
    own = [offer for offer in offers if offer.name in one.rooms and offer.resource_offer(one.resource)]
    return [
        *_less_guaranteed(one),
        *_smaller_pods(one),
        *_fewer_outside(one),
        *_more_slices(own, one),
        *_more_pods(own, one),
        *_more_hosts(own, one),
    ]


def _holds(one: PoolGuarantees, promised: int | None = None, largest: int | None = None) -> bool:
    """Whether the guarantees can be kept with other numbers."""
    return (
        blocked_request(
            one.rooms.values(),
            one.promised if promised is None else promised,
            one.largest if largest is None else largest,
        )
        is None
    )


def _less_guaranteed(one: PoolGuarantees) -> Iterator[str]:
    owners = [share for share in one.shares if share.guaranteed]
    less = smallest(1, one.guaranteed - 1, lambda fewer: _holds(one, promised=one.promised - fewer))
    if not less:
        return
    if len(owners) == 1:
        rest, now = one.guaranteed - less, one.guaranteed
        yield f"teams.{owners[0].team}.guaranteed.{one.pool}: {rest} instead of {now}"
    else:
        rest = one.guaranteed - less
        yield f"guarantee {rest} instead of {one.guaranteed} in sum: {count_noun(less, 'slice')} fewer"


def _smaller_pods(one: PoolGuarantees) -> Iterator[str]:
    largest = one.largest
    if less := smallest(1, largest - 1, lambda fewer: _holds(one, largest=largest - fewer)):
        most = largest - less
        teams = [share.team for share in one.shares if min(share.per_pod, share.guaranteed) > most]
        yield f"perPod of {', '.join(teams)} in pool {one.pool}: {most} instead of up to {largest}"


def _fewer_outside(one: PoolGuarantees) -> Iterator[str]:
    total = sum(one.outside.values())
    if less := smallest(1, total, lambda fewer: _holds(one, promised=one.promised - fewer)):
        yield (
            f"workloads {', '.join(sorted(one.outside))}: {count_noun(less, 'slice')} fewer on these nodes,\n"
            "  or priority: burst in a team"
        )


def _more_slices(own: Sequence[NodeOffer], one: PoolGuarantees) -> Iterator[str]:
    for profile in sorted({offer.profile for offer in own}):
        changed = [offer for offer in own if offer.profile == profile]
        now = max(item.replicas for offer in changed if (item := offer.resource_offer(one.resource)))
        needed = _replicas_needed(changed, now, one)
        if needed is None:
            continue
        cost = sharing_cost(changed, one.resource, now, needed)
        if profile == NO_SHARING:
            yield f"share the cards of pool {one.pool}: a profile with replicas: {needed} ({cost})"
        else:
            yield f"sharing.profiles.{profile}: replicas: {needed} instead of {now} ({cost})"


def _replicas_needed(changed: Sequence[NodeOffer], now: int, one: PoolGuarantees) -> int | None:
    clients = [mps_clients(offer.product or "") for offer in changed if offer.strategy == "mps"]
    most = min([MAX_SEARCHED, now + one.promised, *clients])
    return smallest(now + 1, most, lambda replicas: _holds_with(one, _resliced(one, changed, replicas)))


def _resliced(one: PoolGuarantees, changed: Sequence[NodeOffer], replicas: int) -> dict[str, NodeRoom]:
    """The rooms with another number of slices on some nodes. What others use stays used."""
    rooms = dict(one.rooms)
    for offer in changed:
        used = offer.resources[one.resource] - rooms[offer.name].slices
        slices = offer.with_replicas(one.resource, replicas).resources[one.resource] - used
        rooms[offer.name] = replace(rooms[offer.name], slices=max(0, slices))
    return rooms


def _holds_with(one: PoolGuarantees, rooms: Mapping[str, NodeRoom]) -> bool:
    return replace(one, rooms=rooms).blocked is None


def _more_pods(own: Sequence[NodeOffer], one: PoolGuarantees) -> Iterator[str]:
    limits = {offer.max_pods for offer in own if offer.max_pods}

    def rooms(more: int) -> dict[str, NodeRoom]:
        return {
            name: replace(room, pods=None if room.pods is None else room.pods + more)
            for name, room in one.rooms.items()
        }

    now = max(limits, default=0)
    if now and (more := smallest(1, MAX_PODS - now, lambda more: _holds_with(one, rooms(more)))):
        yield f"pools.{one.pool}.kubeletArgs: {{max-pods: {now + more}}} instead of {now}"


def _more_hosts(own: Sequence[NodeOffer], one: PoolGuarantees) -> Iterator[str]:
    if not own:
        return
    model = max(own, key=lambda offer: (one.rooms[offer.name].slices, offer.name))
    room = one.rooms[model.name]

    def rooms(count: int) -> dict[str, NodeRoom]:
        return {**one.rooms, **{f"{model.name} {number}": room for number in range(count)}}

    if count := smallest(1, min(MAX_SEARCHED, one.promised), lambda count: _holds_with(one, rooms(count))):
        cards = count_noun(model.cards * count, "more card")
        yield f"{count_noun(count, 'more host')} like {model.name} ({cards}, {room.slices} slices each)"
