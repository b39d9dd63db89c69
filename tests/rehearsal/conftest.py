"""What the rehearsal tests share. They need root, and run from the project's root like everything here."""

import pytest

from rehearsal.engine import ROOT


@pytest.fixture(autouse=True, scope="session")
def in_project_root():
    """A stack file's relative paths, and the graph's own commands, start there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        yield
