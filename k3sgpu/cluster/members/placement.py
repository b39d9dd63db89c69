"""Why the scheduler places a pod on no node."""

import re
from collections.abc import Iterator, Mapping, Sequence

from k3sgpu.capacity.node_usage import requested_resources
from k3sgpu.cluster.members.findings import Finding, message
from k3sgpu.cluster.members.pools import PoolView
from k3sgpu.cluster.members.refusals import pool_of
from k3sgpu.cluster.members.view import MemberView
from k3sgpu.cluster.objects import KubernetesObject, condition, labels_of, status_of
from k3sgpu.foreign_text import escape
from k3sgpu.teams.names import pool_of_class

_VOLUME = re.compile(r"persistentvolumeclaim|PersistentVolume|volume node affinity|volumes? ", re.IGNORECASE)
_INSUFFICIENT = re.compile(r"Insufficient ([^\s,.]+(?:\.[^\s,.]+)*/?[^\s,.]*)")
_OTHER_LIMITS = ("cpu", "memory", "ephemeral-storage")
_PLACING = ("anti-affinity", "pod affinity", "topology spread", "free ports")


def not_scheduled(pod: KubernetesObject, view: MemberView, pools: Sequence[PoolView]) -> list[Finding]:
    """Returns why a pod has no node yet."""
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("reason") == "SchedulingGated":
        gates = [str(one.get("name")) for one in pod["spec"].get("schedulingGates") or []]
        return [
            Finding(
                "own constraint", f"the pod has schedulingGates: {escape(', '.join(gates))}", "remove them"
            )
        ]
    text = str(scheduled.get("message") or "")
    if node := status_of(pod).get("nominatedNodeName"):
        return [
            Finding(
                "waiting",
                f"burst pods on {escape(node)} end now to make room for this pod",
                "wait: they have 60 s at most",
            )
        ]
    if not text:
        return [Finding("waiting", "the scheduler has not looked at the pod yet", "wait some seconds")]
    # "0/2 nodes are available: REASONS. preemption: ...": what preemption could do is another question.
    reasons = text.partition("preemption:")[0]
    found = [
        *_constraints(pod, view, pools, reasons),
        *_volumes(pod, reasons),
        *_room(pod, view, pools, reasons),
    ]
    return found or [Finding("own constraint", f"the scheduler says: {message(text)}")]


def _constraints(
    pod: KubernetesObject, view: MemberView, pools: Sequence[PoolView], reasons: str
) -> Iterator[Finding]:
    """What the pod itself demands, and no node of its pool has."""
    if "node affinity/selector" in reasons and not _may_use(pod, view, pools):
        selector = pod["spec"].get("nodeSelector") or {}
        wrong = _unmatched(selector, view, pools, pod)
        what = (
            "; ".join(f"{key}={value}" for key, value in wrong.items())
            or "its affinity.nodeAffinity, or its nodeSelector as a whole"
        )
        yield Finding(
            "own constraint",
            f"no node of its pool has the labels that the pod selects by: {escape(what)}",
            "kubectl get nodes --show-labels; remove or correct the selector in the pod",
        )
    for word in _PLACING:
        if word in reasons:
            yield Finding(
                "own constraint", f"the pod's own rule ({word}): {message(reasons.strip())}", "relax it"
            )


def _nodes_of(pod: KubernetesObject, view: MemberView, pools: Sequence[PoolView]) -> list[KubernetesObject]:
    """The nodes of the pod's pool that exist."""
    pool = pool_of(pod, pools)
    names = {node.name for node in pool.nodes} if pool else set()
    return [node for node in view.nodes if node["metadata"]["name"] in names]


def _may_use(pod: KubernetesObject, view: MemberView, pools: Sequence[PoolView]) -> bool:
    """Whether a node of the pool has the labels of the pod's nodeSelector, and the pod no affinity."""
    selector: Mapping[str, str] = pod["spec"].get("nodeSelector") or {}
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    if affinity.get("requiredDuringSchedulingIgnoredDuringExecution"):
        return False
    return any(selector.items() <= labels_of(node).items() for node in _nodes_of(pod, view, pools))


