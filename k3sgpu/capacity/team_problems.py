"""Problems of guarantees that cannot always be kept, with remedies."""

from collections.abc import Iterator, Sequence

from k3sgpu.capacity import team_remedies
from k3sgpu.capacity.offers import NodeOffer
from k3sgpu.capacity.team_guarantees import PoolGuarantees
from k3sgpu.capacity.wording import count_noun
from k3sgpu.settings import Problem


def guarantee_problems(
    offers: Sequence[NodeOffer], guarantees: Sequence[PoolGuarantees], later: Sequence[PoolGuarantees]
) -> Iterator[Problem]:
    """An error for each resource of a pool of which a guaranteed pod may stay Pending.

    A warning where that ends with the maintenance of hosts: `later` are the guarantees with them.
    """
    for one, after in zip(guarantees, later, strict=True):
        blocked = one.blocked
        if blocked is None:
            continue
        remedies = team_remedies.remedies_for(offers, one) or [
            "change several of guaranteed, perPod, replicas, hosts: no single one is enough"
        ]
        if after.blocked is None:
            remedies = ["end the maintenance of the pool's hosts", *remedies]
        yield Problem(
            where=_place(one),
            found=f"{_promises(one)}:\na guaranteed pod of {count_noun(blocked, 'slice')} can stay Pending"
            + _example(one, blocked),
            expected=f"guarantees that hold wherever other pods run; {_offered(one)}",
            remedy="one of these:\n" + "\n".join(f"- {remedy}" for remedy in remedies),
            severity="warning" if after.blocked is None else "error",
        )


def _place(one: PoolGuarantees) -> str:
    owners = [share.team for share in one.shares if share.guaranteed]
    return f"teams.{owners[0]}.guaranteed.{one.pool}" if len(owners) == 1 else "teams"


def _promises(one: PoolGuarantees) -> str:
    own = [f"{share.team} {share.guaranteed}" for share in one.shares if share.guaranteed]
    text = f"{one.guaranteed} {one.resource} of pool {one.pool} guaranteed ({', '.join(own)})"
    if one.outside:
        listed = ", ".join(f"{name} {slices}" for name, slices in sorted(one.outside.items()))
        text += f", and {sum(one.outside.values())} for workloads of no team ({listed})"
    return text


def _example(one: PoolGuarantees, request: int) -> str:
    """How other pods leave no node with room, where slices would be left."""
    taken = {name: room.slices_to_block(request) for name, room in one.rooms.items()}
    left = one.offered - sum(taken.values())
    if not left:
        return ""
    listed = [f"{number} on {name}" for name, number in sorted(taken.items()) if number][:3]
    if not listed:
        return ", because no node has so many"
    more = ", ..." if sum(map(bool, taken.values())) > len(listed) else ""
    return f" while {left} are free,\nwhen others have {', '.join(listed)}{more}"


def _offered(one: PoolGuarantees) -> str:
    verb = "offers" if len(one.rooms) == 1 else "offer"
    return f"the pool's {count_noun(len(one.rooms), 'node')} {verb} {one.offered} {one.resource}"
