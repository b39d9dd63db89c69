"""The stage plan of a stack file, its check when it comes as JSON, and the record of the last run."""

import base64
import copy
import hashlib
import io
import json
from pathlib import Path

import pytest

from k3sgpu import settings
from k3sgpu.cli.main import main
from k3sgpu.handoff.environment import MAX_CHARACTERS
from k3sgpu.handoff.staging import (
    StagePlan,
    build_stage_plan,
    hosts_to_stage,
    parse_stage_plan,
    read_record,
    removed_hosts,
    stage_plan_json,
    write_record,
)
from k3sgpu.hosts.scripts import staged_hashes
from k3sgpu.problem import InputError
from k3sgpu.settings import ReleaseFiles
from tests.data.inventories import HOST_KEY, host_entry, inventory_of
from tests.data.stack_files import REMOVE, with_

HEADER = bytes(19)
"""What is before the 32 bytes of an ed25519 key."""
VERSION = "v1.36.2+k3s1"
FILES: ReleaseFiles = {"amd64": {"k3s": "a" * 64, "install.sh": "b" * 64}}
SCRIPTS = {"server": {"converge": "1" * 64, "drain": "2" * 64}, "agent": {"converge": "1" * 64}}


def build(agents: int = 2, files: ReleaseFiles = FILES) -> StagePlan:
    parsed = settings.parse(with_({"k3s/mirror": REMOVE, "k3s/airGap": "releases", "k3s/generation": 2}))
    agent_hosts = [host_entry(f"gpu-{i}", role="agent", waive=["swap"]) for i in range(1, agents + 1)]
    return build_stage_plan(parsed, files, inventory_of(*agent_hosts, host_entry("server-1")), SCRIPTS)


def to_stage(plan: StagePlan, before: StagePlan | None) -> list[str]:
    return [host["name"] for host in hosts_to_stage(plan, before)]


def test_plan_has_every_host_with_its_login_and_the_release():
    plan = build()
    assert parse_stage_plan(json.loads(stage_plan_json(plan))) == plan
    assert [(host["name"], host["role"]) for host in plan["hosts"]] == [
        ("gpu-1", "agent"),
        ("gpu-2", "agent"),
        ("server-1", "server"),
    ]
    release = plan["release"]
    assert (release["folder"], release["files"]) == (f"releases/{VERSION}", FILES)
    assert (release["version"], plan["generation"], plan["scripts"]) == (VERSION, 2, SCRIPTS)


def test_plan_holds_nothing_that_staging_does_not_need():
    assert not {"waive", "nodeIp", "gpu"} & build()["hosts"][0].keys()


def test_plan_holds_no_secret_and_no_path_of_this_computer():
    text = json.dumps(build())
    assert "PRIVATE KEY" not in text and str(Path.cwd()) not in text


def test_only_hosts_with_a_change_are_staged():
    before = build()
    assert to_stage(before, None) == ["gpu-1", "gpu-2", "server-1"]
    assert to_stage(before, before) == []
    assert to_stage(build(3), before) == ["gpu-3"]
    plan = copy.deepcopy(before)
    plan["scripts"]["server"]["drain"] = "3" * 64
    assert to_stage(plan, before) == ["server-1"]
    plan = copy.deepcopy(before)
    plan["hosts"][1]["hostKey"] = HOST_KEY[:-1] + "a"
    assert to_stage(plan, before) == ["gpu-2"]
    for key, value in {"version": "v1.36.3+k3s1", "mirror": "https://example.org"}.items():
        plan = copy.deepcopy(before)
        plan["release"][key] = value
        assert len(to_stage(plan, before)) == 3
    assert len(to_stage({**before, "generation": 3}, before)) == 3


def test_removed_hosts_are_known_from_the_record():
    plan, before = build(1), build(3)
    before["hosts"][1]["jump"] = "ops@10.0.0.1"
    assert [host["name"] for host in removed_hosts(plan, before)] == ["gpu-3"]
    assert removed_hosts(plan, None) == []


def test_record_brings_the_plan_back():
    plan = build(3)
    assert read_record(write_record(plan)) == plan
    for text in ("", "no base64", "e30=", write_record(plan)[:-8]):
        assert read_record(text) is None


def test_record_of_a_thousand_hosts_can_be_passed_on():
    plan = build(1000)
    for number, host in enumerate(plan["hosts"]):
        host["address"] = f"10.0.{number // 250}.{number % 250}"
        key = hashlib.sha256(host["name"].encode()).digest()
        host["hostKey"] = "ssh-ed25519 " + base64.b64encode(HEADER + key).decode()
    assert 0 < len(write_record(plan)) < MAX_CHARACTERS


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"generation": "2"}, "generation: found '2'; expected a valid integer"),
        ({"scripts": {"agent": {}}}, "host server-1: no scripts for the role server"),
    ],
)
def test_wrong_plan_is_refused_with_the_place(change: dict, words: str):
    with pytest.raises(InputError, match=rf"^the stage plan: {words}"):
        parse_stage_plan({**build(), **change})


def test_stage_without_a_plan_names_the_variable(monkeypatch, capsys):
    monkeypatch.delenv("K3SGPU_STAGE_PLAN", raising=False)
    assert main(["stage"]) == 2 and "K3SGPU_STAGE_PLAN" in capsys.readouterr().err


def test_stage_with_a_wrong_plan_ends_with_2(monkeypatch, capsys):
    monkeypatch.setenv("K3SGPU_STAGE_PLAN", "{}")
    assert main(["stage"]) == 2 and "the stage plan: owner: found nothing" in capsys.readouterr().err


def test_scripts_that_changed_since_the_plan_are_not_staged(monkeypatch, capsys):
    monkeypatch.setenv("K3SGPU_STAGE_PLAN", json.dumps(build()))
    assert main(["stage"]) == 2 and "run up again" in capsys.readouterr().err


def test_unchanged_hosts_are_not_contacted(monkeypatch, capsys):
    plan: StagePlan = {**build(files={}), "scripts": staged_hashes()}
    monkeypatch.setenv("K3SGPU_STAGE_PLAN", json.dumps(plan))
    monkeypatch.setenv("PULUMI_COMMAND_STDOUT", write_record(plan) + "\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("{}"))
    assert main(["stage"]) == 0
    assert read_record(capsys.readouterr().out.strip()) == plan
