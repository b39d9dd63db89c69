"""What a cluster holds for teams, as plain values."""

from collections.abc import Iterator
from typing import Any

from k3sgpu.teams.manifest import Manifest
from k3sgpu.teams.objects import TeamObjects
from tests.data.team_files import objects_of, team_settings

NOT_NAMESPACED = {
    "ClusterRole",
    "ClusterRoleBinding",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "Namespace",
    "PriorityClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}


def every(objects: TeamObjects) -> Iterator[Manifest]:
    yield from objects.shared
    for group in (objects.teams, objects.members):
        for some in group.values():
            yield from some


def quotas(objects: TeamObjects, team: str) -> dict[str, Manifest]:
    found = (one for one in objects.teams[team] if one["kind"] == "ResourceQuota")
    return {one["metadata"]["name"]: one["spec"] for one in found}


def classes_of(quota: dict[str, Any]) -> list[str]:
    return quota["scopeSelector"]["matchExpressions"][0]["values"]


def test_stack_without_teams_has_no_objects() -> None:
    assert list(every(objects_of(team_settings({"teams": {}})))) == []


def test_every_object_names_itself_and_its_namespace() -> None:
    seen = set()
    for one in every(objects_of(team_settings())):
        metadata = one["metadata"]
        assert ("namespace" in metadata) == (one["kind"] not in NOT_NAMESPACED)
        identity = (one["apiVersion"], one["kind"], metadata.get("namespace"), metadata["name"])
        assert identity not in seen
        seen.add(identity)


def test_namespace_comes_first() -> None:
    objects = objects_of(team_settings())
    assert {team: some[0]["kind"] for team, some in objects.teams.items()} == {
        "vision": "Namespace",
        "students": "Namespace",
    }


def test_only_counted_members_have_classes_of_their_own() -> None:
    shared = objects_of(team_settings()).shared
    classes = {one["metadata"]["name"]: one["value"] for one in shared if one["kind"] == "PriorityClass"}
    assert classes == {
        "guaranteed-rtx": 0,
        "guaranteed-rtx.cy": 0,
        "guaranteed-rtx.di": 0,
        "burst-rtx": -10,
        "burst-rtx.cy": -10,
        "burst-rtx.di": -10,
    }


def test_quotas_count_guaranteed_pods_and_burst_pods_apart() -> None:
    found = quotas(objects_of(team_settings()), "vision")
    assert found["guaranteed-rtx"]["hard"] == {"requests.nvidia.com/gpu": "2"}
    assert classes_of(found["guaranteed-rtx"]) == ["guaranteed-rtx"]
    assert found["burst-rtx"]["hard"] == {"requests.nvidia.com/gpu": "3"}
    assert classes_of(found["burst-rtx"]) == ["burst-rtx"]


def test_quota_counts_each_member() -> None:
    found = quotas(objects_of(team_settings()), "students")
    assert found["member-rtx.cy"]["hard"] == {"requests.nvidia.com/gpu": "1"}
    assert classes_of(found["member-rtx.cy"]) == ["guaranteed-rtx.cy", "burst-rtx.cy"]
    assert set(classes_of(found["burst-rtx"])) == {"burst-rtx", "burst-rtx.cy", "burst-rtx.di"}


def test_default_request_is_the_smallest_of_the_pools() -> None:
    (limits,) = [one for one in objects_of(team_settings()).teams["vision"] if one["kind"] == "LimitRange"]
    assert limits["spec"]["limits"] == [
        {"type": "Container", "defaultRequest": {"cpu": "200m", "memory": "1Gi"}}
    ]


def test_pods_do_not_reach_the_hosts() -> None:
    settings = team_settings(
        {"pools/rtx/hosts": {"gpu-1": {"address": "10.0.0.21", "externalIp": "203.0.113.9"}}}
    )
    (policy,) = [
        one
        for one in objects_of(settings).teams["vision"]
        if one["metadata"]["name"] == "egress-not-to-hosts"
    ]
    assert policy["spec"]["egress"][-1]["to"][0]["ipBlock"]["except"] == [
        "10.0.0.11/32",
        "10.0.0.21/32",
        "10.42.0.0/16",
        "169.254.169.254/32",
        "203.0.113.9/32",
    ]


def test_member_of_a_counted_team_cannot_scale() -> None:
    def resources(team: str) -> set[str]:
        roles = [one for one in objects_of(team_settings()).teams[team] if one["kind"] == "Role"]
        return {name for role in roles for rule in role["rules"] for name in rule["resources"]}

    assert resources("vision") - resources("students") == {"deployments/scale", "statefulsets/scale"}
