"""Series of measurements, how contenders alternate, and goals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Series:
    """The values of one contender in one case, round by round."""

    case: str
    contender: str
    values: tuple[float, ...]
    unit: str = "s"

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest value."""
        return min(self.values), max(self.values)


@dataclass(frozen=True)
class Limit:
    """In `case`, `contender` is to take at most `times` the median of `other`."""

    case: str
    contender: str
    other: str
    times: float


@dataclass(frozen=True)
class Goal:
    """A limit for a part, what was found, and whether it is met."""

    text: str
    met: bool
    found: str
    limit: Limit | None = None
    """For a goal that compares two medians: the chart draws it."""


@dataclass(frozen=True)
class Table:
    """A table of further figures."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Part:
    """A measured part. The other contenders are compared with `baseline`."""

    letter: str
    title: str
    about: str
    baseline: str
    series: tuple[Series, ...]
    goals: tuple[Goal, ...] = ()
    tables: tuple[Table, ...] = ()
    when: str = ""
    load: tuple[float, ...] = field(default_factory=tuple)
    """The computer's load averages (one minute) before and after."""

    def of(self, case: str, contender: str) -> Series:
        """The series of a case and contender. Raises KeyError when it was not measured."""
        for one in self.series:
            if (one.case, one.contender) == (case, contender):
                return one
        raise KeyError(f"{case}, {contender}")


def ratio(one: Series, other: Series) -> float:
    """The ratio of two medians."""
    return one.median / other.median if other.median else float("inf")


def within(text: str, one: Series, other: Series, limit: float) -> Goal:
    """The goal that the median of `one` is at most `limit` times that of `other`."""
    found = ratio(one, other)
    drawn = Limit(one.case, one.contender, other.contender, limit)
    return Goal(f"{text} ≤ {limit:g} ×", found <= limit, f"{found:.2f} ×", drawn)


def measure_in_turns(
    rounds: int, contenders: Mapping[str, Callable[[], float]], log: Callable[[str], object]
) -> dict[str, tuple[float, ...]]:
    """Runs all contenders in each round, in reverse order in every second one. Returns the values by name."""
    values: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        names = list(contenders)
        for name in names if number % 2 == 0 else names[::-1]:
            values[name].append(contenders[name]())
            log(f"  round {number + 1} of {rounds}: {name}: {values[name][-1]:.2f}")
    return {name: tuple(found) for name, found in values.items()}


def linear(sizes: Mapping[int, float]) -> float:
    """The slope between the last two sizes, divided by the slope before: 1 is a straight line.

    `sizes` has the cost by size.
    """
    (a, at_a), (b, at_b), (c, at_c) = sorted(sizes.items())[-3:]
    before, after = (at_b - at_a) / (b - a), (at_c - at_b) / (c - b)
    return after / before if before > 0 else float("inf")
