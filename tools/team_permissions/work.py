"""What members do every day, and what they may read."""

from typing import Any

from tools.team_permissions.action import (
    COUNTED_TEAM,
    POOL,
    TEAM,
    Action,
    Body,
    deployment,
    in_namespace,
    in_team,
    of_cluster,
    pod,
    pod_spec,
    thing,
)

_TEAM: dict[str, Any] = {"allowed": ("admin", "member")}
_MEMBERS: dict[str, Any] = {"allowed": ("admin", "member", "other")}
_BATCH, _APPS = "batch/v1", "apps/v1"
_JOB = {"template": {"spec": pod_spec(restartPolicy="Never")}}
_CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
_SET = deployment()["spec"] | {"serviceName": "new"}
_SERVICE = {"selector": {"app": "new"}, "ports": [{"port": 80}]}

PODS = (
    Action("list pods", "GET", in_team("pods"), **_TEAM),
    Action("read a pod", "GET", in_team("pods/train"), **_TEAM),
    Action(
        "create a guaranteed pod",
        "POST",
        in_team("pods"),
        pod(priorityClassName=f"guaranteed-{POOL}"),
        **_TEAM,
    ),
    Action("create a burst pod", "POST", in_team("pods"), pod(), **_TEAM),
    Action("create a pod without a slice", "POST", in_team("pods"), pod(slices=0), **_TEAM),
    Action(
        "create a pod that names nothing but its slices",
        "POST",
        in_team("pods"),
        pod(priorityClassName=None),
        **_TEAM,
    ),
    Action(
        "change a pod's labels", "PATCH", in_team("pods/train"), {"metadata": {"labels": {"a": "b"}}}, **_TEAM
    ),
    Action("delete a pod", "DELETE", in_team("pods/train"), **_TEAM),
    Action("delete a waiting pod by force", "DELETE", in_team("pods/waiting?gracePeriodSeconds=0"), **_TEAM),
    Action("delete all pods of the team", "DELETE", in_team("pods"), **_TEAM),
    Action("read a pod's log", "GET", in_team("pods/train/log"), connects=True, **_TEAM),
    Action("exec by POST", "POST", in_team("pods/train/exec?command=id&stdout=1"), connects=True, **_TEAM),
    Action("exec by GET", "GET", in_team("pods/train/exec?command=id&stdout=1"), connects=True, **_TEAM),
    Action("attach", "POST", in_team("pods/train/attach?stdout=1"), connects=True, **_TEAM),
    Action("port-forward", "POST", in_team("pods/train/portforward?ports=80"), connects=True, **_TEAM),
)
OBJECTS = (
    Action("create a Deployment", "POST", in_team("deployments", group=_APPS), deployment(), **_TEAM),
    Action(
        "change the template of a Deployment",
        "PATCH",
        in_team("deployments/app", group=_APPS),
        {"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}},
        **_TEAM,
    ),
    Action(
        "scale a Deployment",
        "PATCH",
        in_team("deployments/app/scale", group=_APPS),
        {"spec": {"replicas": 9}},
        **_TEAM,
    ),
    Action("delete a Deployment", "DELETE", in_team("deployments/app", group=_APPS), **_TEAM),
    Action(
        "create a StatefulSet",
        "POST",
        in_team("statefulsets", group=_APPS),
        thing(_APPS, "StatefulSet", spec=_SET),
        **_TEAM,
    ),
    Action("create a Job", "POST", in_team("jobs", group=_BATCH), thing(_BATCH, "Job", spec=_JOB), **_TEAM),
    Action(
        "create a CronJob",
        "POST",
        in_team("cronjobs", group=_BATCH),
        thing(_BATCH, "CronJob", spec={"schedule": "0 3 * * *", "jobTemplate": {"spec": _JOB}}),
        **_TEAM,
    ),
    Action("create a ConfigMap", "POST", in_team("configmaps"), thing("v1", "ConfigMap"), **_TEAM),
    Action("create a Secret", "POST", in_team("secrets"), thing("v1", "Secret"), **_TEAM),
    Action("read the team's Secrets", "GET", in_team("secrets"), **_TEAM),
    Action("create a Service", "POST", in_team("services"), thing("v1", "Service", spec=_SERVICE), **_TEAM),
    Action(
        "create a PersistentVolumeClaim",
        "POST",
        in_team("persistentvolumeclaims"),
        thing("v1", "PersistentVolumeClaim", spec=_CLAIM),
        **_TEAM,
    ),
)
READING = (
    Action("read the team's events", "GET", in_team("events"), **_TEAM),
    Action("read the team's LimitRange", "GET", in_team("limitranges"), **_TEAM),
    Action("read the team's ReplicaSets", "GET", in_team("replicasets", group=_APPS), **_TEAM),
    Action(
        "read the team's NetworkPolicies",
        "GET",
        in_team("networkpolicies", group="networking.k8s.io/v1"),
        **_TEAM,
    ),
    Action("read the quotas of a team", "GET", in_team("resourcequotas"), **_MEMBERS),
    Action("read Nodes", "GET", of_cluster("nodes"), **_MEMBERS),
    Action("read PriorityClasses", "GET", of_cluster("priorityclasses", "scheduling.k8s.io/v1"), **_MEMBERS),
    Action(
        "read what the program knows about pools and shares",
        "GET",
        in_namespace("configmaps/gpu-teams", "gpu-team-members"),
        **_MEMBERS,
    ),
    Action(
        "ask what one may do oneself",
        "POST",
        of_cluster("selfsubjectrulesreviews", "authorization.k8s.io/v1"),
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": TEAM},
        },
        allowed=("admin", "member", "other", "pod"),
    ),
)

