"""Each reported stack file is refused, warned about or accepted as its table says, within two seconds."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from k3sgpu import capacity
from k3sgpu import settings as s
from tests.data import reported_files as reported

FOLDER = Path(__file__).resolve().parents[2] / "data/reported"
EXPECTED = [reported.REFUSED, reported.WARNED, reported.ACCEPTED, reported.ELSEWHERE]
SECONDS = 2.0


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises TimeoutError when the block takes longer."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def problems(name: str) -> list[s.Problem]:
    """What `python -m k3sgpu fit` says about a file."""
    try:
        settings = s.read_stack_file(FOLDER / f"{name}.yaml")
    except s.SettingsError as refused:
        return list(refused.problems)
    fit = capacity.fit(settings, capacity.offers(settings))
    capacity.render_slice_map(fit)
    return [*settings.warnings, *fit.problems]


@pytest.mark.parametrize("name", reported.REFUSED)
def test_file_that_cannot_work_is_refused(name: str) -> None:
    with time_limit(SECONDS):
        errors = [one for one in problems(name) if one.severity == "error"]
    assert any(reported.REFUSED[name] in one.where for one in errors), errors


@pytest.mark.parametrize("name", reported.WARNED)
def test_doubtful_file_is_accepted_with_a_warning(name: str) -> None:
    with time_limit(SECONDS):
        found = problems(name)
    assert any(reported.WARNED[name] in one.where for one in found), found
    assert not [one for one in found if one.severity == "error"]


@pytest.mark.parametrize("name", reported.ACCEPTED | reported.ELSEWHERE)
def test_right_file_is_accepted(name: str) -> None:
    with time_limit(SECONDS):
        found = problems(name)
    assert not [one for one in found if one.severity == "error"]


def test_every_reported_file_is_in_one_table() -> None:
    listed = [name for table in EXPECTED for name in table]
    assert sorted(listed) == sorted(file.stem for file in FOLDER.iterdir())
