"""What teams' policies fill in and require, for pools and resources of several kinds."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from rehearsal.tests.e2e.team_cluster import HARDENED, TeamCluster, start_teams
from tests.data.stack_files import A100_40GB
from tests.data.team_files import team_settings
from tools.team_permissions.action import in_namespace, pod, thing

MIG1, MIG2 = "nvidia.com/mig-1g.5gb", "nvidia.com/mig-2g.10gb"
MANY = [f"student-{number:02}-of-the-course" for number in range(64)]
TEAMS: dict[str, Any] = {
    "two": {"members": ["ana"], "guaranteed": {"rtx": 2}, "limit": {"big": 3, "rtx": 4}},
    "mig": {
        "members": ["bo"],
        "guaranteed": {"cut": {MIG1: 2, MIG2: 1}},
        "limit": {"cut": {MIG1: 3, MIG2: 2}},
        "perPod": {"cut": {MIG1: 2, MIG2: 1}},
    },
    "strict": {"members": ["cy"], "limit": {"rtx": 2}, "podSecurity": "restricted"},
    "none": {"members": ["di"]},
    "course": {"members": MANY, "limit": {"rtx": 2, "big": 2}, "perMember": {"rtx": 1}},
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TeamCluster]:
    card = {"product": "NVIDIA-H200", "count": 1, "memoryMiB": 143771, "profile": "six"}
    changes = {
        "pools/rtx/taints": ["team=red:NoSchedule", "slow:NoExecute"],
        "pools/big": {"role": "agent", "hosts": {"big-1": "10.0.0.31"}, "gpu": card},
        "pools/cut": {
            "role": "agent",
            "hosts": {"cut-1": "10.0.0.41"},
            "gpu": {
                "product": A100_40GB["pools/rtx/gpu/product"],
                "count": 1,
                "memoryMiB": A100_40GB["pools/rtx/gpu/memoryMiB"],
                "profile": "mixed",
                "mig": {"1g.5gb": 3, "2g.10gb": 2},
            },
        },
        "pools/big/gpu/perSlice": {"cpuMillis": 2000, "memoryMiB": 8192},
        "sharing/profiles/mixed": {"migStrategy": "mixed"},
    }
    with start_teams(tmp_path_factory.mktemp("teams"), team_settings({**changes, "teams": TEAMS})) as running:
        yield running


def create(cluster: TeamCluster, member: str, team: str, body: dict[str, Any]) -> httpx2.Response:
    return cluster.ask("POST", in_namespace("pods?dryRun=All", team), cluster.tokens[member], json=body)


def accepted(cluster: TeamCluster, member: str, team: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = create(cluster, member, team, body)
    assert answer.status_code == 201, answer.text
    return answer.json()["spec"]


def refusal(cluster: TeamCluster, member: str, team: str, body: dict[str, Any]) -> str:
    answer = create(cluster, member, team, body)
    assert answer.status_code == 403, answer.text
    return answer.json()["message"]


def plain(limits: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """A pod as a member writes it who knows nothing of this program."""
    main = {"name": "main", "image": "example.org/image", "resources": {"limits": limits or {}}}
    return thing("v1", "Pod", spec={"containers": [main], **spec})


def test_type_checker_has_no_complaint(cluster: TeamCluster) -> None:
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    policies = cluster.client.get(path).json()["items"]
    checks = {one["metadata"]["name"]: one.get("status", {}).get("typeChecking") for one in policies}
    assert len(checks) == 5 + 5 + 1
    assert {name: check for name, check in checks.items() if check} == {}


def test_pod_gets_what_its_pool_needs(cluster: TeamCluster) -> None:
    found = accepted(cluster, "cy", "strict", hardened({"nvidia.com/gpu": "1"}))
    assert (found["priorityClassName"], found["priority"], found["preemptionPolicy"]) == (
        "burst-rtx",
        -10,
        "Never",
    )
    assert found["nodeSelector"] == {"k3s-gpu-sharing/pool": "rtx"}
    assert found["runtimeClassName"] == "nvidia"
    ours = [one for one in found["tolerations"] if not one["key"].startswith("node.kubernetes.io/")]
    assert ours == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "slow", "operator": "Equal", "effect": "NoExecute"},
        {"key": "team", "operator": "Equal", "value": "red", "effect": "NoSchedule"},
    ]


def hardened(limits: dict[str, str]) -> dict[str, Any]:
    body = plain(limits)
    body["spec"]["containers"][0]["securityContext"] = HARDENED
    return body


def test_restricted_team_refuses_a_pod_of_root(cluster: TeamCluster) -> None:
    assert 'violates PodSecurity "restricted' in refusal(cluster, "cy", "strict", plain())


def test_pool_of_several_has_to_be_named(cluster: TeamCluster) -> None:
    slices = {"nvidia.com/gpu": "1"}
    assert "write one of team two's classes" in refusal(cluster, "ana", "two", plain(slices))
    selector = {"k3s-gpu-sharing/pool": "rtx"}
    assert accepted(cluster, "ana", "two", plain(slices, nodeSelector=selector))["priorityClassName"] == (
        "guaranteed-rtx"
    )
    found = accepted(cluster, "ana", "two", plain(slices, nodeSelector={**selector, "zone": "a"}))
    assert found["nodeSelector"] == {**selector, "zone": "a"}
    found = accepted(cluster, "ana", "two", plain(slices, priorityClassName="burst-big"))
    assert found["nodeSelector"] == {"k3s-gpu-sharing/pool": "big"}
    assert "slow" not in [one["key"] for one in found["tolerations"]]


def test_pod_may_not_tolerate_taints_of_another_pool(cluster: TeamCluster) -> None:
    body = plain(priorityClassName="burst-big", tolerations=[{"key": "slow", "operator": "Exists"}])
    assert "remove the tolerations" in refusal(cluster, "ana", "two", body)


def test_guaranteed_pod_requests_one_kind_of_partition(cluster: TeamCluster) -> None:
    assert accepted(cluster, "bo", "mig", plain({MIG1: "2"}))["priorityClassName"] == "guaranteed-cut"
    both = {MIG1: "1", MIG2: "1"}
    assert "one kind of slice" in refusal(cluster, "bo", "mig", plain(both))
    assert "request no more for one pod" in refusal(cluster, "bo", "mig", plain({MIG2: "2"}))
    accepted(cluster, "bo", "mig", plain(both, priorityClassName="burst-cut"))


def test_team_without_a_pool_has_no_pods(cluster: TeamCluster) -> None:
    assert "team none has no pool" in refusal(cluster, "di", "none", plain())
    assert "team none has no pool" in refusal(cluster, "di", "none", plain(priorityClassName="burst-rtx"))


def test_each_of_many_members_has_an_account(cluster: TeamCluster) -> None:
    for member in (MANY[0], MANY[-1]):
        body = plain({"nvidia.com/gpu": "1"}, nodeSelector={"k3s-gpu-sharing/pool": "rtx"})
        assert accepted(cluster, member, "course", body)["priorityClassName"] == f"burst-rtx.{member}"


def test_members_are_counted_only_where_they_are_to_be(cluster: TeamCluster) -> None:
    slices = {"nvidia.com/gpu": "1"}
    accepted(cluster, MANY[0], "course", plain(slices, priorityClassName="burst-big"))
    refused = refusal(cluster, MANY[0], "course", pod(priorityClassName="burst-rtx"))
    assert "burst-rtx.NAME with your name" in refused
