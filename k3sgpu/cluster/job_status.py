"""What a Job and its pods say of themselves, in one line. Objects of the API in, texts out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Object = Mapping[str, Any]


def ended(job: Object) -> str | None:
    """ "Complete", or why it has failed; None while it goes on."""
    for condition in job.get("status", {}).get("conditions") or []:
        if condition["status"] == "True" and condition["type"] == "Complete":
            return "Complete"
        if condition["status"] == "True" and condition["type"] == "Failed":
            return f"{condition.get('reason')}: {condition.get('message', '')}"
    return None


def describe_pod(pod: Object) -> str:
    """Where a pod is and how it fares: what ended it, what it waits for, or its phase."""
    node, phase = pod["spec"].get("nodeName"), pod.get("status", {}).get("phase", "Pending")
    reasons = list(_reasons(pod.get("status", {})))
    where = f"{pod['metadata']['name']} on {node}" if node else pod["metadata"]["name"]
    return f"pod {where}: {'; '.join(reasons) or phase}"


def unschedulable(pod: Object) -> str | None:
    """The scheduler's words, where it has found no node for the pod."""
    for condition in pod.get("status", {}).get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return condition.get("message", "")
    return None


def failed_pod(pods: Sequence[Object]) -> Object | None:
    """The pod to ask for its log: the last one that failed."""
    failed = [pod for pod in pods if pod.get("status", {}).get("phase") == "Failed"]
    return max(failed, key=lambda pod: pod["metadata"].get("creationTimestamp", ""), default=None)


def _reasons(status: Object) -> Iterator[str]:
    for container in status.get("containerStatuses") or []:
        state = container.get("state", {})
        if end := state.get("terminated"):
            why = ": ".join(end[key] for key in ("reason", "message") if end.get(key))
            yield f"exit code {end.get('exitCode')}" + (f" ({why})" if why else "")
        if wait := state.get("waiting"):
            yield ": ".join(wait[key] for key in ("reason", "message") if wait.get(key))
    if status.get("reason"):  # of the kubelet, such as UnexpectedAdmissionError
        yield ": ".join(status[key] for key in ("reason", "message") if status.get(key))
    if words := unschedulable({"status": status}):
        yield words
