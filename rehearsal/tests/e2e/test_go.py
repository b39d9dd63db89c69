"""Runs the tests of our own Go programs."""

import pytest

from rehearsal.process import run
from rehearsal.progress import Progress
from rehearsal.toolchain import golang


@pytest.mark.parametrize("program", golang.OWN_PROGRAMS, ids=lambda program: program.module)
def test_go_tests(program: golang.Program) -> None:
    go = golang.toolchain(Progress())
    run(
        [go.command, "test", "./..."],
        timeout=600,
        cwd=program.source,
        env={"GOTOOLCHAIN": "local", "GOWORK": "off"},
    )
