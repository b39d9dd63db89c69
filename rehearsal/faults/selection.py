"""Which entries of the catalogue run, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import get_args

from rehearsal.faults.fault import Fault, Scope, When


def select(names: str, catalogue: Mapping[str, Fault], sample: Sequence[str]) -> list[Fault]:
    """The entries of `FAULTS=…`: `all`, names or areas separated by commas; without any, the sample.

    Raises ValueError for an unknown name.
    """
    wanted = [name for name in names.split(",") if name] or list(sample)
    areas = {entry.area for entry in catalogue.values()}
    if unknown := [name for name in wanted if name not in {"all", *areas, *catalogue}]:
        raise ValueError(
            f"FAULTS: no fault or area is called {', '.join(unknown)}; "
            f"the areas are {', '.join(sorted(areas))}, the faults {', '.join(sorted(catalogue))}"
        )
    chosen = [entry for entry in catalogue.values() if {"all", entry.area, entry.name} & set(wanted)]
    return order_for_reuse(chosen)


def order_for_reuse(faults: Sequence[Fault]) -> list[Fault]:
    """Sorts entries so that clusters are built as rarely as possible.

    By scope: one first `up`; previews, changes and refreshes on the cluster that it made; then each destroy,
    followed by the next first `up`; upgrades last.
    """
    ordered: list[Fault] = []
    for scope in get_args(Scope):
        by_when = {when: [f for f in faults if (f.scope, f.when) == (scope, when)] for when in get_args(When)}
        firsts, destroys = by_when["first up"], by_when["destroy"]
        ordered += [*firsts[:1], *by_when["preview"], *by_when["change"], *by_when["refresh"]]
        for pair in zip_longest(destroys, firsts[1:]):
            ordered += [entry for entry in pair if entry]
        ordered += by_when["upgrade"]
    return ordered
