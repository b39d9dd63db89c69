"""What the rehearsal tests share. They need root, and run from the project's root like everything here."""

import pytest

from rehearsal.lab.engine import ROOT
from rehearsal.toolchain import host

LONGEST_FIRST = (
    "node_lifecycle",
    "faults",
    "topology",
    "adopt",
    "sharing",
    "card_access",
    "real_operands",
    "real_node",
    "change",
    "nvidia_programs",
    "probes",
    "settings",
    "operator",
    "team_guarantees",
)
"""Test files that take minutes. `make e2e` gives whole files to its workers in this order, so that no long
one starts last and runs alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts the files; tests within a file keep their order, because they share machines."""
    places = {f"test_{name}": place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture(scope="session")
def real_kubelets() -> None:
    """Skips what needs real kubelets where this computer cannot carry them: kwok is all that it can run."""
    if reason := host.can_carry_kubelets():
        pytest.skip(f"this computer: {reason}")


@pytest.fixture(autouse=True, scope="session")
def in_project_root():
    """A stack file's relative paths, and the graph's own commands, start there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        yield
