"""Plays kubelets for the probes' pods: those that are bound run at once, or fail, as their labels say."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx2

from rehearsal.tests.e2e.controlplane import ControlPlane

# What becomes of a pod: "runs", "succeeds" or "fails". Others are left as they are.
FATE: Final = "probe-fate"
PERIOD_SECONDS: Final = 0.2
_APPLY: Final = {"Content-Type": "application/merge-patch+json"}


@contextmanager
def kubelet(control_plane: ControlPlane) -> Iterator[None]:
    """Looks after all pods until the block ends."""
    done = threading.Event()

    def work() -> None:
        with control_plane.client() as client:
            while not done.wait(PERIOD_SECONDS):
                for pod in client.get("/api/v1/pods").json()["items"]:
                    _look_after(client, pod)

    thread = threading.Thread(target=work, name="kubelet", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(10)


def _look_after(client: httpx2.Client, pod: dict[str, Any]) -> None:
    metadata = pod["metadata"]
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
    if metadata.get("deletionTimestamp"):
        client.request("DELETE", path, params={"gracePeriodSeconds": "0"})
        return
    fate = (metadata.get("labels") or {}).get(FATE)
    status = _STATUS.get(fate or "")
    if status and pod["spec"].get("nodeName") and pod["status"].get("phase") == "Pending":
        client.patch(f"{path}/status", json={"status": status | {"startTime": _now()}}, headers=_APPLY)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _exited(code: int) -> list[dict[str, Any]]:
    end = {"exitCode": code, "startedAt": _now(), "finishedAt": _now()}
    status = {"name": "main", "ready": False, "restartCount": 0, "image": "probe", "imageID": "probe"}
    return [status | {"state": {"terminated": end}}]


_READY: Final = [{"type": kind, "status": "True"} for kind in ("Initialized", "ContainersReady", "Ready")]
_STATUS: Final[dict[str, dict[str, Any]]] = {
    "runs": {"phase": "Running", "conditions": _READY},
    "succeeds": {"phase": "Succeeded", "containerStatuses": _exited(0)},
    "fails": {"phase": "Failed", "containerStatuses": _exited(1)},
}
