"""Staging in the whole graph: scripts and releases come before everything that runs on a host."""

import copy
import itertools
import json
from pathlib import Path

import pulumi
import pytest
import yaml

from k3sgpu.handoff.staging import StagePlan, parse_stage_plan
from k3sgpu.hosts import scripts
from tests.program.conftest import stack_config
from tests.program.graphs import changes, commands, script, with_agents, with_servers
from tools import mocked_program as g
from tools.plan import make_release, planned, violations

VERSION = "v1.36.2+k3s1"
FOLDER = "/usr/local/lib/k3s-gpu-sharing/scripts"


def stage_plan(graph: g.Graph) -> StagePlan:
    return parse_stage_plan(json.loads(graph.of("cluster-stage").inputs["environment"]["K3SGPU_STAGE_PLAN"]))


def with_air_gap() -> dict:
    config = stack_config("dev")
    del config["k3s"]["mirror"]
    config["k3s"]["airGap"] = "releases"
    return config


@pytest.fixture
def uploaded(in_project: Path) -> g.Graph:
    make_release(in_project, VERSION)
    return g.run(with_air_gap())


def test_everything_on_hosts_follows_staging(in_project: Path):
    for config in (with_agents(2), with_servers(3)):
        graph = g.run(config)
        assert "cluster-preflight" in graph.before(graph.of("cluster-stage"))
        before = {one.name: graph.before(one) for one in commands(graph)}
        assert [name for name, names in before.items() if "cluster-stage" not in names] == []


def test_staged_hosts_are_cleaned_after_every_uninstall(dev: g.Graph):
    """Also those of a stage that failed, which is not in the state."""
    assert dev.of("cluster-stage").inputs["create"] == "sh k3sgpu/run.sh stage"
    assert dev.of("cluster-preflight").inputs["delete"] == "sh k3sgpu/run.sh stage --remove"
    assert "cluster-preflight" in dev.before(dev.of("cluster-clean-gpu-1"))


def test_stage_plan_names_hosts_scripts_and_release(dev: g.Graph):
    plan = stage_plan(dev)
    assert {host["name"]: host["role"] for host in plan["hosts"]} == {"server-1": "server", "gpu-1": "agent"}
    assert plan["scripts"]["agent"]["converge"] == scripts.staged_sha256("converge")
    assert plan["release"]["version"] == VERSION
    assert isinstance(dev.of("cluster-stage").inputs["stdin"], g.Hidden)


def test_proxy_reaches_staging_as_a_secret(in_project: Path):
    config = stack_config("dev")
    config["k3s"]["proxy"] = {"https": "http://proxy.example.org:3128"}
    stage = g.run(config).of("cluster-stage").inputs
    assert "proxy.example.org" in json.loads(stage["stdin"].value)["environment"]
    assert "proxy.example.org" not in json.dumps(stage["environment"])


def test_command_of_a_host_is_readable(dev: g.Graph):
    sha256 = scripts.staged_sha256("converge")
    assert (
        script(dev, "cluster-upkeep-gpu-1", "update")
        == f"""\
PROJECT=k3s-gpu-sharing
STACK=dev
HOST=gpu-1
ROLE=agent
DATABASE=''
EXTERNAL_DATABASE=''
SERVERS=''
VERSION={VERSION}
TIMEOUT=300
DRAIN_ON_PATCH=''
DRAIN_TIMEOUT=300
GENERATION=0
CONFIG='node-ip: 10.77.0.21
node-name: gpu-1
server: https://10.77.0.11:6443
token-file: /etc/rancher/k3s/agent-token
'
sha256={sha256}
script={FOLDER}/converge-$sha256.sh
[ "$(sha256sum <$script)" = "$sha256  -" ] || {{
    echo "gpu-1: $script is missing or not as it was staged
  remedy: raise k3s.generation in the stack file, and run up without --target" >&2
    exit 1
}}
. $script
"""
    )


def test_changed_label_or_version_changes_few_lines_of_a_command(in_project: Path):
    def lines(config: dict) -> set[str]:
        return set(script(g.run(config), "cluster-upkeep-gpu-1", "update").splitlines())

    before, config = lines(stack_config("dev")), stack_config("dev")
    config["k3s"]["version"] = "v1.36.3+k3s1"
    assert lines(config) ^ before == {f"VERSION={VERSION}", "VERSION=v1.36.3+k3s1"}
    config = stack_config("dev")
    config["pools"]["rtx"]["labels"] = {"rack": "7"}
    assert lines(config) ^ before == {"node-label:", "- rack=7"}


def test_agent_has_little_text_in_its_commands(in_project: Path):
    agent = [one for one in commands(g.run(with_agents(2))) if one.name.endswith("-gpu-2")]
    texts = [one.inputs.get(operation) or "" for one in agent for operation in ("create", "update", "delete")]
    assert len(agent) == 5 and sum(map(len, texts)) < 3500


def test_upload_is_a_matter_of_staging_alone(uploaded: g.Graph):
    plain = g.run(stack_config("dev"))
    assert {one.name for one in uploaded} == {one.name for one in plain}
    assert changes(plain, uploaded) == ["cluster-preflight", "cluster-stage"]
    release = stage_plan(uploaded)["release"]
    assert release["folder"] == f"releases/{VERSION}"
    assert release["files"]["amd64"].keys() == {"k3s", "install.sh", "sha256sum-amd64.txt"}
    assert violations(uploaded) == []


def test_changed_file_host_key_or_generation_stages_again(in_project: Path, uploaded: g.Graph):
    config = with_air_gap()
    before = stage_plan(g.run(config))
    (in_project / "releases" / VERSION / "install.sh").write_text("another")
    changed = stage_plan(g.run(config))
    config["k3s"]["generation"] = 1
    raised = stage_plan(g.run(config))
    known = (in_project / ".rehearsal/known_hosts").read_text().splitlines()
    key = next(line for line in known if line.startswith("10.77.0.21 ")).split()[2]
    another = key[:-4] + ("AAAA" if key[-4:] != "AAAA" else "BBBB")
    config["pools"]["rtx"]["hosts"]["gpu-1"] = {"address": "10.77.0.21", "hostKey": f"ssh-ed25519 {another}"}
    plans = [before, changed, raised, stage_plan(g.run(config))]
    assert all(one != other for one, other in itertools.pairwise(plans))


def test_lost_host_is_not_staged(in_project: Path):
    config = copy.deepcopy(stack_config("dev"))
    config["pools"]["rtx"]["hosts"]["gpu-2"] = {"address": "192.0.2.9", "gone": True}
    assert [host["name"] for host in stage_plan(g.run(config))["hosts"]] == ["gpu-1", "server-1"]


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
    assert "cluster-stage" in {one.name for one in planned(file, "far")}
