"""The table of teams: the slices that each can always have, may have and uses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from k3sgpu.capacity.team_guarantees import TeamRoom


@dataclass(frozen=True)
class TeamUse:
    """The slices that running pods of a team use, by their rank."""

    guaranteed: int = 0
    burst: int = 0

    @property
    def total(self) -> int:
        """Of both ranks."""
        return self.guaranteed + self.burst


NO_USE = TeamUse()


def team_lines(
    teams: Sequence[TeamRoom], used: Mapping[tuple[str, str, str], TeamUse] | None = None
) -> list[str]:
    """A line for each team and each resource of its pools; with `used` what is used and free now."""
    if not teams:
        return []
    several = len({(room.pool, room.resource) for room in teams}) > len({room.pool for room in teams})
    head = ["team", "pool", *(["resource"] if several else []), "guaranteed", "limit", "others idle"]
    if used is not None:
        head += ["used", "of it burst", "free", "free burst"]
    rows = [head, *(_row(room, several, teams, used) for room in teams)]
    names = head.index("guaranteed")
    widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
    lines = [
        "  ".join(
            f"{cell:<{width}}" if at < names else f"{cell:>{width}}"
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    doubtful = sorted({room.pool for room in teams if not room.proven})
    notes = [f"Guarantees in pool {pool} cannot always be kept." for pool in doubtful]
    return [
        "Slices of teams (others idle: what a team may have while the other teams use none)",
        *lines,
        *notes,
    ]


def _row(
    room: TeamRoom,
    several: bool,
    teams: Sequence[TeamRoom],
    used: Mapping[tuple[str, str, str], TeamUse] | None,
) -> list[str]:
    cells = [room.team, room.pool, *([room.resource] if several else [])]
    numbers = [room.guaranteed, room.limit, room.alone]
    if used is not None:
        own = used.get((room.team, room.pool, room.resource), NO_USE)
        numbers += [own.total, own.burst, *free_slices(room, teams, used)]
    return [*cells, *map(str, numbers)]


def free_slices(
    room: TeamRoom, teams: Sequence[TeamRoom], used: Mapping[tuple[str, str, str], TeamUse]
) -> tuple[int, int]:
    """What the team can have more now: guaranteed, whatever others use, and burst."""
    own = used.get((room.team, room.pool, room.resource), NO_USE)
    others = [one for one in teams if (one.pool, one.resource) == (room.pool, room.resource)]
    taken = sum(used.get((one.team, one.pool, one.resource), NO_USE).total for one in others)
    guaranteed = max(0, room.guaranteed - own.guaranteed)
    burst = max(0, room.limit - room.guaranteed - own.burst)
    return guaranteed, max(0, min(burst, room.room - taken))
