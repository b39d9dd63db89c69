"""The state of a Job and its pods in one line each, from the API's objects."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from k3sgpu.cluster.objects import KubernetesObject, condition, status_of
from k3sgpu.foreign_text import escape

COMPLETE = "Complete"
MAX_MESSAGE = 1000
"""Characters of a message about a pod; the scheduler's has a reason for each kind of node."""


def job_outcome(job: KubernetesObject) -> str | None:
    """Returns COMPLETE, or why the Job has failed; None while it runs."""
    if condition(job, "Complete").get("status") == "True":
        return COMPLETE
    failed = condition(job, "Failed")
    if failed.get("status") == "True":
        return escape(f"{failed.get('reason')}: {failed.get('message', '')}")
    return None


def describe_pod(pod: KubernetesObject) -> str:
    """Returns where a pod is, and what ended it, what it waits for, or its phase."""
    node, phase = pod["spec"].get("nodeName"), status_of(pod).get("phase", "Pending")
    name = pod["metadata"]["name"]
    where = f"{name} on {node}" if node else name
    return f"pod {where}: {'; '.join(_reasons(pod)) or phase}"


def scheduler_message(pod: KubernetesObject) -> str | None:
    """Returns why the scheduler has found no node for the pod; None when it has one."""
    scheduled = condition(pod, "PodScheduled")
    return scheduled.get("message", "") if scheduled.get("reason") == "Unschedulable" else None


def last_failed_pod(pods: Sequence[KubernetesObject]) -> KubernetesObject | None:
    """Returns the pod that was created last among those that failed."""
    failed = [pod for pod in pods if status_of(pod).get("phase") == "Failed"]
    return max(failed, key=lambda pod: pod["metadata"].get("creationTimestamp", ""), default=None)


def _reasons(pod: KubernetesObject) -> Iterator[str]:
    status = status_of(pod)
    for container in status.get("containerStatuses") or []:
        state = container.get("state", {})
        if ended := state.get("terminated"):
            reason = _reason_and_message(ended)
            yield f"exit code {ended.get('exitCode')}" + (f" ({reason})" if reason else "")
        if waiting := state.get("waiting"):
            yield _reason_and_message(waiting)
    if status.get("reason"):  # of the kubelet, such as UnexpectedAdmissionError
        yield _reason_and_message(status)
    if message := scheduler_message(pod):
        yield escape(message, MAX_MESSAGE)


def _reason_and_message(state: Mapping[str, Any]) -> str:
    text = ": ".join(state[key] for key in ("reason", "message") if state.get(key))
    return escape(text, MAX_MESSAGE)
