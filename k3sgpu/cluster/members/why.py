"""Why the pods of a workload do not run, from what the API says about them."""

from collections.abc import Sequence

from k3sgpu.cluster.members.findings import Finding, PodFindings, group, message
from k3sgpu.cluster.members.outcomes import ended, gone, on_a_node
from k3sgpu.cluster.members.placement import not_scheduled
from k3sgpu.cluster.members.pools import PoolView
from k3sgpu.cluster.members.refusals import refusal
from k3sgpu.cluster.members.subject import Subject
from k3sgpu.cluster.members.view import MemberView
from k3sgpu.cluster.objects import KubernetesObject, condition, has_ended, status_of

MOST_ENDED = 3
"""Pods that have ended, the newest, of which a workload's answer tells."""


def diagnose(subject: Subject, view: MemberView, pools: Sequence[PoolView]) -> list[PodFindings]:
    """Returns why the pods of the subject do not run: first what keeps pods from existing, then by pod."""
    if subject.object is None:
        return [PodFindings((), tuple(gone(subject.name, view, subject.events)))]
    missing = _missing_pods(subject, view, pools)
    found = [
        (pod["metadata"]["name"], tuple(_of_pod(pod, subject, view, pools)))
        for pod in _concerned_pods(subject)
    ]
    groups = [PodFindings((), tuple(missing))] if missing else []
    groups += group(found)
    return groups or [PodFindings((), (_nothing(subject),))]


def is_fine(groups: Sequence[PodFindings]) -> bool:
    """Whether nothing stands in the way."""
    return all(finding.cause == "fine" for one in groups for finding in one.findings)


def _concerned_pods(subject: Subject) -> list[KubernetesObject]:
    """The pods of which the answer tells: all that have not ended, and the newest of the others."""
    pods = sorted(subject.pods, key=lambda pod: pod["metadata"].get("creationTimestamp") or "")
    over = [pod for pod in pods if has_ended(pod)]
    return [pod for pod in pods if not has_ended(pod)] + over[-MOST_ENDED:]


def _of_pod(
    pod: KubernetesObject, subject: Subject, view: MemberView, pools: Sequence[PoolView]
) -> list[Finding]:
    name = pod["metadata"]["name"]
    events = [event for event in subject.events if (event.get("involvedObject") or {}).get("name") == name]
    if has_ended(pod):
        return ended(pod, view, events)
    if pod["spec"].get("nodeName"):
        return on_a_node(pod, view, events)
    return not_scheduled(pod, view, pools)


def _missing_pods(subject: Subject, view: MemberView, pools: Sequence[PoolView]) -> list[Finding]:
    """Why there are fewer pods than there should be."""
    found: list[Finding] = []
    for maker in subject.makers:
        if _wants_more(maker, subject) and (text := _refusal_text(maker, subject)):
            found.append(refusal(text, view, pools))
        found += _job_findings(maker)
    if (subject.object or {}).get("spec", {}).get("suspend"):
        found.append(
            Finding("own constraint", f"{subject.kind} {subject.name} is suspended", "write suspend: false")
        )
    return list(dict.fromkeys(found))


def _wants_more(maker: KubernetesObject, subject: Subject) -> bool:
    """Whether a controller still tries to create pods."""
    spec, status = maker.get("spec") or {}, status_of(maker)
    if "replicas" in spec:
        uid = maker["metadata"].get("uid")
        owned = [
            pod
            for pod in subject.pods
            if not has_ended(pod)
            and any(owner["uid"] == uid for owner in pod["metadata"].get("ownerReferences") or [])
        ]
        return len(owned) < (spec["replicas"] or 0)
    over = any(condition(maker, kind).get("status") == "True" for kind in ("Complete", "Failed"))
    wanted = min(spec.get("parallelism", 1), spec.get("completions") or spec.get("parallelism", 1))
    return not over and (status.get("active") or 0) + (status.get("succeeded") or 0) < wanted


def _refusal_text(maker: KubernetesObject, subject: Subject) -> str:
    """What the API server answered last when the controller created a pod."""
    name = maker["metadata"]["name"]
    for event in reversed(subject.events):
        if event.get("reason") == "FailedCreate" and (event.get("involvedObject") or {}).get("name") == name:
            return str(event.get("message"))
    failure = condition(maker, "ReplicaFailure")
    return str(failure.get("message") or "") if failure.get("status") == "True" else ""


def _job_findings(maker: KubernetesObject) -> list[Finding]:
    """Why a Job has failed as a whole."""
    failed = condition(maker, "Failed")
    if failed.get("status") != "True":
        return []
    name, reason = maker["metadata"]["name"], failed.get("reason")
    if reason == "DeadlineExceeded":
        seconds = (maker.get("spec") or {}).get("activeDeadlineSeconds")
        return [
            Finding(
                "time limit",
                f"Job {message(name)} ran for as long as it may: {seconds} s (its own activeDeadlineSeconds)",
                "write a longer one, and save checkpoints",
            )
        ]
    return [
        Finding(
            "program",
            f"Job {message(name)} has failed: {message(reason)}: {message(failed.get('message'))}",
            "see its pods below; a Job that has failed starts no pod again: delete it, and create it anew",
        )
    ]


def _nothing(subject: Subject) -> Finding:
    """Why a workload has no pods and nothing says why."""
    spec = (subject.object or {}).get("spec") or {}
    if spec.get("replicas") == 0:
        return Finding(
            "own constraint", f"{subject.kind} {subject.name} has replicas: 0", "write replicas: 1 or more"
        )
    if subject.kind == "CronJob":
        return Finding(
            "waiting", f"it has not run yet; its schedule is {message(spec.get('schedule'))}", "wait"
        )
    return Finding("waiting", "it has no pods yet", "wait some seconds, and ask again")
