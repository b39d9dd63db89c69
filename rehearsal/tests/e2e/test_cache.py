"""An entry of the cache is complete or absent, and is built once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rehearsal.process import RehearsalError
from rehearsal.progress import Progress
from rehearsal.toolchain import cache

# Builds an entry in a process of its own; the second argument is the duration in seconds.
BUILDER = """
import pathlib, sys, time
from rehearsal.toolchain import cache
from rehearsal.progress import Progress
pathlib.Path.home = classmethod(lambda cls: pathlib.Path(sys.argv[1]))
def build(place):
    (place / "part").write_text("built")
    time.sleep(float(sys.argv[2]))
cache.entry("thing", "key", build, Progress(), "building a thing")
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, so that the real cache is left alone."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    return tmp_path


def start(home: Path, seconds: float) -> subprocess.Popen[str]:
    """Starts a builder process."""
    command = [sys.executable, "-c", BUILDER, str(home), str(seconds)]
    project = Path(cache.__file__).resolve().parents[2]
    return subprocess.Popen(command, cwd=project, stderr=subprocess.PIPE, text=True)


def entries() -> list[str]:
    """The entries of the cache without lock files."""
    return sorted(path.name for path in cache.folder().glob("*") if path.suffix != ".lock")


def test_a_killed_build_leaves_no_entry(home: Path) -> None:
    killed = start(home, 60)
    deadline = time.monotonic() + 20
    while not list(cache.folder().glob(".*.partial/part")):
        assert time.monotonic() < deadline, "the build did not begin"
        time.sleep(0.05)
    killed.kill()
    killed.communicate()
    assert [name for name in entries() if not name.startswith(".")] == []
    place = cache.entry(
        "thing", "key", lambda place: place.joinpath("part").touch(), Progress(), "building again"
    )
    assert [path.name for path in place.iterdir()] == ["part"]
    assert entries() == ["thing-key"]


def test_two_runs_build_an_entry_once(home: Path) -> None:
    said = "".join(builder.communicate(timeout=30)[1] for builder in [start(home, 1), start(home, 1)])
    assert said.count("done in") == 1
    assert entries() == ["thing-key"]


def test_a_failed_build_leaves_nothing() -> None:
    def fail(place: Path) -> None:
        place.joinpath("part").touch()
        raise RehearsalError("no")

    with pytest.raises(RehearsalError, match="no"):
        cache.entry("thing", "key", fail, Progress(), "building a thing")
    assert entries() == []


def test_waiting_for_a_lock_is_bounded(home: Path) -> None:
    path = home / "lock"
    with (
        cache.lock(path, Progress(), "first"),
        pytest.raises(RehearsalError, match="second: another run has held"),
        cache.lock(path, Progress(), "second", seconds=0.3),
    ):
        pass


def test_the_key_covers_names_contents_and_modes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    seen = {cache.digest_of_files(source)}
    (source / "a").write_text("1")
    seen.add(cache.digest_of_files(source))
    (source / "a").write_text("2")
    seen.add(cache.digest_of_files(source))
    (source / "a").chmod(0o755)
    seen.add(cache.digest_of_files(source))
    (source / "a").rename(source / "b")
    seen.add(cache.digest_of_files(source))
    assert len(seen) == 5
    (source / ".hidden").write_text("x")
    assert cache.digest_of_files(source) in seen


def test_unused_entries_are_removed(tmp_path: Path) -> None:
    month_ago = time.time() - 30 * 86400
    names = {name: f"{name}-{cache.digest(name)}" for name in ("used", "unused", "venv")}
    for name in names.values():
        (cache.folder() / name / "folder").mkdir(parents=True)
        os.utime(cache.folder() / name, (month_ago, month_ago))
    cache.entry("used", cache.digest("used"), lambda _: None, Progress(), "using it")
    assert cache.remove_unused(days=14) == [names["unused"]]
    assert entries() == [names["used"], names["venv"]]
