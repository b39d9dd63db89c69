"""A release on this computer, and its upload in the whole graph."""

import json
from pathlib import Path

import pulumi
import pytest
import yaml

from tests.program.conftest import stack_config
from tools import mocked_program as g
from tools.plan import make_release, planned, violations

VERSION = "v1.36.2+k3s1"
CHANGED = {"cluster-preflight", "cluster-server-server-1", "cluster-upkeep-gpu-1", "cluster-agent-gpu-1"}


def with_air_gap() -> dict:
    config = stack_config("dev")
    del config["k3s"]["mirror"]
    config["k3s"]["airGap"] = "releases"
    return config


@pytest.fixture
def uploaded(in_project: Path) -> g.Graph:
    make_release(in_project, VERSION)
    return g.run(with_air_gap())


def test_upload_follows_the_teardown_command_and_precedes_converge(uploaded: g.Graph):
    plain = g.run(stack_config("dev"))
    names = {one.name for one in uploaded} - {one.name for one in plain}
    assert names == {"cluster-bring-server-1", "cluster-bring-gpu-1"}
    assert {r.name for r in plain if r.inputs != uploaded.resources[r.urn].inputs} == CHANGED
    for name in ("cluster-server-server-1", "cluster-upkeep-gpu-1", "cluster-agent-gpu-1"):
        host = name.split("-", 2)[2]
        assert f"cluster-bring-{host}" in uploaded.before(uploaded.of(name))
        assert f"cluster-clean-{host}" in uploaded.before(uploaded.of(f"cluster-bring-{host}"))
        assert "MIRROR=file:///usr/local/lib/k3s-gpu-sharing/release\n" in "".join(
            str(uploaded.of(name).inputs.get(operation, "")) for operation in ("create", "update")
        )
    assert violations(uploaded) == []


def test_upload_plan_names_host_and_files(uploaded: g.Graph):
    inputs = uploaded.of("cluster-bring-gpu-1").inputs
    assert "delete" not in inputs and isinstance(inputs["stdin"], g.Hidden)
    plan = json.loads(inputs["environment"]["K3SGPU_UPLOAD_PLAN"])
    assert plan["host"]["address"] == "10.77.0.21" and plan["release"]["folder"] == f"releases/{VERSION}"
    assert plan["release"]["files"]["amd64"].keys() == {"k3s", "install.sh", "sha256sum-amd64.txt"}


def test_changed_file_host_key_or_generation_uploads_again(in_project: Path, uploaded: g.Graph):
    def plan(config: dict) -> str:
        return g.run(config).of("cluster-bring-gpu-1").inputs["environment"]["K3SGPU_UPLOAD_PLAN"]

    config = with_air_gap()
    before = plan(config)
    (in_project / "releases" / VERSION / "install.sh").write_text("another")
    changed = plan(config)
    config["k3s"]["generation"] = 1
    raised = plan(config)
    known = (in_project / ".rehearsal/known_hosts").read_text().splitlines()
    key = next(line for line in known if line.startswith("10.77.0.21 ")).split()[2]
    another = key[:-4] + ("AAAA" if key[-4:] != "AAAA" else "BBBB")
    config["pools"]["rtx"]["hosts"]["gpu-1"] = {"address": "10.77.0.21", "hostKey": f"ssh-ed25519 {another}"}
    assert len({before, changed, raised, plan(config)}) == 4


def test_lost_host_has_no_upload(in_project: Path, uploaded: g.Graph):
    config = with_air_gap()
    config["pools"]["rtx"]["hosts"]["gpu-2"] = {"address": "192.0.2.9", "gone": True}
    assert "cluster-bring-gpu-2" not in {one.name for one in g.run(config)}


def test_missing_release_file_is_refused_before_anything_is_registered(in_project: Path):
    make_release(in_project, VERSION)
    (in_project / "releases" / VERSION / "install.sh").unlink()
    with pytest.raises(pulumi.RunError, match=rf"{in_project}/releases/.*/install\.sh: No such file"):
        g.run(with_air_gap())


def test_plan_needs_no_release_files(in_project: Path):
    config = with_air_gap()
    config["k3s"]["binarySha256"] = {"amd64": "0" * 64}
    file = in_project / "Pulumi.far.yaml"
    file.write_text(yaml.safe_dump({"config": {f"k3s-gpu-sharing:{key}": v for key, v in config.items()}}))
    assert "cluster-bring-gpu-1" in {one.name for one in planned(file, "far")}
