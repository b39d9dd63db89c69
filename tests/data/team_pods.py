"""Pods of teams, quotas and shares, as the API and the program have them."""

from typing import Any

from k3sgpu.capacity import TeamShare

GPU = "nvidia.com/gpu"


def share(team: str = "vision", **changes: Any) -> TeamShare:
    given: dict[str, Any] = {"pool": "rtx", "resource": GPU, "guaranteed": 2, "limit": 4, "per_pod": 1}
    return TeamShare(**{"team": team, "per_member": None, **given, **changes})


def team_pod(
    name: str,
    priority: str = "guaranteed-rtx",
    slices: int = 1,
    team: str = "vision",
    age: int = 0,
    **changes: Any,
) -> dict[str, Any]:
    """A pod that was made `age` minutes before the others."""
    resources = {"limits": {GPU: str(slices)}, "requests": {GPU: str(slices)}} if slices else {}
    return {
        "metadata": {
            "name": name,
            "namespace": team,
            "uid": f"uid-{name}",
            "creationTimestamp": f"2026-12-01T10:{59 - age:02}:00Z",
            **changes.pop("metadata", {}),
        },
        "spec": {"priorityClassName": priority, "containers": [{"name": "main", "resources": resources}]}
        | changes.pop("spec", {}),
        "status": {"phase": "Running", **changes.pop("status", {})},
    }


def quota(name: str, hard: int, used: int = 0, team: str = "vision", resource: str = GPU) -> dict[str, Any]:
    key = f"requests.{resource}"
    return {
        "metadata": {"name": name, "namespace": team},
        "spec": {"hard": {key: str(hard)}},
        "status": {"hard": {key: str(hard)}, "used": {key: str(used)}},
    }
