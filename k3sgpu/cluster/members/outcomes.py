"""Why a pod that had a node does not run, or runs no more."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from k3sgpu.cluster.members.findings import Finding, message
from k3sgpu.cluster.members.pools import node_trouble
from k3sgpu.cluster.members.subject import event_time
from k3sgpu.cluster.members.view import MemberView
from k3sgpu.cluster.objects import KubernetesObject, condition, has_ended, pod_state, status_of
from k3sgpu.foreign_text import escape

_IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")
_MISSING = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_MOUNT = ("FailedMount", "FailedAttachVolume", "FailedMapVolume")
# pkg/scheduler/framework/preemption/executor.go
_PREEMPTED = re.compile(r"Preempted by pod ([0-9a-f-]+) on node (\S+)")
_ADMINISTRATOR = "tell the administrator: python -m k3sgpu doctor cluster says more"


def on_a_node(pod: KubernetesObject, view: MemberView, events: Sequence[KubernetesObject]) -> list[Finding]:
    """Returns why a pod that has a node does not run, or that it runs."""
    name = pod["spec"]["nodeName"]
    node = next((one for one in view.nodes if one["metadata"]["name"] == name), None)
    trouble = "it is not in the cluster" if node is None else node_trouble(node)
    found = [*_displaced(pod, view, events)]
    if trouble and trouble != "it is cordoned":
        found.append(Finding("node", f"its node {escape(name)}: {escape(trouble)}", _ADMINISTRATOR))
    for status in _containers(pod):
        found += _container(status, pod)
    if not any(one.cause in ("image", "program") for one in found):
        found += _warnings(events)
    if found:
        return found
    if condition(pod, "Ready").get("status") == "True":
        return [Finding("fine", f"it runs on {escape(name)}")]
    return [
        Finding("waiting", f"on {escape(name)}: {message(pod_state(pod))}", "wait; then kubectl describe pod")
    ]


def ended(pod: KubernetesObject, view: MemberView, events: Sequence[KubernetesObject]) -> list[Finding]:
    """Returns why a pod has ended."""
    status = status_of(pod)
    if status.get("phase") == "Succeeded":
        return [Finding("fine", "its program has ended with status 0")]
    reason, text = str(status.get("reason") or ""), str(status.get("message") or "")
    if reason == "DeadlineExceeded":
        return [_time_limit(pod, view)]
    if reason == "UnexpectedAdmissionError":
        return [
            Finding(
                "card",
                f"node {escape(pod['spec'].get('nodeName'))} could not give it its slice: {message(text)}",
                f"delete the pod, or let its controller make another; if that fails too, {_ADMINISTRATOR}",
            )
        ]
    if displaced := list(_displaced(pod, view, events)):
        return displaced
    if reason == "Evicted":
        return [
            Finding(
                "eviction",
                f"node {escape(pod['spec'].get('nodeName'))} ran short of something: {message(text)}",
                "request what the program needs in resources.requests, and write less to the node's disk",
            )
        ]
    found = [one for status in _containers(pod) for one in _container(status, pod)]
    return found or [Finding("program", f"{escape(reason) or 'it has failed'}: {message(text)}", _log(pod))]


def gone(name: str, view: MemberView, events: Sequence[KubernetesObject]) -> list[Finding]:
    """Returns what the events say about a pod that exists no more."""
    head = Finding("gone", f"pod {escape(name)} exists no more; its events are kept for an hour")
    return [head, *(_preempted(events, view) or _warnings(events) or _last_events(events))]


def _displaced(
    pod: KubernetesObject, view: MemberView, events: Sequence[KubernetesObject]
) -> Iterator[Finding]:
    """Whether the pod had to go, or is going, and why."""
    target = condition(pod, "DisruptionTarget")
    reason, when = target.get("reason"), escape(target.get("lastTransitionTime"))
    if reason == "PreemptionByScheduler" or (not reason and not has_ended(pod) and _preempted(events, view)):
        yield from _preempted(events, view) or [_preemption(f"{message(target.get('message'))}, at {when}")]
    elif reason == "EvictionByEvictionAPI":
        yield Finding(
            "eviction",
            f"it was evicted at {when}: {message(target.get('message'))}",
            "the administrator lowered a share of your team, or emptied the node; python -m k3sgpu free says "
            "what your team may use now",
        )
    elif reason:
        text = message(target.get("message"))
        yield Finding(
            "node", f"it had to leave its node at {when} ({escape(reason)}): {text}", _ADMINISTRATOR
        )
    elif pod["metadata"].get("deletionTimestamp"):
        since = escape(pod["metadata"]["deletionTimestamp"])
        yield Finding("waiting", f"somebody deleted it; it ends by {since}", "wait until it is gone")


def _preempted(events: Sequence[KubernetesObject], view: MemberView) -> list[Finding]:
    """Who preempted a pod, and when, from the scheduler's event. It names the other pod by its uid only."""
    for event in reversed(events):
        if event.get("reason") != "Preempted":
            continue
        match = _PREEMPTED.search(str(event.get("message")))
        names = {pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in view.pods}
        own = names.get(match[1]) if match else None
        who = f"pod {own} of the own team" if own else "a pod of others"
        where = f" on {match[2]}" if match else ""
        return [_preemption(f"{escape(who + where)} got its slices, at {escape(event_time(event))}")]
    return []


