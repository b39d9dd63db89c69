"""What the rehearsal tests share. They need root, and run from the project's root like everything here."""

import pytest

from rehearsal.lab.engine import ROOT

LONGEST_FIRST = ("lives", "faults", "topology", "sharing", "change", "probes", "settings", "operator")
"""Files that take minutes. `make e2e` gives whole files to its workers in this order: one that began late
would be waited for alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps the order within a file, whose tests share their machines."""
    places = {f"test_{name}": place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture(autouse=True, scope="session")
def in_project_root():
    """A stack file's relative paths, and the graph's own commands, start there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        yield
