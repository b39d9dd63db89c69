"""The measurement of who suffers beside a misbehaving program, and its CUDA programs on a pretended card."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rehearsal.proof import who_suffers
from rehearsal.toolchain import c_programs
from rehearsal.toolchain.c_programs import CProgram

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no C compiler")


@pytest.fixture(scope="module")
def programs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    fake = CProgram("libcuda.so.1", Path(__file__).parent, ("fake_cuda.c",), ("-shared", "-fPIC"))
    for program in (*c_programs.card_programs(), fake):
        c_programs.compile_into(folder, program)
    return folder


def run(programs: Path, *words: str, **environment: str) -> tuple[int, list[str]]:
    environment = {**os.environ, "LD_LIBRARY_PATH": str(programs), **environment}
    command = [programs / words[0], *words[1:]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout.splitlines()


def test_card_test_names_the_card_and_passes(programs):
    assert run(programs, "card-test") == (
        0,
        ["1 device(s), Fake card, UUID GPU-00112233-4455-6677-8899-aabbccddeeff, wrong 0: Test PASSED"],
    )


def test_card_test_names_the_call_that_failed(programs):
    status, lines = run(programs, "card-test", FAKE_CUDA_DEVICES="0")
    assert status == 1
    assert lines == ["0 device(s): cuInit: text of the error (100 CUDA_ERROR_NO_DEVICE): Test FAILED"]
    status, lines = run(programs, "card-test", "--memory-percent", "99")
    assert status == 1 and "cuMemAlloc: text of the error (2 CUDA_ERROR_OUT_OF_MEMORY)" in lines[-1]


def test_card_test_repeats_and_prints_lines_of_json(programs):
    status, lines = run(programs, "card-test", "--seconds", "0.4", "--interval", "0.2")
    line = json.loads(lines[0])
    assert status == 0 and lines[-1].endswith("wrong 0: Test PASSED")
    assert line["launches"] > 0 and line["wrong"] == 0 and line["longest_ms"] >= line["median_ms"] > 0


@pytest.mark.parametrize(("way", "error"), [("illegal-address", "700"), ("trap", "719")])
def test_misbehave_says_which_error_it_got(programs, way, error):
    status, lines = run(programs, "misbehave", way)
    assert status == 1 and who_suffers.error_of(lines[-1])["error"].startswith(error)


def test_a_case_records_both_programs(programs):
    environment = {"LD_LIBRARY_PATH": str(programs)}
    case = who_suffers.measure_beside(
        who_suffers.Way("hold", ("misbehave", "hold-memory")), programs, environment
    )
    assert case["misbehaver"] == "begun: 819 MiB taken"
    assert case["neighbour"]["beside"]["launchesPerSecond"] > 0
    assert case["newProgram"]["after"]["seconds"] > 0
    assert case["misbehaverDied"] and case["neighbourDied"]


def steady_with(*lines: tuple[float, str]) -> who_suffers.Program:
    program = who_suffers.Program([sys.executable, "-c", "import time; time.sleep(60)"], {})
    program.lines = list(lines)
    return program


def line(launches: int, longest: float = 2.0) -> str:
    return json.dumps({"launches": launches, "median_ms": 1.0, "longest_ms": longest, "wrong": 0})


def test_progress_leaves_out_launches_from_before():
    with steady_with((9.8, line(9000)), (10.3, line(9000)), (10.8, line(50)), (11.3, line(60))) as program:
        found = who_suffers.progress(program, 10.0, 11.5)
    assert found["launchesPerSecond"] == 110.0 and found["longestMs"] == 2.0


def test_progress_tells_a_standstill_from_an_error():
    with steady_with((9.8, line(100))) as program:
        assert who_suffers.progress(program, 10.0, 12.0) == {"stalledSeconds": 2.2}
        program.stop()
        program.lines.append((11.0, "1 device(s), x: cuCtxSynchronize: text (719 CUDA_ERROR_LAUNCH_FAILED)"))
        error = {"call": "cuCtxSynchronize", "error": "719 CUDA_ERROR_LAUNCH_FAILED"}
        assert who_suffers.progress(program, 10.0, 12.0) == error


def test_a_program_that_ignores_sigterm_is_killed(monkeypatch):
    monkeypatch.setattr(who_suffers, "DEATH_DEADLINE", 0.3)
    deaf = "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print(1, flush=True); time.sleep(60)"
    with who_suffers.Program([sys.executable, "-c", deaf], {}) as program:
        assert program.wait(10, lambda: program.lines)
        begin = time.monotonic()
        assert program.stop(who_suffers.signal.SIGTERM)
        assert time.monotonic() - begin < 5


def test_measuring_one_way_keeps_the_others(tmp_path, monkeypatch):
    facts = {"card": "x", "memoryMiB": 1, "driver": "580", "computeMode": "Default"}
    monkeypatch.setattr(who_suffers, "SHARINGS", ("time-slicing",))
    monkeypatch.setattr(who_suffers, "card", lambda: facts)
    monkeypatch.setattr(who_suffers, "measure_alone", lambda *_: {})
    output = tmp_path / "found.json"

    def ways(*names: str, run: int, seconds: float = 60) -> dict[str, int]:
        monkeypatch.setattr(who_suffers, "measure_beside", lambda *_: {"run": run})
        who_suffers.measure_all(tmp_path, output, seconds, names)
        [sharing] = json.loads(output.read_text())["sharings"]
        return {case["way"]: case["run"] for case in sharing["cases"]}

    assert ways("trap", "take-memory", run=1) == {"take-memory": 1, "trap": 1}
    assert ways("trap", run=2) == {"take-memory": 1, "trap": 2}
    assert ways("trap", run=3, seconds=-1) == {"take-memory": 1, "trap": 2}
    facts["driver"] = "581"
    assert ways("trap", run=3) == {"trap": 3}