def _preemption(what: str) -> Finding:
    return Finding(
        "preemption",
        f"it was a burst pod and gave way to a guaranteed pod: {what}",
        "save checkpoints, and let a Job or Deployment start it again when slices are free; "
        "or write a guaranteed class, of which python -m k3sgpu free says what is left",
    )


def _time_limit(pod: KubernetesObject, view: MemberView) -> Finding:
    seconds = pod["spec"].get("activeDeadlineSeconds")
    hours = view.facts["teams"][view.team]["hours"]
    most = f"write activeDeadlineSeconds up to {hours['max'] * 3600}, and " if hours else ""
    return Finding(
        "time limit",
        f"it ran for as long as it may: {seconds} s ({round((seconds or 0) / 3600, 1):g} h), "
        f"from {escape(status_of(pod).get('startTime'))}",
        f"{most}save checkpoints, so that the next pod goes on from the last",
    )


def _containers(pod: KubernetesObject) -> list[Mapping[str, Any]]:
    status = status_of(pod)
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _container(status: Mapping[str, Any], pod: KubernetesObject) -> Iterator[Finding]:
    """What is wrong with one container."""
    name, state = escape(status.get("name")), status.get("state") or {}
    waiting, now = state.get("waiting") or {}, state.get("terminated") or {}
    reason = str(waiting.get("reason") or "")
    last = now or (status.get("lastState") or {}).get("terminated") or {}
    if reason in _IMAGE:
        yield Finding(
            "image",
            f"{name}: {escape(reason)}: {message(waiting.get('message'))}",
            "correct the image's name; for a private registry write imagePullSecrets",
        )
    elif reason in _MISSING:
        yield Finding(
            "own constraint",
            f"{name}: {escape(reason)}: {message(waiting.get('message'))}",
            "make the ConfigMap or Secret that it names, or correct the command",
        )
    elif last.get("reason") == "OOMKilled":
        yield Finding(
            "program",
            f"{name} was killed because it used more memory than its limit, or than the node has",
            "raise resources.limits.memory, or use less",
        )
    elif reason == "CrashLoopBackOff" or now.get("exitCode"):
        code = escape(last.get("exitCode", "?"), 20)
        yield Finding(
            "program", f"{name} ended with status {code} {message(last.get('message') or '')}", _log(pod)
        )


def _log(pod: KubernetesObject) -> str:
    return f"kubectl logs {escape(pod['metadata']['name'])} --previous, or without --previous"


def _warnings(events: Sequence[KubernetesObject]) -> list[Finding]:
    """What the newest warning about a pod says."""
    for event in reversed(events):
        reason, text = str(event.get("reason")), str(event.get("message"))
        if event.get("type") != "Warning" or reason == "FailedScheduling":
            continue
        if reason in _MOUNT:
            advice = "make what the volume names, or kubectl describe its claim"
            return [Finding("volume", f"{escape(reason)}: {message(text)}", advice)]
        if reason == "FailedCreatePodSandBox" or "nvidia" in text or "CDI" in text:
            return [Finding("card", f"{escape(reason)}: {message(text)}", _ADMINISTRATOR)]
        return [
            Finding("program", f"{escape(reason)}: {message(text)}", "kubectl describe pod shows all events")
        ]
    return []


def _last_events(events: Sequence[KubernetesObject]) -> list[Finding]:
    return [
        Finding(
            "gone",
            f"{escape(event_time(event))} {escape(event.get('reason'))}: {message(event.get('message'))}",
        )
        for event in events[-3:]
    ]
