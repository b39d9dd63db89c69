"""Waits until an object is ready, or deleted. Every wait has a deadline and reports the last state."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from rehearsal.simulators.plugins.kubernetes import jsonpath
from rehearsal.simulators.plugins.kubernetes.api import Api, ApiError, Object
from rehearsal.simulators.plugins.server import Failure

DEFAULT_SECONDS: Final = 600.0
POLL_SECONDS: Final = 0.5

SKIP: Final = "pulumi.com/skipAwait"
TIMEOUT: Final = "pulumi.com/timeoutSeconds"
WAIT_FOR: Final = "pulumi.com/waitFor"
# A new object of a Deployment has this number; its counterpart on ReplicaSets says which is the newest.
REVISION: Final = "deployment.kubernetes.io/revision"
# The reasons for which a failed Job is given up at once; for others the official plugin waits on, too.
JOB_FAILED: Final = {"BackoffLimitExceeded", "DeadlineExceeded"}

Status = Callable[[str], None]


class NotReady(Failure):
    """The object exists and did not become ready. `live` is its last state."""

    def __init__(self, text: str, live: Object, reasons: list[str]) -> None:
        super().__init__(text)
        self.live, self.reasons = live, reasons


def timeout_seconds(requested: float, annotations: dict[str, str]) -> float:
    """The custom timeout, else the annotation, else ten minutes."""
    if requested:
        return requested
    text = annotations.get(TIMEOUT, "")
    return float(text) if text.isdecimal() else DEFAULT_SECONDS


def ready(api: Api, obj: Object, seconds: float, status: Status, cancelled: Callable[[], bool]) -> Object:
    """Waits until `obj` is ready, by its annotations or its kind, and returns its last form.

    Raises NotReady at the deadline, when the engine cancels, or when it can no longer become ready.
    """
    annotations = obj["metadata"].get("annotations") or {}
    if annotations.get(SKIP) == "true":
        return obj
    look = _look_for(api, obj, annotations)
    if look is None:
        return obj
    deadline = time.monotonic() + seconds
    shown = ""
    live, missing, reasons = obj, "nothing", []
    while True:
        try:
            live = api.get(obj)
            missing, reasons = look(live)
        except ApiError as error:
            missing, reasons = f"the API server answered: {error}", []
        if not missing:
            return live
        if missing != shown:
            status(f"Waiting: {missing}")
            shown = missing
        if cancelled():
            raise NotReady(f"{_named(obj)}: cancelled while waiting: {missing}", live, reasons)
        if time.monotonic() > deadline:
            text = f"{_named(obj)} timed out after {seconds:.0f} s; last seen: {missing}"
            raise NotReady(text, live, reasons)
        time.sleep(POLL_SECONDS)


def check(api: Api, live: Object) -> None:
    """Checks an existing object once. Raises NotReady when it is not ready, by the rules of its kind."""
    if (live["metadata"].get("annotations") or {}).get(SKIP) == "true":
        return
    look = _of_kind(api, live)
    if look is None:
        return
    missing, reasons = look(live)
    if missing:
        raise NotReady(f"{_named(live)} failed to initialize: {missing}", live, reasons)


def gone(api: Api, obj: Object, seconds: float, status: Status, cancelled: Callable[[], bool]) -> None:
    """Waits until `obj` does not exist. Raises Failure at the deadline, with the finalizers that hold it."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            live = api.get(obj)
        except ApiError as error:
            if error.code == 404:
                return
            raise
        held = ", ".join(live["metadata"].get("finalizers") or []) or "no finalizers"
        if cancelled():
            raise Failure(f"{_named(obj)}: cancelled while waiting for its deletion")
        if time.monotonic() > deadline:
            text = f"{_named(obj)} timed out after {seconds:.0f} s waiting to be gone; it is held by: {held}"
            raise NotReady(text, live, [])
        status(f"Waiting until it is gone ({held})")
        time.sleep(POLL_SECONDS)


Look = Callable[[Object], tuple[str, list[str]]]


def _look_for(api: Api, obj: Object, annotations: dict[str, str]) -> Look | None:
    """The readiness rules of an object: of its annotation, else of its kind."""
    if WAIT_FOR in annotations:
        wanted = jsonpath.conditions(annotations[WAIT_FOR])
        return lambda live: _conditions(live, wanted)
    return _of_kind(api, obj)