def _unmatched(
    selector: Mapping[str, str], view: MemberView, pools: Sequence[PoolView], pod: KubernetesObject
) -> dict[str, str]:
    """The labels of the selector that no node of the pool has."""
    labels = [labels_of(node) for node in _nodes_of(pod, view, pools)]
    return {key: value for key, value in selector.items() if not any(one.get(key) == value for one in labels)}


def _volumes(pod: KubernetesObject, reasons: str) -> Iterator[Finding]:
    if not _VOLUME.search(reasons):
        return
    claims = [
        str(volume["persistentVolumeClaim"].get("claimName"))
        for volume in pod["spec"].get("volumes") or []
        if volume.get("persistentVolumeClaim")
    ]
    yield Finding(
        "volume",
        message(reasons.strip()),
        "kubectl get persistentvolumeclaims, then kubectl describe: "
        + escape(", ".join(claims) or "the pod's claims"),
    )


def _room(
    pod: KubernetesObject, view: MemberView, pools: Sequence[PoolView], reasons: str
) -> Iterator[Finding]:
    short = set(_INSUFFICIENT.findall(reasons))
    pool = pool_of(pod, pools)
    requested = requested_resources(pod)
    if pool and pool.share.resource in short:
        yield _no_slices(pod, pool, requested.get(pool.share.resource, 0))
    for resource in _OTHER_LIMITS:
        if resource in short:
            yield Finding(
                "room",
                f"no node has as much {resource} left as the pod requests: {message(reasons.strip())}",
                "request less in resources.requests, or wait until another pod ends",
            )
    if "Too many pods" in reasons:
        yield Finding(
            "room", "the nodes of the pool have as many pods as they take", "wait until another pod ends"
        )
    if pool and "untolerated taint" in reasons and not any(not node.trouble for node in pool.nodes):
        yield Finding(
            "node", nodes_text(pool), "tell the administrator; the pod starts when a node takes pods"
        )


def _no_slices(pod: KubernetesObject, pool: PoolView, requested: int) -> Finding:
    """Why there are not enough slices on one node."""
    rank = (pool_of_class(pod["spec"].get("priorityClassName") or "") or ("burst", ""))[0]
    guaranteed = sum(one.guaranteed.used for one in pool.bookings)
    burst = sum(one.burst.used for one in pool.bookings)
    booked = f"booked: {guaranteed} by guaranteed pods, {burst} by burst pods"
    if pool.outside:
        booked += f", up to {pool.outside} by pods of no team"
    found = (
        f"no node of pool {pool.share.pool} has {requested} {pool.share.resource} free for this {rank} pod\n"
        f"{nodes_text(pool)}\n{booked} (pods that wait included)"
    )
    if any(node.trouble for node in pool.nodes):
        return Finding("node", found, "tell the administrator which nodes take no pods; else wait")
    if requested > max((node.slices for node in pool.nodes), default=0):
        return Finding("room", found, "request fewer slices: no node has so many")
    if rank == "burst":
        own = pool.free["guaranteed"]
        remedy = (
            "wait until other pods end: burst pods use only what guaranteed pods and earlier bursts leave"
        )
        if own.slices >= requested:
            remedy = (
                f"write priorityClassName: {own.priority_class}; {own.slices} slices of it are free for you"
            )
        return Finding("room", found, f"{remedy}" + _smaller(pool, requested))
    return Finding(
        "room", found, "wait: burst pods give way to it within two minutes; else tell the administrator"
    )


def _smaller(pool: PoolView, requested: int) -> str:
    surely = pool.free["burst"].surely
    return f"; a pod with {surely} finds room now" if 0 < surely < requested else ""


def nodes_text(pool: PoolView) -> str:
    """The nodes of a pool with their slices, or why they take no pods."""
    texts = [f"{node.name} {node.trouble or f'has {node.slices}'}" for node in pool.nodes]
    return f"nodes: {escape('; '.join(texts))}"
