"""Who may do what where teams share cards: every cell of the table, asked of a real API server."""

from collections.abc import Iterator

import httpx2
import pytest

from k3sgpu.teams.names import burst_quota
from rehearsal.tests.e2e.team_cluster import FORMER, TeamCluster, create, team_cluster, wait_until
from tools.team_permissions.action import POOL, TEAM, WHO, Action, Who, deployment, in_team
from tools.team_permissions.table import ACTIONS, TABLE

MESSAGES = {
    "RBAC": " cannot ",
    "Pod Security": "violates PodSecurity",
    "ServiceAccount": "error looking up service account",
    "Priority": ("no PriorityClass with name", "must not be provided in pod spec"),
    "RuntimeClass": "Pod Overhead set without corresponding RuntimeClass",
}
"""What a refusal says, by what refuses."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TeamCluster]:
    with team_cluster(tmp_path_factory.mktemp("teams")) as running:
        yield running


def token(cluster: TeamCluster, who: Who, action: Action) -> str | None:
    """The token of one who makes the request; None: the administrator."""
    members: dict[Who, str] = (
        {"member": "ana", "other": "cy"} if action.team == TEAM else {"member": "cy", "other": "ana"}
    )
    names = {**members, "former": FORMER, "pod": f"pod-{action.team}"}
    return None if who == "admin" else cluster.tokens[names[who]]


def ask(cluster: TeamCluster, who: Who, action: Action) -> httpx2.Response:
    path = action.path
    if action.method != "GET" and not action.connects:
        path += ("&" if "?" in path else "?") + "dryRun=All"
    headers = dict(action.headers)
    if action.method == "PATCH":
        headers["Content-Type"] = (
            f"application/{action.patch}+{'yaml' if action.patch == 'apply-patch' else 'json'}"
        )
    return cluster.ask(action.method, path, token(cluster, who, action), json=action.body, headers=headers)


def cell(answer: httpx2.Response, action: Action) -> str:
    """`yes`, `no`, or the status of an answer that says neither."""
    if answer.status_code in (401, 403) or (action.holder == "validation" and answer.status_code == 422):
        return "no"
    return "yes" if answer.is_success or action.connects else f"{answer.status_code} {answer.text[:300]}"


def holds(answer: httpx2.Response, who: Who, action: Action) -> bool:
    """Whether the refusal comes from what the table names."""
    if who == "former":
        return answer.status_code == 401
    if action.holder == "validation" and who in ("admin", "member"):
        return answer.status_code == 422
    if who == "admin" and action.holder == "RBAC":
        return True
    holder = action.holder if who in ("admin", "member") else "RBAC"
    expected = MESSAGES.get(holder) or (
        f"exceeded quota: {holder.removeprefix('quota ')}"
        if holder.startswith("quota ")
        else f"ValidatingAdmissionPolicy '{holder}'"
    )
    texts = (expected,) if isinstance(expected, str) else expected
    return any(text in answer.json()["message"] for text in texts)


def test_every_cell_is_as_the_table_says(cluster: TeamCluster, capsys: pytest.CaptureFixture[str]) -> None:
    wrong: list[str] = []
    lines: list[str] = []
    for heading, actions in TABLE.items():
        lines.append(heading)
        for action in actions:
            found: list[str] = []
            for who in WHO:
                answer = ask(cluster, who, action)
                said, expected = cell(answer, action), "yes" if who in action.allowed else "no"
                found.append(said)
                if said != expected:
                    wrong.append(
                        f"{action.title}, {WHO[who]}: expected {expected}, found {said}: {answer.text}"
                    )
                elif said == "no" and not holds(answer, who, action):
                    wrong.append(f"{action.title}, {WHO[who]}: not refused by {action.holder}: {answer.text}")
            lines.append(f"  {action.title:<55} " + " ".join(f"{one:<4}" for one in found))
    with capsys.disabled():
        print("\n" + "\n".join(lines))
        print(f"{len(ACTIONS)} requests × {len(WHO)} identities, {len(wrong)} wrong cells")
    assert not wrong, "\n".join(wrong)
    assert len(ACTIONS) >= 100


def test_controllers_create_no_pod_that_a_member_may_not(cluster: TeamCluster) -> None:
    privileged = {"securityContext": {"privileged": True}}
    body = deployment("privileged", replicas=1, container=privileged)
    path = in_team("deployments", group="apps/v1")
    create(cluster.client, path, body, cluster.tokens["ana"])

    def unmet() -> str:
        sets = cluster.client.get(
            in_team("replicasets?labelSelector=app%3Dprivileged", group="apps/v1")
        ).json()
        conditions = [one for found in sets["items"] for one in found["status"].get("conditions", [])]
        failed = [one for one in conditions if one["type"] == "ReplicaFailure"]
        return "" if failed and "violates PodSecurity" in failed[0]["message"] else f"{conditions}"

    wait_until("the ReplicaSet's failure", unmet)
    assert cluster.client.get(in_team("pods?labelSelector=app%3Dprivileged")).json()["items"] == []
    cluster.client.delete(f"{path}/privileged").raise_for_status()


def test_scaled_deployment_stays_within_the_limit(cluster: TeamCluster) -> None:
    token = cluster.tokens["ana"]
    scale = in_team("deployments/app/scale", group="apps/v1")
    headers = {"Content-Type": "application/merge-patch+json"}
    answer = cluster.ask("PATCH", scale, token, json={"spec": {"replicas": 9}}, headers=headers)
    assert answer.status_code == 200

    def slices() -> int:
        quota = cluster.client.get(in_team(f"resourcequotas/{burst_quota(POOL)}")).json()
        return int(quota["status"]["used"]["requests.nvidia.com/gpu"])

    wait_until("pods up to the limit", lambda: "" if slices() == 3 else f"{slices()} of 3 slices")
    pods = cluster.client.get(in_team("pods?labelSelector=app%3Dapp")).json()["items"]
    assert len(pods) == 1
    cluster.ask("PATCH", scale, token, json={"spec": {"replicas": 0}}, headers=headers)
