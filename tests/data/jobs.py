"""Jobs and their pods, as the API returns them."""

from typing import Any

FULL = "0/2 nodes are available: 1 Insufficient nvidia.com/gpu, 1 node(s) were unschedulable."


def pod(name: str = "p", node: str | None = "gpu-1", phase: str = "Running", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "creationTimestamp": name},
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": phase, **status},
    }


def container(**state: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "main", "state": state}]}


def unschedulable(message: str) -> dict[str, Any]:
    return pod(
        node=None,
        phase="Pending",
        conditions=[
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        ],
    )


def job(kind: str | None = None, **more: str) -> dict[str, Any]:
    return {"status": {"conditions": [{"type": kind, "status": "True", **more}] if kind else []}}


EXITED = pod("p2", phase="Failed", **container(terminated={"exitCode": 244, "reason": "Error"}))
PULLING = container(waiting={"reason": "ImagePullBackOff", "message": 'Back-off pulling image "i:1"'})
