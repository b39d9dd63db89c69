"""The stand-ins for Pulumi's plugins, as processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from rehearsal.lab.engine import ROOT

PLUGIN = """
import contextlib, sys, threading, time
from pathlib import Path
from rehearsal.simulators.plugins.server import StandIn, serve

class Slow(StandIn):
    name, version = "slow", "1.0.0"

    def __init__(self, log):
        super().__init__(log)
        threading.Thread(target=self.work, args=sys.argv[1:]).start()

    def work(self, file, call):
        with self.outliving_engine() if call == "release" else contextlib.nullcontext():
            time.sleep(3)
            Path(file).touch()

serve(Slow, [])
"""


@pytest.mark.parametrize("call", ["release", "other"])
def test_only_a_release_in_progress_outlives_the_engine(tmp_path: Path, call: str):
    finished = tmp_path / "finished"
    plugin = [sys.executable, "-c", PLUGIN, str(finished), call]
    engine = subprocess.Popen(
        ["sh", "-c", '"$@" & wait', "engine", *plugin], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert engine.stdout
    assert engine.stdout.readline().strip().isdigit(), "the plugin's port"
    engine.kill()
    engine.communicate(timeout=30)  # the plugin holds the pipe until it ends
    assert finished.exists() == (call == "release")
