"""The pods of teams in a running cluster: what they use, and with which rank. Pure: API objects in."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from k3sgpu.capacity.node_usage import requested_resources
from k3sgpu.settings import Rank
from k3sgpu.teams.names import account_of_class, pool_of_class


@dataclass(frozen=True)
class TeamPod:
    """A pod that uses slices of a pool, or waits for them. `team` is its namespace too.

    `node` is "" for a Pending pod. `created` is Kubernetes' timestamp, which sorts as text.
    """

    team: str
    name: str
    rank: Rank
    pool: str
    slices: Mapping[str, int]
    """By resource."""
    node: str = ""
    created: str = ""
    uid: str = ""
    account: str = ""
    """The member whose slices it uses; "" where they are the whole team's."""


def team_pods(pods: Iterable[Mapping[str, Any]], teams: Collection[str]) -> list[TeamPod]:
    """The pods in the namespaces of teams that use slices, or will; those that are being deleted do not."""
    found: list[TeamPod] = []
    for pod in pods:
        metadata, spec = pod["metadata"], pod["spec"]
        ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        place = pool_of_class(spec.get("priorityClassName") or "")
        if metadata.get("namespace") not in teams or not place or ended or metadata.get("deletionTimestamp"):
            continue
        if slices := {name: count for name, count in requested_resources(pod).items() if count}:
            found.append(
                TeamPod(
                    team=metadata["namespace"],
                    name=metadata["name"],
                    rank=place[0],
                    pool=place[1],
                    slices=slices,
                    node=spec.get("nodeName") or "",
                    created=metadata.get("creationTimestamp") or "",
                    uid=metadata.get("uid") or "",
                    account=account_of_class(spec["priorityClassName"]),
                )
            )
    return found
