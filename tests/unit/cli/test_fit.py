"""The command fit: exit status, output, JSON, the drawing, a running cluster."""

import io
import json
import subprocess
import sys
import xml.etree.ElementTree as tree
from pathlib import Path
from typing import Any

import pytest
import yaml

from k3sgpu.cli.main import main
from tests.data.stack_files import RESOURCES, with_

ROOT = Path(__file__).resolve().parents[3]


def written(folder: Path, changes: dict[str, Any]) -> str:
    """A stack file with the good settings, changed."""
    config = {f"k3s-gpu-sharing:{key}": value for key, value in with_(changes).items()}
    file = folder / "Pulumi.x.yaml"
    file.write_text(json.dumps({"config": config}))
    return str(file)


@pytest.mark.parametrize(
    ("changes", "status", "out", "err"),
    [
        ({}, 0, "4 of 6 slices taken", ""),
        ({"workloads/w/replicas": 4}, 1, "0/2 nodes are available: 2 Insufficient nvidia.com/gpu.", ""),
        ({"workloads/w/replicas": 4, "fit": "off"}, 1, "Pending (1)", ""),
        ({"workloads/w/nodeSelector": {"zone": "a"}}, 0, "1 warning", ""),
        ({f"{RESOURCES}/0/replicas": 1}, 2, "", "number of replicas must be >= 2"),
    ],
    ids=["fits", "does not fit", "does not fit, fit off", "undecided", "refused"],
)
def test_command_exit_status_and_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any], status: int, out: str, err: str,
) -> None:  # fmt: skip
    assert main(["fit", "--file", written(tmp_path, changes)]) == status
    printed = capsys.readouterr()
    assert out in printed.out and err in printed.err
    assert bool(printed.out) == bool(out) and bool(printed.err) == bool(err)


@pytest.mark.parametrize(
    ("changes", "status", "fits"),
    [({}, 0, True), ({"workloads/w/replicas": 4}, 1, False), ({"fit": "x"}, 2, None)],
)
def test_command_json_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any], status: int, fits: bool | None,
) -> None:  # fmt: skip
    assert main(["fit", "--file", written(tmp_path, changes), "--json"]) == status
    reported = json.loads(capsys.readouterr().out)
    assert reported.get("fits") is fits
    assert bool(reported["problems"]) == bool(status)
    if status == 0:
        assert reported["totals"] == {"nvidia.com/gpu": {"taken": 4, "offered": 6}}
        assert reported["placements"] == {"w#1": "gpu-1", "w#2": "gpu-1"}


def test_command_counts_pods_of_a_running_cluster(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = {"kind": "Node", "metadata": {"name": "gpu-1"}, "status": {"allocatable": {"nvidia.com/gpu": "6"}}}
    asks = {"resources": {"requests": {"nvidia.com/gpu": "3"}}}
    pod = {
        "kind": "Pod",
        "metadata": {"name": "other", "namespace": "default"},
        "spec": {"nodeName": "gpu-1", "containers": [asks]},
    }
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"items": [node, pod]})))
    assert main(["fit", "--file", written(tmp_path, {}), "--cluster", "-"]) == 1
    assert "1 of 2 pods stays Pending" in capsys.readouterr().out
    objects = tmp_path / "objects.json"
    objects.write_text(json.dumps({"items": [node]}))
    assert main(["fit", "--file", written(tmp_path, {}), "--cluster", str(objects)]) == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"items": [1]}',
        "[" * 100_000,
        '{"items": [{"kind": "Node"}]}',
        '{"items": [{"kind": "Node", "metadata": {"name": "a"}, "spec": 5}]}',
        '{"items": [{"kind": "Pod", "metadata": {}, "spec": {"nodeName": "a", "containers": [5]}}]}',
        '{"items": [{"kind": "Node", "metadata": {"name": ["a"]}}]}',
        None,
    ],
)
def test_command_refuses_input_without_nodes_and_pods(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    file = tmp_path / "objects.json"
    if text is not None:
        file.write_text(text)
    assert main(["fit", "--file", written(tmp_path, {}), "--cluster", str(file)]) == 2
    assert "kubectl get nodes,pods" in capsys.readouterr().err


def test_command_refuses_an_endless_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--file", written(tmp_path, {}), "--cluster", "/dev/zero"]) == 2
    assert "larger than 256 MiB" in capsys.readouterr().err


def test_command_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "k3sgpu", "fit", "--file", "Pulumi.single.yaml"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "4 of 6 slices taken" in ran.stdout


def test_command_writes_the_drawing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    target = tmp_path / "fit.svg"
    assert main(["fit", "--file", "Pulumi.dev.yaml", "--svg", str(target)]) == 0
    assert tree.fromstring(target.read_text()).tag.endswith("svg")


def test_json_contains_the_memory_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = with_({"workloads": {"a": {"replicas": 6, "memoryMiB": 30000}}, "memory": "enforce"})
    file = tmp_path / "Pulumi.x.yaml"
    file.write_text(yaml.safe_dump({"config": {f"k3s-gpu-sharing:{key}": raw[key] for key in raw}}))
    assert main(["fit", "--file", str(file), "--json"]) == 1
    (load,) = json.loads(capsys.readouterr().out)["memory"]
    assert (load["most_mib"], load["memory_mib"], load["fits"]) == (180000, 143771, False)


def test_drawing_that_cannot_be_written_is_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for target in (tmp_path, tmp_path / "none" / "fit.svg", tmp_path / "a\0b"):
        assert main(["fit", "--file", written(tmp_path, {}), "--svg", str(target)]) == 2
        assert "cannot be written" in capsys.readouterr().err


def a_pod(name: str, kind: str, created: str) -> dict[str, Any]:
    """A pod of team vision with one slice of gpu-1."""
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "vision", "creationTimestamp": created},
        "spec": {
            "nodeName": "gpu-1",
            "priorityClassName": kind,
            "containers": [{"resources": {"requests": {"nvidia.com/gpu": "1"}}}],
        },
        "status": {"phase": "Running"},
    }


def test_command_shows_what_teams_use_and_whom_up_evicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    vision = {"members": ["ana"], "guaranteed": {"rtx": 2}, "limit": {"rtx": 5}}
    file = written(tmp_path, {"teams": {"vision": vision, "idle": {"limit": {"rtx": 1}}}, "workloads": {}})
    pods = [
        a_pod("first", "guaranteed-rtx", "2026-11-30T10:00:00Z"),
        a_pod("last", "guaranteed-rtx", "2026-11-30T10:02:00Z"),
        a_pod("middle", "guaranteed-rtx", "2026-11-30T10:01:00Z"),
        a_pod("more", "burst-rtx", "2026-11-30T10:03:00Z"),
    ]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps({"items": pods}).encode())))
    assert main(["fit", "--file", file, "--cluster", "-"]) == 0
    said = capsys.readouterr().out
    assert "vision  rtx            2      5            5     4            1     0           2" in said
    assert "4 of 6 slices taken" in said and "outside the stack" not in said
    assert "pulumi up evicts 1 pod of teams:\n  vision/last: team vision may have 2 nvidia.com/gpu" in said
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps({"items": pods}).encode())))
    main(["fit", "--file", file, "--cluster", "-", "--json"])
    reported = json.loads(capsys.readouterr().out)
    idle, busy = reported["teams"]
    assert (idle["alone"], idle["free"], busy["used"]) == (
        1,
        {"guaranteed": 0, "burst": 1},
        {"guaranteed": 3, "burst": 1},
    )
    assert [one["pod"]["name"] for one in reported["evictions"]] == ["last"]
