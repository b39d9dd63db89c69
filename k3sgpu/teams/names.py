"""Names of the objects that teams have in a cluster. They are the program's own and stay for good."""

import re

from k3sgpu.settings import Rank
from k3sgpu.wellknown import MEMBERS_NAMESPACE

MEMBERS_GROUP = f"system:serviceaccounts:{MEMBERS_NAMESPACE}"
"""The group that Kubernetes puts all these ServiceAccounts into."""
MEMBER_USER_PREFIX = f"system:serviceaccount:{MEMBERS_NAMESPACE}:"
"""What the API server's name of a member begins with; the member's own name follows."""
TEAMS_CONFIG_MAP = "gpu-teams"
"""In MEMBERS_NAMESPACE: what the program knows about pools and shares, for members to read."""
TEAM_LABEL = "k3s-gpu-sharing/team"
"""The label of a team's namespace, with the team's name."""


def priority_class(rank: Rank, pool: str, member: str | None = None) -> str:
    """The PriorityClass of pods of this rank in a pool; that of one member where his slices are counted."""
    return f"{rank}-{pool}" + (f".{member}" if member else "")


def pool_of_class(name: str) -> tuple[Rank, str] | None:
    """The rank and the pool of a PriorityClass with such a name; None for any other class."""
    if match := re.fullmatch(r"(guaranteed|burst)-([a-z0-9-]+)(?:\.[a-z0-9-]+)?", name):
        return ("guaranteed" if match[1] == "guaranteed" else "burst"), match[2]
    return None


def account_of_class(name: str) -> str:
    """The member whose own a PriorityClass is; "" for one of a whole pool."""
    return name.partition(".")[2]


def member_user(member: str) -> str:
    """The name under which the API server knows a member."""
    return f"{MEMBER_USER_PREFIX}{member}"


def guaranteed_quota(pool: str) -> str:
    """The ResourceQuota of a team's guaranteed pods in a pool."""
    return f"guaranteed-{pool}"


def burst_quota(pool: str) -> str:
    """The ResourceQuota of a team's burst pods in a pool."""
    return f"burst-{pool}"


def member_quota(pool: str, member: str) -> str:
    """The ResourceQuota of one member's pods in a pool."""
    return f"member-{pool}.{member}"


def team_policy(team: str) -> str:
    """The admission policies that hold a team to its pools and shares, and that fill in what is missing."""
    return f"gpu-team-{team}"


def template_policy(team: str) -> str:
    """Those for what makes pods, where slices are counted by member. No team's name has a dot."""
    return f"{team_policy(team)}.templates"
