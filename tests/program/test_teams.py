"""Teams in the graph: their objects, the eviction, the members' tokens, and the workloads of teams."""

import json
from pathlib import Path
from typing import Any

from tests.program.conftest import stack_config
from tools import mocked_program as g

TEAMS: dict[str, Any] = {
    "vision": {"members": ["ana", "bo"], "guaranteed": {"rtx": 4}},
    "students": {"members": ["cy"], "limit": {"rtx": 2}},
}


def graph_of(workloads: dict[str, Any], teams: dict[str, Any] = TEAMS) -> g.Graph:
    return g.run({**stack_config("dev"), "teams": teams, "workloads": workloads})


def test_objects_of_a_team_come_after_its_namespace(in_project: Path):
    graph = graph_of({})
    namespace = graph.of("vision", "Namespace")
    inside = [one for one in graph if one.inputs.get("metadata", {}).get("namespace") == "vision"]
    assert {one.type.rsplit(":", 1)[1] for one in inside} >= {"ResourceQuota", "LimitRange", "RoleBinding"}
    assert all(namespace.urn in one.depends_on for one in inside)


def test_eviction_waits_for_every_quota(in_project: Path):
    graph = graph_of({})
    quotas = {one.name for one in graph if one.type.endswith(":ResourceQuota")}
    evictions = graph.of("teams-evictions")
    assert quotas and quotas <= graph.before(evictions)
    shares = json.loads(evictions.inputs["environment"]["K3SGPU_TEAM_SHARES"])["shares"]
    assert {one["team"]: (one["guaranteed"], one["limit"]) for one in shares} == {
        "vision": (4, 4),
        "students": (0, 2),
    }


def test_tokens_are_secret_and_made_for_living_accounts(in_project: Path):
    graph = graph_of({})
    tokens = graph.of("teams-tokens-vision")
    assert {"teams-evictions", "gpu-team-members/ana", "gpu-team-members/bo"} <= graph.before(tokens)
    assert "gpu-team-members/cy" not in graph.before(tokens)
    assert list(tokens.options.additionalSecretOutputs) == ["stdout"]
    assert isinstance(tokens.inputs["stdin"], g.Hidden)
    assert {"members", "memberKubeconfigs"} <= graph.exports.keys()


def test_workload_of_a_team_uses_its_namespace_and_class(in_project: Path):
    graph = graph_of({"train": {"team": "vision", "image": "mine.example/train:1"}})
    deployment = graph.of("train", "Deployment")
    assert deployment.inputs["metadata"]["namespace"] == "vision"
    assert deployment.inputs["spec"]["template"]["spec"]["priorityClassName"] == "guaranteed-rtx"
    assert "teams-evictions" in graph.before(deployment)
    assert [one.name for one in graph if one.type.endswith(":Namespace") and one.name == "vision"] == [
        "vision"
    ]


def test_workload_of_a_restricted_team_has_a_seccomp_profile(in_project: Path):
    context = {"runAsNonRoot": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    workload = {"team": "vision", "image": "mine.example/train:1", "securityContext": context}
    teams = {"vision": {"guaranteed": {"rtx": 1}, "podSecurity": "restricted"}}
    pod = graph_of({"train": workload}, teams).of("train", "Deployment").inputs["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}


def test_stack_without_teams_registers_none_of_it(in_project: Path):
    graph = graph_of({}, {})
    assert not [one.name for one in graph if "GpuTeams" in one.type or "PriorityClass" in one.type]
    assert "memberKubeconfigs" not in graph.exports
