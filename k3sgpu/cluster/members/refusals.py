"""Why the API server refuses a pod: quotas, admission policies, Pod Security, PriorityClasses."""

import re
from collections.abc import Sequence

from k3sgpu.capacity.node_usage import requested_resources
from k3sgpu.cluster.members.findings import Finding, message
from k3sgpu.cluster.members.pools import PoolView
from k3sgpu.cluster.members.view import MemberView
from k3sgpu.cluster.objects import KubernetesObject, has_ended
from k3sgpu.foreign_text import escape
from k3sgpu.teams.names import burst_quota, guaranteed_quota, member_quota, pool_of_class

# k8s.io/apiserver, pkg/admission/plugin/resourcequota/controller.go: the first quota that is used up
_QUOTA = re.compile(r"exceeded quota: ([^,\s]+), requested: (\S+), used: (\S+), limited: (\S+)")
# pkg/admission/plugin/policy/validating/dispatcher.go
_POLICY = re.compile(
    r"ValidatingAdmissionPolicy '([^']*)' with binding '[^']*' denied request: (.*)", re.DOTALL
)
# k8s.io/pod-security-admission, admission.go
_POD_SECURITY = re.compile(r"violates PodSecurity \"([^\"]*)\": (.*)", re.DOTALL)
_NO_CLASS = re.compile(r"no PriorityClass with name (\S+) was found")
MOST_USERS = 10
"""Pods that a message lists."""


def refusal(text: str, view: MemberView, pools: Sequence[PoolView]) -> Finding:
    """Returns why the API server refused a pod, from its message."""
    if quota := _QUOTA.search(text):
        return _quota(quota, view, pools)
    if policy := _POLICY.search(text):
        return Finding("admission", f"policy {escape(policy[1])} refuses the pod", message(policy[2]))
    if security := _POD_SECURITY.search(text):
        return Finding(
            "pod security",
            f"namespace {view.team} allows pods of level {escape(security[1])} only; "
            f"this one has: {message(security[2])}",
            "remove these from the pod",
        )
    if missing := _NO_CLASS.search(text):
        return Finding(
            "admission",
            f"there is no PriorityClass {escape(missing[1])}",
            f"write one of {classes(pools)} as priorityClassName, or none",
        )
    return Finding("admission", message(text), "change what the message names")


def classes(pools: Sequence[PoolView]) -> str:
    """The PriorityClasses that a member may write."""
    return ", ".join(dict.fromkeys(free.priority_class for pool in pools for free in pool.free.values()))


def _quota(refused: re.Match[str], view: MemberView, pools: Sequence[PoolView]) -> Finding:
    name, requested, used, hard = refused.groups()
    for pool in pools:
        share = pool.share
        key = f"requests.{share.resource}"
        if key not in requested:
            continue
        numbers = [_number(text, key) for text in (requested, used, hard)]
        counted = f"the pod requests {numbers[0]} {share.resource}, {numbers[1]} of {numbers[2]} are used"
        holders = users(name, view, share.resource)
        if name == guaranteed_quota(share.pool):
            return Finding(
                "quota",
                f"team {view.team} uses its guarantee in pool {share.pool}: {counted}{holders}",
                f"{_burst_advice(pool)}; or delete one of these pods, or wait until one ends",
            )
        if name == burst_quota(share.pool):
            return Finding(
                "quota",
                f"burst pods of team {view.team} use all that its limit in pool {share.pool} has above its "
                f"guarantee: {counted}{holders}",
                "delete one of these pods, or wait until one ends",
            )
        if view.member and name == member_quota(share.pool, view.member):
            return Finding(
                "quota",
                f"you have as many slices of pool {share.pool} as one member may: {counted}{holders}",
                "delete one of your pods, or wait until one ends",
            )
    return Finding(
        "quota",
        f"ResourceQuota {escape(name)} is used up: requested {escape(requested)}, used {escape(used)} "
        f"of {escape(hard)}",
        "delete what you need no more",
    )


def _number(text: str, key: str) -> str:
    """One number of a list such as `requests.nvidia.com/gpu=1,requests.cpu=2`."""
    found = next((part for part in text.split(",") if part.startswith(f"{key}=")), "=?")
    return escape(found.partition("=")[2], 20)


def _burst_advice(pool: PoolView) -> str:
    free = pool.free["burst"]
    if not free.slices:
        return f"a burst pod finds no slice now either (bounded by {free.bound})"
    return (
        f"write priorityClassName: {free.priority_class} (slices of it that are free for you: {free.slices})"
    )


def users(quota: str, view: MemberView, resource: str) -> str:
    """The pods that a quota counts, in words."""
    found = next((one for one in view.quotas if _is(one, view.team, quota)), {})
    terms = ((found.get("spec") or {}).get("scopeSelector") or {}).get("matchExpressions") or []
    counted = {value for term in terms for value in term.get("values") or []}
    lines = [
        f"{escape(pod['metadata']['name'])} ({number})"
        for pod in view.pods
        if pod["spec"].get("priorityClassName") in counted
        and not has_ended(pod)
        and (number := requested_resources(pod).get(resource))
    ]
    if not lines:
        return ""
    more = f" and {len(lines) - MOST_USERS} more" if len(lines) > MOST_USERS else ""
    return f"\nused by {', '.join(lines[:MOST_USERS])}{more}"


def _is(quota: KubernetesObject, namespace: str, name: str) -> bool:
    metadata = quota["metadata"]
    return (metadata.get("namespace"), metadata["name"]) == (namespace, name)


def pool_of(pod: KubernetesObject, pools: Sequence[PoolView]) -> PoolView | None:
    """The pool of a pod's class, and of the resource that it requests where the pool has several."""
    place = pool_of_class(pod["spec"].get("priorityClassName") or "")
    here = [pool for pool in pools if place and pool.share.pool == place[1]]
    requested = requested_resources(pod)
    return next((pool for pool in here if requested.get(pool.share.resource)), here[0] if here else None)
