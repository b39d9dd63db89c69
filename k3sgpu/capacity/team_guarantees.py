"""Whether the slices that teams are guaranteed can always be had, wherever all other pods run.

Guaranteed pods and pods of no team have the same priority, so none of them gives way to another; burst pods
always give way. A guaranteed pod stays Pending if and only if the other pods that do not give way leave no
node with room for it. The fewest slices with which they do so: of every node that offers enough, all but
one less than the pod requests, or one slice for each pod that the node's kubelet takes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from k3sgpu.capacity.team_shares import TeamShare


@dataclass(frozen=True)
class NodeRoom:
    """The slices of one resource that a node offers to guaranteed pods."""

    slices: int
    pods: int | None = None
    """How many pods its kubelet takes; None: any number."""

    def slices_to_block(self, request: int) -> int:
        """The fewest slices that other pods use where a pod with this request finds no room here."""
        enough = max(0, self.slices - request + 1)
        return enough if self.pods is None else min(enough, self.pods)

    def usable(self, per_pod: int) -> int:
        """The slices that pods of at most so many slices can use here."""
        return self.slices if self.pods is None else min(self.slices, self.pods * per_pod)


def slices_to_block(rooms: Iterable[NodeRoom], request: int) -> int:
    """The fewest slices that other pods use where a pod with this request finds no room on any node."""
    return sum(room.slices_to_block(request) for room in rooms)


def blocked_request(rooms: Iterable[NodeRoom], promised: int, largest: int) -> int | None:
    """The smallest request, up to `largest`, of a guaranteed pod that may stay Pending; None: none may.

    `promised` is the number of slices that all teams are guaranteed in sum, with those of pods of no team.
    """
    rooms = tuple(rooms)
    requests = range(1, min(largest, promised) + 1)
    return next((one for one in requests if promised - one >= slices_to_block(rooms, one)), None)


@dataclass(frozen=True)
class PoolGuarantees:
    """What is guaranteed of one resource of a pool, and the nodes on which it has to be found."""

    pool: str
    resource: str
    rooms: Mapping[str, NodeRoom]
    """By node."""
    shares: tuple[TeamShare, ...]
    outside: Mapping[str, int] = field(default_factory=dict)
    """By workload of no team that may run on these nodes: the slices of all its pods."""

    @property
    def guaranteed(self) -> int:
        """The slices that all teams together are guaranteed."""
        return sum(share.guaranteed for share in self.shares)

    @property
    def promised(self) -> int:
        """The slices of all pods that give way to none."""
        return self.guaranteed + sum(self.outside.values())

    @property
    def offered(self) -> int:
        """The slices of all nodes."""
        return sum(room.slices for room in self.rooms.values())

    def room(self, per_pod: int) -> int:
        """The slices that pods of no team leave to pods of at most so many slices."""
        usable = sum(room.usable(per_pod) for room in self.rooms.values())
        return max(0, usable - sum(self.outside.values()))

    @property
    def largest(self) -> int:
        """The largest request of a guaranteed pod."""
        return max((min(one.per_pod, one.guaranteed) for one in self.shares), default=0)

    @property
    def blocked(self) -> int | None:
        """The smallest request with which a guaranteed pod may stay Pending; None where none may."""
        return blocked_request(self.rooms.values(), self.promised, self.largest)


@dataclass(frozen=True)
class TeamRoom:
    """What a team can have of one resource of a pool."""

    team: str
    pool: str
    resource: str
    guaranteed: int
    proven: bool
    """Whether the guarantee can always be kept."""
    limit: int
    room: int
    """The slices of the pool that pods of no team leave to pods of this team."""

    @property
    def alone(self) -> int:
        """What the team may have while the other teams use nothing."""
        return min(self.limit, self.room)


def team_rooms(guarantees: Iterable[PoolGuarantees]) -> tuple[TeamRoom, ...]:
    """What each team can have, sorted by team."""
    found = [
        TeamRoom(
            team=share.team,
            pool=share.pool,
            resource=share.resource,
            guaranteed=share.guaranteed,
            proven=one.blocked is None,
            limit=share.limit,
            room=one.room(share.per_pod),
        )
        for one in guarantees
        for share in one.shares
    ]
    return tuple(sorted(found, key=lambda room: (room.team, room.pool, room.resource)))
