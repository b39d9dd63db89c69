"""What a member of a team sees of a small cluster."""

from collections.abc import Sequence
from typing import Any

from k3sgpu.cluster.members.view import MemberView
from k3sgpu.teams.facts import TeamsFacts, share_facts
from tests.data.team_pods import GPU, quota, share


def gpu_node(name: str, slices: int = 6, ready: bool = True, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"k3s-gpu-sharing/pool": "rtx", "kubernetes.io/hostname": name}},
        "spec": spec,
        "status": {
            "allocatable": {GPU: str(slices)},
            "conditions": [
                {"type": "Ready", "status": "True" if ready else "Unknown", "reason": "KubeletStopped"}
            ],
        },
    }


NODES = (gpu_node("gpu-1"), gpu_node("gpu-2"))


def facts(**changes: Any) -> TeamsFacts:
    """Two teams on pool rtx: vision with a guarantee of 4, students without."""
    return {
        "pools": {
            "rtx": {"nodes": {"gpu-1": {GPU: 6}, "gpu-2": {GPU: 6}}, "outside": changes.get("outside", {})}
        },
        "shares": [
            share_facts(share(guaranteed=4, limit=8, per_pod=4)),
            share_facts(
                share(
                    "students",
                    guaranteed=0,
                    limit=6,
                    per_member=changes.get("per_member"),
                    accounts=("cy",) if "per_member" in changes else (),
                )
            ),
        ],
        "teams": {
            "vision": {"members": ["ana", "bo"], "hours": {"default": 8, "max": 24}},
            "students": {"members": ["cy"], "hours": None},
        },
    }


def quotas(
    vision: tuple[int, int] = (0, 0), students: int = 0, cy: int | None = None
) -> list[dict[str, Any]]:
    """Used: guaranteed and burst slices of vision, burst slices of students, and those of member cy."""
    found = [
        quota("guaranteed-rtx", 4, vision[0]),
        quota("burst-rtx", 4, vision[1]),
        quota("guaranteed-rtx", 0, 0, "students"),
        quota("burst-rtx", 6, students, "students"),
    ]
    return found if cy is None else [*found, quota("member-rtx.cy", 1, cy, "students")]


def view(
    member: str = "ana",
    used: Sequence[dict[str, Any]] | None = None,
    nodes: Sequence[dict[str, Any]] = NODES,
    pods: Sequence[dict[str, Any]] = (),
    **changes: Any,
) -> MemberView:
    team = "students" if member == "cy" else "vision"
    return MemberView(team, member, facts(**changes), nodes, used or quotas(), pods)