_OWN: Body = {"priorityClassName": f"burst-{POOL}.cy"}
_OTHERS: Body = {"priorityClassName": f"burst-{POOL}.di"}
_ANYBODYS: Body = {"priorityClassName": f"burst-{POOL}"}
_POLICY, _TEMPLATES = f"gpu-team-{COUNTED_TEAM}", f"gpu-team-{COUNTED_TEAM}.templates"
_COUNTED: dict[str, Any] = {"team": COUNTED_TEAM}
_ADMIN: dict[str, Any] = {"team": COUNTED_TEAM, "allowed": ("admin",)}
_COUNTED_PODS = in_team("pods", COUNTED_TEAM)
_COUNTED_DEPLOYMENTS = in_team("deployments", COUNTED_TEAM, _APPS)

PER_MEMBER = (
    Action(
        "create a pod on the own account",
        "POST",
        _COUNTED_PODS,
        pod(**_OWN),
        allowed=("admin", "member"),
        **_COUNTED,
    ),
    Action(
        "create a Deployment of the own account",
        "POST",
        _COUNTED_DEPLOYMENTS,
        deployment(**_OWN),
        allowed=("admin", "member"),
        **_COUNTED,
    ),
    Action(
        "change the replicas of the own Deployment",
        "PATCH",
        f"{_COUNTED_DEPLOYMENTS}/of-cy",
        {"spec": {"replicas": 2}},
        allowed=("admin", "member"),
        **_COUNTED,
    ),
    Action(
        "create a pod on another member's account",
        "POST",
        _COUNTED_PODS,
        pod(**_OTHERS),
        holder=_POLICY,
        **_ADMIN,
    ),
    Action(
        "create a pod on nobody's account", "POST", _COUNTED_PODS, pod(**_ANYBODYS), holder=_POLICY, **_ADMIN
    ),
    Action(
        "create a Deployment on another member's account",
        "POST",
        _COUNTED_DEPLOYMENTS,
        deployment(**_OTHERS),
        holder=_TEMPLATES,
        **_ADMIN,
    ),
    Action(
        "create a Deployment on nobody's account",
        "POST",
        _COUNTED_DEPLOYMENTS,
        deployment(**_ANYBODYS),
        holder=_TEMPLATES,
        **_ADMIN,
    ),
    Action(
        "create a Job on another member's account",
        "POST",
        in_team("jobs", COUNTED_TEAM, _BATCH),
        thing(_BATCH, "Job", spec={"template": {"spec": pod_spec(restartPolicy="Never", **_OTHERS)}}),
        holder=_TEMPLATES,
        **_ADMIN,
    ),
    Action(
        "create a CronJob on another member's account",
        "POST",
        in_team("cronjobs", COUNTED_TEAM, _BATCH),
        thing(
            _BATCH,
            "CronJob",
            spec={
                "schedule": "0 3 * * *",
                "jobTemplate": {"spec": {"template": {"spec": pod_spec(restartPolicy="Never", **_OTHERS)}}},
            },
        ),
        holder=_TEMPLATES,
        **_ADMIN,
    ),
    Action(
        "change the replicas of another member's Deployment",
        "PATCH",
        f"{_COUNTED_DEPLOYMENTS}/of-di",
        {"spec": {"replicas": 2}},
        holder=_TEMPLATES,
        **_ADMIN,
    ),
    Action(
        "move the own Deployment to another member's account",
        "PATCH",
        f"{_COUNTED_DEPLOYMENTS}/of-cy",
        {"spec": {"template": {"spec": _OTHERS}}},
        holder=_TEMPLATES,
        **_ADMIN,
    ),
    Action(
        "scale a Deployment",
        "PATCH",
        f"{_COUNTED_DEPLOYMENTS}/of-cy/scale",
        {"spec": {"replicas": 2}},
        holder="RBAC",
        **_ADMIN,
    ),
    Action(
        "create more slices than one member may have",
        "POST",
        _COUNTED_PODS,
        pod(
            priorityClassName=f"burst-{POOL}.cy", container={"resources": {"limits": {"nvidia.com/gpu": "2"}}}
        ),
        holder=_POLICY,
        **_COUNTED,
    ),
)
