"""`adopt` with a kubeconfig: when it writes a stack file, what it says, and its exit status."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from k3sgpu.adoption.cluster_objects import ClusterObjects, SliceUser
from k3sgpu.cli import adopt
from k3sgpu.cli.main import main
from tests.data.adopted_cluster import RELEASE, objects, record

FILE = "Pulumi.lab.yaml"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, ClusterObjects]:
    """The cluster that is read, under "found"; the working directory is an empty folder."""
    held = {"found": objects()}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(adopt, "_read", lambda options: held["found"])
    return held


def run(*words: str) -> int:
    return main(["adopt", "lab", "--kubeconfig", "config", *words])


def written() -> dict[str, Any]:
    return yaml.safe_load(Path(FILE).read_text())["config"]


def test_stack_file_is_written_with_the_next_commands(
    cluster: dict[str, ClusterObjects], capsys: pytest.CaptureFixture[str]
):
    user = SliceUser("Deployment", "default", "test", 2, "nvidia.com/gpu", 2)
    cluster["found"] = ClusterObjects(**{**vars(objects()), "slice_users": (user,)})
    assert run("--context", "lab", "--chart", "./gpu-operator") == 0
    assert written()["k3s-gpu-sharing:kubeconfig"] == {"file": "config", "context": "lab"}
    operator = written()["k3s-gpu-sharing:gpuOperator"]
    assert (operator["release"], operator["chart"]) == (RELEASE, "./gpu-operator")
    said = capsys.readouterr().out
    assert "goes on running: Deployment default/test (2 × 2 nvidia.com/gpu)" in said
    assert f"{FILE} written. Next:" in said and "pulumi stack init lab" in said


def test_existing_stack_file_is_never_written_over(
    cluster: dict[str, ClusterObjects], capsys: pytest.CaptureFixture[str]
):
    Path(FILE).write_text("mine")
    assert run("--partial") == 2
    assert Path(FILE).read_text() == "mine" and "exists already" in capsys.readouterr().err


def test_what_cannot_be_expressed_writes_nothing_without_partial(
    cluster: dict[str, ClusterObjects], capsys: pytest.CaptureFixture[str]
):
    cluster["found"] = objects(record(status="failed"))
    assert run() == 1 and not Path(FILE).exists()
    said = capsys.readouterr().out
    assert "whose last operation is failed" in said and "was not written" in said
    assert run("--partial") == 1
    assert written()["k3s-gpu-sharing:gpuOperator"]["release"] == RELEASE


def test_json_names_the_file_and_the_problems(
    cluster: dict[str, ClusterObjects], capsys: pytest.CaptureFixture[str]
):
    cluster["found"] = objects(record(status="failed"))
    assert run("--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["file"] is None and answer["problems"][0]["where"] == "gpuOperator.release"


def test_stack_names_that_are_no_file_names_are_refused(
    cluster: dict[str, ClusterObjects], capsys: pytest.CaptureFixture[str]
):
    assert main(["adopt", "../lab", "--kubeconfig", "config"]) == 2
    assert "expected the name of a stack" in capsys.readouterr().err
