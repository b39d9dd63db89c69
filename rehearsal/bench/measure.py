"""Numbers of a bench: series, how they were taken in turns, and what they come to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Series:
    """What one contender took for one case, round by round."""

    case: str
    contender: str
    values: tuple[float, ...]
    unit: str = "s"

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """Least and most."""
        return min(self.values), max(self.values)


@dataclass(frozen=True)
class Goal:
    """Something a part is held to: `found` against what it may be."""

    text: str
    met: bool
    found: str


@dataclass(frozen=True)
class Table:
    """Anything else that a part has to show."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Part:
    """One part of the bench, measured. `baseline` is the contender that others are compared with."""

    letter: str
    title: str
    about: str
    baseline: str
    series: tuple[Series, ...]
    goals: tuple[Goal, ...] = ()
    tables: tuple[Table, ...] = ()
    when: str = ""
    load: tuple[float, ...] = field(default_factory=tuple)
    """Load averages (one minute) of the computer: before, and after."""

    def of(self, case: str, contender: str) -> Series:
        """One series. Raises KeyError where it was not measured."""
        for one in self.series:
            if (one.case, one.contender) == (case, contender):
                return one
        raise KeyError(f"{case}, {contender}")


def ratio(one: Series, other: Series) -> float:
    """How many times the other's median this one's is."""
    return one.median / other.median if other.median else float("inf")


def within(text: str, one: Series, other: Series, limit: float) -> Goal:
    """The goal that one series takes at most `limit` times what the other takes."""
    found = ratio(one, other)
    return Goal(f"{text} ≤ {limit:g} ×", found <= limit, f"{found:.2f} ×")


def measure_in_turns(
    rounds: int, contenders: Mapping[str, Callable[[], float]], tell: Callable[[str], object]
) -> dict[str, tuple[float, ...]]:
    """Runs all contenders in each round, forth in one and back in the next; by name what each returned."""
    values: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        names = list(contenders)
        for name in names if number % 2 == 0 else names[::-1]:
            values[name].append(contenders[name]())
            tell(f"  round {number + 1} of {rounds}: {name}: {values[name][-1]:.2f}")
    return {name: tuple(found) for name, found in values.items()}


def linear(sizes: Mapping[int, float]) -> float:
    """How much more than proportionally the costs of growing by the last step grow: 1 is a straight line.

    `sizes`: cost by size. The slope from the last size but one to the last, over the slope before it.
    """
    (a, at_a), (b, at_b), (c, at_c) = sorted(sizes.items())[-3:]
    before, after = (at_b - at_a) / (b - a), (at_c - at_b) / (c - b)
    return after / before if before > 0 else float("inf")
