"""Processes that own machines, and those that a killed engine leaves."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pulumi import automation
from pulumi.automation import CommandResult

from rehearsal.lab import processes
from rehearsal.lab.engine import describe_end


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    running: list[subprocess.Popen[bytes]] = []
    yield running
    for one in running:
        one.kill()
        one.wait()


def sleeper(folder: Path, name: str) -> subprocess.Popen[bytes]:
    """A process called `name` that the engine in `folder` has started."""
    program = folder / name
    folder.mkdir(exist_ok=True)
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    return subprocess.Popen([program, "60"], env={**os.environ, "PULUMI_HOME": str(folder / "home")})


def test_process_is_known_until_it_ends(started: list[subprocess.Popen[bytes]]):
    started.append(one := subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
    identity = processes.identify(one.pid)
    assert identity and processes.is_alive(identity)
    assert not processes.is_alive(f"{one.pid} 1"), "another process had this id before"
    one.kill()
    one.wait()
    assert not processes.is_alive(identity) and processes.identify(one.pid) is None


def test_plugin_of_a_killed_engine_is_ended(tmp_path: Path, started: list[subprocess.Popen[bytes]]):
    started += [
        plugin := sleeper(tmp_path / "mine", "plugin"),
        other := sleeper(tmp_path / "other", "plugin"),
    ]
    assert processes.end_leftovers(tmp_path / "mine") == ["plugin"]
    assert plugin.wait(5) == -signal.SIGTERM and other.poll() is None
    assert processes.end_leftovers(tmp_path / "mine") == []


def test_plugin_of_a_running_engine_goes_on(tmp_path: Path, started: list[subprocess.Popen[bytes]]):
    started += [plugin := sleeper(tmp_path, "plugin"), sleeper(tmp_path, processes.ENGINE)]
    assert processes.end_leftovers(tmp_path) == []
    assert plugin.poll() is None


@pytest.mark.parametrize(
    ("code", "words"), [(255, "its reasons are above"), (-9, "was ended by SIGKILL"), (-15, "by SIGTERM")]
)
def test_killed_engine_differs_from_a_failed_one(code: int, words: str):
    error = automation.CommandError(CommandResult(stdout="", stderr="code: 7", code=code))
    assert words in describe_end("up", "dev", error)
