"""A release that this computer brings to the machines, in the whole graph."""

import json
from pathlib import Path

import pulumi
import pytest
import yaml

from tests.program.conftest import stack_config
from tools import mocked_program as g
from tools.plan import a_release, planned, violations

VERSION = "v1.36.2+k3s1"
SHIFTED = {"cluster-preflight", "cluster-server-server-1", "cluster-upkeep-gpu-1", "cluster-agent-gpu-1"}


def with_air_gap() -> dict:
    config = stack_config("dev")
    del config["k3s"]["mirror"]
    config["k3s"]["airGap"] = "releases"
    return config


@pytest.fixture
def brought(in_project: Path) -> g.Graph:
    a_release(in_project, VERSION)
    return g.run(with_air_gap())


def test_each_machine_is_brought_it_before_it_converges_and_after_its_way_out_is_known(brought: g.Graph):
    plain = g.run(stack_config("dev"))
    names = {one.name for one in brought} - {one.name for one in plain}
    assert names == {"cluster-bring-server-1", "cluster-bring-gpu-1"}
    assert {r.name for r in plain if r.inputs != brought.resources[r.urn].inputs} == SHIFTED
    for name in ("cluster-server-server-1", "cluster-upkeep-gpu-1", "cluster-agent-gpu-1"):
        host = name.split("-", 2)[2]
        assert f"cluster-bring-{host}" in brought.before(brought.of(name))
        assert f"cluster-clean-{host}" in brought.before(brought.of(f"cluster-bring-{host}"))
        assert "MIRROR=file:///usr/local/lib/k3s-gpu-sharing/release\n" in "".join(
            str(brought.of(name).inputs.get(operation, "")) for operation in ("create", "update")
        )
    assert violations(brought) == []


def test_what_it_is_told(brought: g.Graph):
    inputs = brought.of("cluster-bring-gpu-1").inputs
    assert "delete" not in inputs and isinstance(inputs["stdin"], g.Hidden)
    told = json.loads(inputs["environment"]["K3SGPU_UPLOAD_PLAN"])
    assert told["host"]["address"] == "10.77.0.21" and told["release"]["folder"] == f"releases/{VERSION}"
    assert told["release"]["files"]["amd64"].keys() == {"k3s", "install.sh", "sha256sum-amd64.txt"}


def test_a_changed_file_another_host_key_and_a_raised_generation_bring_it_again(
    in_project: Path, brought: g.Graph
):
    def told(config: dict) -> str:
        return g.run(config).of("cluster-bring-gpu-1").inputs["environment"]["K3SGPU_UPLOAD_PLAN"]

    config = with_air_gap()
    before = told(config)
    (in_project / "releases" / VERSION / "install.sh").write_text("another")
    changed = told(config)
    config["k3s"]["generation"] = 1
    raised = told(config)
    known = (in_project / ".rehearsal/known_hosts").read_text().splitlines()
    key = next(line for line in known if line.startswith("10.77.0.21 ")).split()[2]
    another = key[:-4] + ("AAAA" if key[-4:] != "AAAA" else "BBBB")
    config["pools"]["rtx"]["hosts"]["gpu-1"] = {"address": "10.77.0.21", "hostKey": f"ssh-ed25519 {another}"}
    assert len({before, changed, raised, told(config)}) == 4


def test_a_host_that_is_gone_is_brought_nothing(in_project: Path, brought: g.Graph):
    config = with_air_gap()
    config["pools"]["rtx"]["hosts"]["gpu-2"] = {"address": "192.0.2.9", "gone": True}
    assert "cluster-bring-gpu-2" not in {one.name for one in g.run(config)}


def test_a_file_that_is_missing_ends_the_program_before_anything_is_registered(in_project: Path):
    a_release(in_project, VERSION)
    (in_project / "releases" / VERSION / "install.sh").unlink()
    with pytest.raises(pulumi.RunError, match=rf"{in_project}/releases/.*/install\.sh: No such file"):
        g.run(with_air_gap())


def test_what_would_be_registered_is_told_without_the_release(in_project: Path):
    config = with_air_gap()
    config["k3s"]["binarySha256"] = {"amd64": "0" * 64}
    file = in_project / "Pulumi.far.yaml"
    file.write_text(yaml.safe_dump({"config": {f"k3s-gpu-sharing:{key}": v for key, v in config.items()}}))
    assert "cluster-bring-gpu-1" in {one.name for one in planned(file, "far")}
