"""Why pods do not run, from API objects. What a real API server says is in rehearsal/tests/e2e."""

from collections.abc import Sequence
from typing import Any

import pytest

from k3sgpu.cluster.members.findings import Finding, PodFindings, as_text
from k3sgpu.cluster.members.pools import pool_views
from k3sgpu.cluster.members.subject import TeamObjects, find_subject, known_names
from k3sgpu.cluster.members.view import MemberView
from k3sgpu.cluster.members.why import diagnose, is_fine
from tests.data.member_views import NODES, gpu_node, quotas, view
from tests.data.team_pods import team_pod

READY: dict[str, Any] = {"conditions": [{"type": "Ready", "status": "True"}]}


def item(kind: str, name: str, owner: str = "", status: Any = None, **spec: Any) -> dict[str, Any]:
    owners = [{"kind": "X", "name": owner, "uid": f"uid-{owner}"}] if owner else []
    metadata = {"name": name, "namespace": "vision", "uid": f"uid-{name}", "ownerReferences": owners}
    return {"kind": kind, "metadata": metadata, "spec": spec, "status": status or {}}


def event(name: str, reason: str, text: str, kind: str = "Pod", warning: bool = True) -> dict[str, Any]:
    return {
        "metadata": {"name": f"{name}.1"},
        "involvedObject": {"kind": kind, "name": name},
        "reason": reason,
        "message": text,
        "type": "Warning" if warning else "Normal",
        "eventTime": "2026-12-01T10:00:00Z",
    }


def pending(reasons: str, name: str = "a", priority: str = "burst-rtx", slices: int = 1, **spec: Any) -> dict:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    message = (
        f"0/3 nodes are available: {reasons}. preemption: 0/3 nodes are available: 3 No preemption victims."
    )
    status = {"phase": "Pending", "conditions": [{**condition, "message": message}]}
    return team_pod(name, priority, slices, status=status, spec=spec)


def placed(name: str = "a", **status: Any) -> dict:
    return team_pod(name, spec={"nodeName": "gpu-1"}, status={"phase": "Running", **status})


def ask(
    name: str,
    pods: Sequence[dict[str, Any]] = (),
    objects: Sequence[dict[str, Any]] = (),
    events: Sequence[dict[str, Any]] = (),
    seen: MemberView | None = None,
) -> list[PodFindings]:
    seen = seen or view(pods=pods)
    kinds = {one["kind"] for one in objects}
    by_kind = {kind: [one for one in objects if one["kind"] == kind] for kind in kinds}
    subject = find_subject(name, TeamObjects({"Pod": pods, **by_kind}, events))
    assert subject is not None
    return diagnose(subject, seen, pool_views(seen))


def only(groups: list[PodFindings]) -> Finding:
    ((finding,),) = [one.findings for one in groups]
    return finding


@pytest.mark.parametrize(
    ("reasons", "cause", "words"),
    [
        (
            "1 node(s) didn't match Pod's node affinity/selector, 2 Insufficient nvidia.com/gpu",
            "room",
            "free for this",
        ),
        (
            "2 Insufficient memory, 1 node(s) didn't match Pod's node affinity/selector",
            "room",
            "as much memory",
        ),
        ("2 Too many pods", "room", "as many pods as they take"),
        ("2 node(s) didn't match pod anti-affinity rules", "own constraint", "(anti-affinity)"),
        ("2 node(s) had volume node affinity conflict", "volume", "volume node affinity conflict"),
        ("3 node(s) had something new", "own constraint", "something new"),
    ],
)
def test_reasons_of_the_scheduler_are_sorted_by_cause(reasons: str, cause: str, words: str) -> None:
    found = only(ask("a", [pending(reasons, nodeSelector={"k3s-gpu-sharing/pool": "rtx"})]))
    assert found.cause == cause and words in found.found


def test_guaranteed_class_is_advised_where_a_burst_waits() -> None:
    pod = pending("2 Insufficient nvidia.com/gpu")
    seen = view(pods=[pod], used=quotas((3, 4), students=5))
    assert (
        "write priorityClassName: guaranteed-rtx; 1 slices of it" in only(ask("a", [pod], seen=seen)).remedy
    )
    large = pending("2 Insufficient nvidia.com/gpu", slices=7)
    assert only(ask("a", [large])).remedy == "request fewer slices: no node has so many"


def test_node_that_takes_no_pods_is_named() -> None:
    pod = pending("2 Insufficient nvidia.com/gpu", priority="guaranteed-rtx")
    seen = view(pods=[pod], nodes=[NODES[0], gpu_node("gpu-2", unschedulable=True)])
    found = only(ask("a", [pod], seen=seen))
    assert found.cause == "node" and "gpu-1 has 6; gpu-2 it is cordoned" in found.found
    tainted = pending("2 node(s) had untolerated taint(s)")
    down = view(pods=[tainted], nodes=[gpu_node(name, ready=False) for name in ("gpu-1", "gpu-2")])
    assert only(ask("a", [tainted], seen=down)).cause == "node"


def container(**state: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "main", **state}]}


CRASH = {"terminated": {"reason": "Error", "exitCode": 3}}
OOM = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}


