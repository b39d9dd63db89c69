"""The slices of each pool as members see them: which are free for them now, and what bounds them.

How the slices of other teams spread over the nodes is not visible to a member: only their sums are, in the
quotas. So "free" counts sums, and a pod of several slices surely fits only if it fits however they spread.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from k3sgpu.capacity import TeamShare
from k3sgpu.capacity.node_usage import whole_number
from k3sgpu.cluster.members.view import MemberView
from k3sgpu.cluster.objects import KubernetesObject, condition, status_of
from k3sgpu.settings import Rank
from k3sgpu.teams.facts import share_of_facts
from k3sgpu.teams.names import burst_quota, guaranteed_quota, member_quota, priority_class

RANKS: tuple[Rank, Rank] = ("guaranteed", "burst")
_SYSTEM_TAINTS = "node.kubernetes.io/"
"""Taints by which Kubernetes keeps pods off a node that has a fault or is cordoned."""


@dataclass(frozen=True)
class Count:
    """Slices that a quota counts."""

    used: int
    hard: int

    @property
    def left(self) -> int:
        """How many more may be used; none after a quota was lowered."""
        return max(0, self.hard - self.used)


@dataclass(frozen=True)
class Booking:
    """What one team has booked: its pods that run, and those that wait."""

    team: str
    guaranteed: Count
    burst: Count

    @property
    def used(self) -> int:
        """Slices of all its pods."""
        return self.guaranteed.used + self.burst.used


@dataclass(frozen=True)
class NodeSlices:
    """A node of a pool, and its slices that teams may use."""

    name: str
    slices: int
    """0 where it takes no pods."""
    trouble: str = ""
    """Why it takes no pods."""


@dataclass(frozen=True)
class Free:
    """What is free for pods of one rank."""

    slices: int
    surely: int
    """The most slices of one pod that finds room however the other pods spread over the nodes."""
    perhaps: int
    """The most slices of one pod that may find room."""
    bound: str
    """What keeps it from being more."""
    priority_class: str


@dataclass(frozen=True)
class PoolView:
    """One resource of one pool, for one member."""

    share: TeamShare
    nodes: tuple[NodeSlices, ...]
    outside: int
    """Slices that pods of no team may hold."""
    bookings: tuple[Booking, ...]
    member: Count | None
    """The member's own slices, where they are counted."""
    free: Mapping[Rank, Free]

    @property
    def own(self) -> Booking:
        """What the member's team has booked."""
        return next(one for one in self.bookings if one.team == self.share.team)

    @property
    def slices(self) -> int:
        """Slices of the nodes that take pods."""
        return sum(node.slices for node in self.nodes)


def pool_views(view: MemberView) -> list[PoolView]:
    """Returns the pools that the member's team may use, one entry for each resource."""
    shares = [share_of_facts(one) for one in view.facts["shares"]]
    return [_pool_view(view, share, shares) for share in shares if share.team == view.team]


def _pool_view(view: MemberView, share: TeamShare, shares: Sequence[TeamShare]) -> PoolView:
    pool, resource = share.pool, share.resource
    quotas = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in view.quotas}
    nodes = _nodes(view, pool, resource)
    bookings = tuple(
        Booking(
            one.team,
            _count(quotas.get((one.team, guaranteed_quota(pool))), resource, one.guaranteed),
            _count(quotas.get((one.team, burst_quota(pool))), resource, one.burst),
        )
        for one in shares
        if (one.pool, one.resource) == (pool, resource)
    )
    own = quotas.get((share.team, member_quota(pool, view.member))) if view.member else None
    member = _count(own, resource, share.limit) if own else None
    outside = view.facts["pools"][pool]["outside"].get(resource, 0)
    counted = view.member if view.member in share.accounts else None
    free: dict[Rank, Free] = {
        rank: _free(rank, share, nodes, bookings, member, outside, priority_class(rank, pool, counted))
        for rank in RANKS
    }
    return PoolView(share, nodes, outside, bookings, member, free)


def _free(
    rank: Rank,
    share: TeamShare,
    nodes: Sequence[NodeSlices],
    bookings: Sequence[Booking],
    member: Count | None,
    outside: int,
    name: str,
) -> Free:
    own = next(one for one in bookings if one.team == share.team)
    slices = sum(node.slices for node in nodes)
    booked = sum(one.guaranteed.used if rank == "guaranteed" else one.used for one in bookings)
    room = max(0, slices - outside - booked)
    bounds = [(room, "the room on the nodes")]
    if member:
        bounds.insert(0, (member.left, "what one member may use"))
    if rank == "guaranteed":
        bounds.insert(0, (own.guaranteed.left, "the team's guarantee"))
    else:
        bounds.insert(0, (own.burst.left, "the limit above the guarantee"))
    free, bound = min(bounds, key=lambda one: one[0])
    sizes = range(1, min(free, share.per_pod) + 1)
    offered = [node.slices for node in nodes]
    return Free(
        slices=free,
        surely=max((size for size in sizes if finds_room(offered, room, size)), default=0),
        perhaps=max((size for size in sizes if size <= max(offered, default=0)), default=0),
        bound=bound,
        priority_class=name,
    )


def finds_room(offered: Iterable[int], room: int, size: int) -> bool:
    """Whether a pod of `size` slices finds room on a node, however the free slices spread over the nodes.

    `offered`: by node; `room`: free slices of all nodes together.
    """
    return room > sum(min(slices, size - 1) for slices in offered)


def _nodes(view: MemberView, pool: str, resource: str) -> tuple[NodeSlices, ...]:
    found = {node["metadata"]["name"]: node for node in view.nodes}
    named = view.facts["pools"][pool]["nodes"]
    return tuple(
        _node(name, found.get(name), offer.get(resource, 0), resource) for name, offer in named.items()
    )


def _node(name: str, node: KubernetesObject | None, offered: int, resource: str) -> NodeSlices:
    trouble = "it is not in the cluster" if node is None else node_trouble(node)
    if node is None or trouble:
        return NodeSlices(name, 0, trouble)
    there = whole_number((status_of(node).get("allocatable") or {}).get(resource)) or 0
    if not there and offered:
        return NodeSlices(name, 0, f"its device plugin offers no {resource}")
    return NodeSlices(name, min(there, offered))


def node_trouble(node: KubernetesObject) -> str:
    """Why a node takes no pods; "" when it does."""
    ready = condition(node, "Ready")
    if ready.get("status") != "True":
        return f"it is not Ready ({ready.get('reason') or 'its kubelet says nothing'})"
    spec = node.get("spec") or {}
    if spec.get("unschedulable"):
        return "it is cordoned"
    taints = [one["key"] for one in spec.get("taints") or [] if one.get("effect") != "PreferNoSchedule"]
    return next((f"it has the taint {key}" for key in taints if key.startswith(_SYSTEM_TAINTS)), "")


def _count(quota: KubernetesObject | None, resource: str, default: int) -> Count:
    """What a quota counts; `default` is its number while the controller has not counted yet."""
    status, key = status_of(quota or {}), f"requests.{resource}"
    hard = whole_number((status.get("hard") or {}).get(key))
    used = whole_number((status.get("used") or {}).get(key))
    return Count(used or 0, default if hard is None else hard)
