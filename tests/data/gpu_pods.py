"""Nodes with GPUs, and pods on them, as the API returns them."""

from typing import Any

from k3sgpu.handoff.expected_state import ExpectedState

CONFIG, MPS, MIG = "nvidia.com/device-plugin.config", "nvidia.com/mps.capable", "nvidia.com/mig.strategy"


def labels(config: str | None, mps: bool = False, mig: str | None = None) -> dict[str, str]:
    given = {CONFIG: config, MPS: "true" if mps else "false", MIG: mig}
    return {key: value for key, value in given.items() if value is not None}


def node(name: str = "gpu-1", **given: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels(**given), "annotations": {}}, "spec": {}}


def expecting(**given: Any) -> ExpectedState:
    return {
        "timeoutSeconds": 60,
        "drainTimeoutSeconds": 0,
        "namespace": "gpu-operator",
        "nodes": [{"name": "gpu-1", "resources": {}, "labels": labels(**given)}],
    }


def pod(
    name: str, on: str = "gpu-1", owner: str | None = "ReplicaSet", resource: str = "nvidia.com/gpu"
) -> dict:
    owners = [{"kind": owner, "name": f"{name}-owner", "controller": True}] if owner else []
    return {
        "metadata": {"name": name, "namespace": "default", "ownerReferences": owners},
        "spec": {"nodeName": on, "containers": [{"name": "main", "resources": {"limits": {resource: "1"}}}]},
        "status": {"phase": "Running"},
    }
