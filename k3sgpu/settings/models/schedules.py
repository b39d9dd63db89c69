"""Schedules of k3s's snapshots: those that robfig/cron reads (ParseStandard in github.com/robfig/cron v3)."""

import re
from collections.abc import Sequence
from typing import Annotated

from k3sgpu.settings.models.grammar import Text, either_case, refusal

_MONTHS: Sequence[str] = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_DAYS: Sequence[str] = "sun mon tue wed thu fri sat".split()
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
"""Of minute, hour, day of the month, month and day of the week."""
_NUMBERS = (
    "[0-5]?[0-9]",
    "(?:2[0-3]|[01]?[0-9])",
    "(?:3[01]|[12][0-9]|0?[1-9])",
    "(?:1[0-2]|0?[1-9])",
    "0?[0-6]",
)
_LONGEST_MONTHS = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
_EXPECTED = (
    "five fields of cron, minute (0-59) hour (0-23) day (1-31) month (1-12) weekday (0-6, Sunday is 0),\n"
    "or @hourly, @daily, @weekly, @monthly, @yearly, @every 6h"
)
_EXAMPLE = 'write for instance "0 */6 * * *"'


def _field(number: str, names: Sequence[str]) -> str:
    value = "|".join([number, *map(either_case, names)])
    one = rf"(?:\*|\?|(?:{value})(?:-(?:{value}))?)(?:/[0-9]{{1,2}})?"
    return f"{one}(?:,{one})*"


_FIELDS = [
    _field(number, names) for number, names in zip(_NUMBERS, ([], [], [], _MONTHS, _DAYS), strict=True)
]
_NAMED = "@(?:yearly|annually|monthly|weekly|daily|midnight|hourly)"
_EVERY = r"@every (?=[0-9.hms]*[1-9])(?:[0-9]{1,6}(?:\.[0-9]{1,3})?[hms])+"


def _values(text: str, least: int, most: int, names: Sequence[str]) -> set[int]:
    """The values of one field. Raises `refusal` for a range that runs backwards and for a step of 0."""

    def number(word: str) -> int:
        return names.index(word.lower()) + (1 if names is _MONTHS else 0) if word.isalpha() else int(word)

    values: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        start = least if first in ("*", "?") else number(first)
        end = number(last) if last else most if step or first in ("*", "?") else start
        if start > end or step == "0" or step == "00":
            raise refusal(f"{_EXPECTED}; {part} names no time", _EXAMPLE)
        values |= set(range(start, end + 1, int(step or 1)))
    return values


def _check_times(text: str) -> None:
    """Raises `refusal` for fields that name no time, and for a day that none of the months has."""
    if text.startswith("@"):
        return
    fields = [
        _values(field, *limits, names)
        for field, limits, names in zip(text.split(" "), _RANGES, ([], [], [], _MONTHS, _DAYS), strict=True)
    ]
    days, months, any_weekday = fields[2], fields[3], re.match(r"[*?]", text.split(" ")[4])
    if any_weekday and all(min(days) > _LONGEST_MONTHS.get(month, 31) for month in months):
        raise refusal(f"{_EXPECTED}; a day that one of the months has", _EXAMPLE)


Schedule = Annotated[
    str,
    Text(f"{_NAMED}|{_EVERY}|{' '.join(_FIELDS)}", 200, _EXPECTED, _EXAMPLE, further=_check_times),
]
