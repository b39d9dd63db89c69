"""Who a member is, and what members may do: RBAC of exactly what work with pods needs."""

from collections.abc import Iterable
from typing import Any

from k3sgpu.teams.manifest import Manifest, manifest
from k3sgpu.teams.names import MEMBERS_GROUP, MEMBERS_NAMESPACE, TEAM_LABEL, TEAMS_CONFIG_MAP
from k3sgpu.teams.team_pools import TeamPools

RBAC = "rbac.authorization.k8s.io"
MEMBER_ROLE = "gpu-team-member"
"""The Role in each team's namespace."""
CLUSTER_ROLE = "gpu-team-members"
"""What every member may read of the cluster."""
QUOTAS_ROLE = "gpu-team-quotas"
READ = ["get", "list", "watch"]
WRITE = [*READ, "create", "update", "patch", "delete", "deletecollection"]


def _rule(group: str, resources: Iterable[str], verbs: Iterable[str], **more: Any) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs), **more}


def members_namespace() -> tuple[Manifest, ...]:
    """The namespace of the members' ServiceAccounts, in which no pod can run."""
    return (
        manifest(
            "v1", "Namespace", MEMBERS_NAMESPACE, labels={"pod-security.kubernetes.io/enforce": "restricted"}
        ),
        manifest("v1", "ResourceQuota", "no-pods", MEMBERS_NAMESPACE, spec={"hard": {"pods": "0"}}),
    )


def members_rights() -> tuple[Manifest, ...]:
    """What every member may read outside of the team's namespace."""
    group = {"kind": "Group", "name": MEMBERS_GROUP, "apiGroup": RBAC}
    readable = [
        _rule("", ["nodes"], READ),
        _rule("scheduling.k8s.io", ["priorityclasses"], READ),
        _rule("node.k8s.io", ["runtimeclasses"], READ),
        _rule("storage.k8s.io", ["storageclasses"], READ),
    ]
    facts = _rule("", ["configmaps"], ["get"], resourceNames=[TEAMS_CONFIG_MAP])
    return (
        manifest(f"{RBAC}/v1", "ClusterRole", CLUSTER_ROLE, rules=readable),
        _binding("ClusterRoleBinding", CLUSTER_ROLE, None, "ClusterRole", CLUSTER_ROLE, group),
        manifest(f"{RBAC}/v1", "ClusterRole", QUOTAS_ROLE, rules=[_rule("", ["resourcequotas"], READ)]),
        manifest(f"{RBAC}/v1", "Role", TEAMS_CONFIG_MAP, MEMBERS_NAMESPACE, rules=[facts]),
        _binding("RoleBinding", TEAMS_CONFIG_MAP, MEMBERS_NAMESPACE, "Role", TEAMS_CONFIG_MAP, group),
    )


def team_namespace(team: TeamPools) -> Manifest:
    """The team's namespace, under its Pod Security Standard."""
    level = team.team.pod_security
    return manifest(
        "v1",
        "Namespace",
        team.name,
        labels={
            TEAM_LABEL: team.name,
            "pod-security.kubernetes.io/enforce": level,
            "pod-security.kubernetes.io/warn": level,
        },
    )


def team_rights(team: TeamPools) -> tuple[Manifest, ...]:
    """The Role of the team's members, and the right of all members to read its quotas."""
    group = {"kind": "Group", "name": MEMBERS_GROUP, "apiGroup": RBAC}
    return (
        manifest(f"{RBAC}/v1", "Role", MEMBER_ROLE, team.name, rules=_member_rules(team)),
        _binding("RoleBinding", QUOTAS_ROLE, team.name, "ClusterRole", QUOTAS_ROLE, group),
    )


def member_objects(team: str, member: str) -> tuple[Manifest, ...]:
    """A member's identity, and its right to the team's namespace."""
    subject = {"kind": "ServiceAccount", "name": member, "namespace": MEMBERS_NAMESPACE}
    return (
        manifest("v1", "ServiceAccount", member, MEMBERS_NAMESPACE, automountServiceAccountToken=False),
        _binding("RoleBinding", f"{MEMBER_ROLE}-{member}", team, "Role", MEMBER_ROLE, subject),
    )


def _member_rules(team: TeamPools) -> list[dict[str, Any]]:
    """Not Kubernetes' own role `edit`: it lets one act as any ServiceAccount of the namespace.

    Where members' slices are counted, none may scale: a request to scale does not show whose pods grow.
    """
    scale = [] if team.per_member else ["deployments/scale", "statefulsets/scale"]
    return [
        _rule("", ["pods", "configmaps", "secrets", "services", "persistentvolumeclaims"], WRITE),
        _rule("", ["pods/log"], ["get"]),
        # kubectl opens these by GET and by POST, depending on its release.
        _rule("", ["pods/exec", "pods/attach", "pods/portforward"], ["get", "create"]),
        _rule("apps", ["deployments", "statefulsets"], WRITE),
        *([_rule("apps", scale, ["get", "update", "patch"])] if scale else []),
        _rule("apps", ["replicasets", "controllerrevisions"], READ),
        _rule("batch", ["jobs", "cronjobs"], WRITE),
        _rule("", ["events", "limitranges", "resourcequotas"], READ),
        _rule("events.k8s.io", ["events"], READ),
        _rule("networking.k8s.io", ["networkpolicies"], READ),
        _rule("discovery.k8s.io", ["endpointslices"], READ),
        _rule("metrics.k8s.io", ["pods"], READ),
    ]


def _binding(
    kind: str, name: str, namespace: str | None, role_kind: str, role: str, subject: dict[str, str]
) -> Manifest:
    reference = {"apiGroup": RBAC, "kind": role_kind, "name": role}
    return manifest(f"{RBAC}/v1", kind, name, namespace, roleRef=reference, subjects=[subject])