@pytest.mark.parametrize(
    ("status", "events", "cause", "words"),
    [
        (
            container(state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=CRASH),
            (),
            "program",
            "status 3",
        ),
        (container(state={"running": {}}, lastState=OOM), (), "program", "more memory than its limit"),
        (
            container(state={"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "x"'}}),
            (),
            "own constraint",
            'secret "x"',
        ),
        ({"phase": "Pending"}, (("FailedMount", "no such export"),), "volume", "no such export"),
        (
            {"phase": "Pending"},
            (("FailedCreatePodSandBox", 'no runtime for "nvidia"'),),
            "card",
            "no runtime for",
        ),
        ({"phase": "Pending"}, (), "waiting", "on gpu-1"),
        (READY, (), "fine", "it runs on gpu-1"),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
            (),
            "eviction",
            "low on resource: memory",
        ),
        ({"phase": "Failed", **container(state=CRASH)}, (), "program", "ended with status 3"),
        ({"phase": "Succeeded"}, (), "fine", "status 0"),
        (
            {
                "conditions": [
                    {"type": "DisruptionTarget", "reason": "DeletionByTaintManager", "message": "m"}
                ]
            },
            (),
            "node",
            "had to leave its node",
        ),
    ],
)
def test_pod_with_a_node_tells_what_happened(status: dict, events: tuple, cause: str, words: str) -> None:
    found = only(ask("a", [placed(**status)], events=[event("a", *one) for one in events]))
    assert found.cause == cause and words in found.found


def test_lost_node_is_named_for_a_pod_that_ran() -> None:
    pod = placed(**READY)
    seen = view(pods=[pod], nodes=[gpu_node("gpu-1", ready=False)])
    found = only(ask("a", [pod], seen=seen))
    assert found.cause == "node" and "gpu-1: it is not Ready" in found.found


def owned(name: str, owner: str, pod: dict[str, Any]) -> dict[str, Any]:
    return {
        **pod,
        "metadata": {**pod["metadata"], "name": name, "ownerReferences": [{"uid": f"uid-{owner}"}]},
    }


def test_workload_tells_of_all_its_pods_by_reason() -> None:
    objects = [
        item("Deployment", "web", replicas=4),
        item("ReplicaSet", "web-1", "web", replicas=4),
        item("ReplicaSet", "web-0", "web", replicas=0),
    ]
    pods = [
        owned("web-1-a", "web-1", placed(**READY)),
        owned("web-1-b", "web-1", placed(**READY)),
        owned("web-1-c", "web-1", pending("2 Insufficient nvidia.com/gpu")),
    ]
    refused = 'pods "web-1-d" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'
    events = [event("web-1", "FailedCreate", refused, kind="ReplicaSet")]
    groups = ask("web", pods, objects, events)
    assert [(one.pods, one.findings[0].cause) for one in groups] == [
        ((), "pod security"),
        (("web-1-a", "web-1-b"), "fine"),
        (("web-1-c",), "room"),
    ]
    assert not is_fine(groups)
    whole = [*pods, owned("web-1-d", "web-1", placed(**READY))]
    assert ask("web", whole, objects, events)[0].pods


@pytest.mark.parametrize(
    ("made", "cause", "words"),
    [
        (item("CronJob", "w", schedule="0 3 * * *"), "waiting", "its schedule is 0 3 * * *"),
        (item("CronJob", "w", schedule="0 3 * * *", suspend=True), "own constraint", "is suspended"),
        (item("Deployment", "w", replicas=0), "own constraint", "has replicas: 0"),
        (item("StatefulSet", "w", replicas=1), "waiting", "no pods yet"),
        (
            item(
                "Job",
                "w",
                status={"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]},
            ),
            "time limit",
            "ran for as long as it may",
        ),
        (
            item(
                "Job",
                "w",
                status={
                    "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]
                },
            ),
            "program",
            "BackoffLimitExceeded",
        ),
    ],
)
def test_workload_without_pods_tells_why(made: dict, cause: str, words: str) -> None:
    found = only(ask("w", objects=[made]))
    assert found.cause == cause and words in found.found


def test_quota_that_is_no_share_is_named() -> None:
    text = "exceeded quota: objects, requested: count/pods=1, used: count/pods=9, limited: count/pods=9"
    job = item("Job", "j", parallelism=1)
    found = only(ask("j", objects=[job], events=[event("j", "FailedCreate", text, kind="Job")]))
    assert found.cause == "quota" and "ResourceQuota objects is used up" in found.found


def test_name_is_a_pod_unless_it_says_a_kind() -> None:
    pods, job = [placed("train", **READY)], item("Job", "train", parallelism=1)
    team = TeamObjects({"Pod": pods, "Job": [job]})
    assert [getattr(find_subject(name, team), "kind", None) for name in ("train", "job/train", "jobs/x")] == [
        "Pod",
        "Job",
        None,
    ]
    assert known_names(team) == ["job/train", "pod/train"]


def test_text_shows_no_control_characters_of_the_cluster() -> None:
    groups = ask(
        "a", [placed(**container(state={"waiting": {"reason": "ErrImagePull", "message": "\x1b]0;x\x07"}}))]
    )
    text = as_text("Pod a of team vision", groups)
    assert text.splitlines() == [
        "Pod a of team vision",
        "",
        "pod a",
        "  image: main: ErrImagePull: \\x1b]0;x\\x07",
        "    what helps: correct the image's name; for a private registry write imagePullSecrets",
    ]
