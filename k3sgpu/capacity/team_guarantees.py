"""Whether the slices that teams are guaranteed can always be had, wherever all other pods run.

Guaranteed pods and pods of no team have the same priority, so none of them gives way to another; burst pods
always give way. A guaranteed pod stays Pending if and only if the other pods that do not give way leave no
node with room for it. The fewest slices with which they do so: of every node that offers enough, all but
one less than the pod requests, or one slice for each pod that the node's kubelet takes.
"""

from collections.abc import Iterable
from dataclasses import dataclass


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