def _of_kind(api: Api, obj: Object) -> Look | None:
    if (obj["apiVersion"], obj["kind"]) == ("apps/v1", "Deployment"):
        return lambda live: _deployment(api, live)
    if (obj["apiVersion"], obj["kind"]) == ("batch/v1", "Job"):
        return _job
    if (obj["apiVersion"], obj["kind"]) == ("v1", "ResourceQuota"):
        return _quota
    return None


def _named(obj: Object) -> str:
    metadata = obj["metadata"]
    return f"{obj['kind']} '{metadata['name']}'"


def _conditions(live: Object, wanted: list[jsonpath.Condition]) -> tuple[str, list[str]]:
    for condition in wanted:
        fulfilled, found = condition.look(live)
        if not fulfilled:
            return f"{condition.text} ({found})", []
    return "", []


def _deployment(api: Api, live: Object) -> tuple[str, list[str]]:
    """Ready: the newest ReplicaSet has all its pods, the Deployment is available, a rollout is complete."""
    status = live.get("status", {})
    generation = live["metadata"].get("generation", 0)
    if status.get("observedGeneration", -1) != generation:
        return "its controller has not seen it yet", []
    revision = (live["metadata"].get("annotations") or {}).get(REVISION, "")
    newest = _newest_replica_set(api, live, revision)
    if newest is None:
        return "its ReplicaSet does not exist yet", []
    states = {condition["type"]: condition for condition in status.get("conditions") or []}
    wanted = newest["spec"].get("replicas", 1)
    having = newest.get("status", {}).get("readyReplicas", 0)
    available = states.get("Available", {}).get("status") == "True"
    progressing = states.get("Progressing", {})
    rolled_out = progressing.get("status") == "True" and progressing.get("reason") == "NewReplicaSetAvailable"
    if available and having >= wanted and (revision == "1" or rolled_out):
        return "", []
    reasons = [
        f"[{condition['reason']}] {condition['message']}"
        for condition in states.values()
        if condition["type"] in ("Available", "Progressing") and condition["status"] != "True"
    ]
    return f"{having}/{wanted} Pods available", reasons + _pod_troubles(api, newest)


def _quota(live: Object) -> tuple[str, list[str]]:
    """Ready: its controller has taken over what the quota allows; until then nothing is refused."""
    wanted, seen = live["spec"].get("hard", {}), live.get("status", {}).get("hard", {})
    return ("", []) if wanted == seen else ("its controller has not seen it yet", [])


def _newest_replica_set(api: Api, live: Object, revision: str) -> Object | None:
    for candidate in api.list("apps/v1", "ReplicaSet", live["metadata"]["namespace"]):
        metadata = candidate["metadata"]
        if _owned(candidate, live) and (metadata.get("annotations") or {}).get(REVISION) == revision:
            return candidate
    return None


def _owned(obj: Object, owner: Object) -> bool:
    uid = owner["metadata"]["uid"]
    return any(reference["uid"] == uid for reference in obj["metadata"].get("ownerReferences") or [])


def _pod_troubles(api: Api, owner: Object) -> list[str]:
    """Why the pods of `owner` are not ready: the scheduler's words, or the container's."""
    pods = [pod for pod in api.list("v1", "Pod", owner["metadata"]["namespace"]) if _owned(pod, owner)]
    return [f"[Pod {pod['metadata']['name']}]: {trouble}" for pod in pods for trouble in _troubles(pod)]


def _troubles(pod: Object) -> Iterator[str]:
    status = pod.get("status", {})
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] != "True":
            yield condition.get("message", "not scheduled yet")
    for container in status.get("containerStatuses") or []:
        waiting = container.get("state", {}).get("waiting") or {}
        if waiting and waiting.get("reason") != "ContainerCreating":
            yield f"[{waiting.get('reason')}] {waiting.get('message', '')}"


def _job(live: Object) -> tuple[str, list[str]]:
    status = live.get("status", {})
    states = {c["type"]: c for c in status.get("conditions") or [] if c["status"] == "True"}
    failed = states.get("Failed")
    if failed and failed.get("reason") in JOB_FAILED:
        reason = f"[{failed['reason']}] {failed.get('message', '')}"
        raise NotReady(f"{_named(live)} failed to initialize: {reason}", live, [reason])
    if "Complete" in states and status.get("startTime"):
        return "", []
    counts = [f"{word}: {status.get(word.lower(), 0)}" for word in ("Active", "Succeeded", "Failed")]
    return f"the Job to succeed ({', '.join(counts)})", []
