"""The upload plans of a stack file, and their check when they come as JSON."""

import json
from pathlib import Path

import pytest

from k3sgpu import settings
from k3sgpu.cli.main import main
from k3sgpu.handoff.release_upload import UploadPlan, build_upload_plans, parse_upload_plan
from k3sgpu.problem import InputError
from k3sgpu.settings import ReleaseFiles
from tests.data.inventories import host_entry, inventory_of
from tests.data.stack_files import REMOVE, with_

VERSION = "v1.36.2+k3s1"
FILES: ReleaseFiles = {"amd64": {"k3s": "a" * 64, "install.sh": "b" * 64}}


def build(files: ReleaseFiles = FILES) -> dict[str, UploadPlan]:
    parsed = settings.parse(with_({"k3s/mirror": REMOVE, "k3s/airGap": "releases", "k3s/generation": 2}))
    hosts = host_entry("server-1"), host_entry("gpu-1", role="agent", waive=["swap"])
    return build_upload_plans(parsed, files, inventory_of(*hosts))


def test_every_host_has_a_plan_with_its_login_and_the_release():
    plans = build()
    assert plans.keys() == {"server-1", "gpu-1"}
    plan = plans["gpu-1"]
    assert parse_upload_plan(json.loads(json.dumps(plan))) == plan
    assert plan["release"] == {"folder": f"releases/{VERSION}", "version": VERSION, "files": FILES}
    assert (plan["host"]["name"], plan["host"]["role"], plan["generation"]) == ("gpu-1", "agent", 2)


def test_plan_holds_nothing_that_the_upload_does_not_need():
    assert not {"waive", "nodeIp", "gpu"} & build()["gpu-1"]["host"].keys()


def test_plan_holds_no_secret_and_no_path_of_this_computer():
    text = json.dumps(build())
    assert "PRIVATE KEY" not in text and str(Path.cwd()) not in text


def test_stack_without_release_files_has_no_plans():
    assert build({}) == {}


def test_wrong_plan_is_refused_with_the_place():
    plan = {**build()["gpu-1"], "generation": "2"}
    with pytest.raises(
        InputError, match=r"^the upload plan: generation: found '2'; expected a valid integer"
    ):
        parse_upload_plan(plan)


def test_stage_without_a_plan_names_the_variable(monkeypatch, capsys):
    monkeypatch.delenv("K3SGPU_UPLOAD_PLAN", raising=False)
    assert main(["stage"]) == 2 and "K3SGPU_UPLOAD_PLAN" in capsys.readouterr().err


def test_stage_with_a_wrong_plan_ends_with_2(monkeypatch, capsys):
    monkeypatch.setenv("K3SGPU_UPLOAD_PLAN", "{}")
    assert main(["stage"]) == 2 and "the upload plan: owner: found nothing" in capsys.readouterr().err
