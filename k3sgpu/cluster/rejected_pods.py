"""Pods that a kubelet has rejected because of their devices, and what to do about them.

Such a pod is Failed without having run. A ReplicaSet takes no notice of why, and makes the next one at once
(kubernetes/kubernetes#108152): on a real node 41 pods in 8 s. Nobody deletes them before there are as many as
kube-controller-manager's `terminated-pod-gc-threshold`.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from lightkube import AsyncClient

from k3sgpu.cluster.client import ApiUnavailable, request_deadline
from k3sgpu.cluster.kinds import Pod
from k3sgpu.cluster.objects import KubernetesObject, labels_of, status_of
from k3sgpu.foreign_text import escape
from k3sgpu.problem import Problem

REASON = "UnexpectedAdmissionError"
"""The kubelet's reason when the device plugin refuses to allocate (pkg/kubelet/lifecycle/predicate.go)."""
MAX_PODS = 2000
"""Rejected pods that are counted; a Deployment may have left many thousands."""
MAX_NAMED = 10
"""Pods that a command names, where no label selects them."""
GC_THRESHOLD = 12500
"""The default of kube-controller-manager's terminated-pod-gc-threshold."""
_TOO_MANY_SLICES = "maximum request size for shared resources is 1"
"""Of NVIDIA's device plugin, where failRequestsGreaterThanOne is set, and always under MPS."""
_HASH_LABEL = "pod-template-hash"
_JOB_LABEL = "job-name"
_SCALED = ("deployment", "replicaset", "statefulset")


@dataclass(frozen=True)
class Owner:
    """What made the rejected pods, or a pod that nothing made."""

    namespace: str
    kind: str
    """In lower case, as kubectl takes it."""
    name: str
    selector: str
    """The label that selects its pods; "" when they have none."""

    @property
    def resource(self) -> str:
        """As kubectl takes it: deployment/NAME."""
        return f"{self.kind}/{self.name}"


async def rejected_pods(api: AsyncClient) -> list[KubernetesObject]:
    """Returns the pods of all namespaces that a kubelet has rejected, MAX_PODS at most.

    It takes SNAPSHOT_SECONDS at most. What cannot be read by then is left out.
    """
    pods: list[KubernetesObject] = []
    try:
        async with request_deadline(api):
            failed = api.list(Pod, namespace="*", fields={"status.phase": "Failed"}, chunk_size=500)
            async for pod in failed:
                if status_of(pod).get("reason") == REASON:
                    pods.append(pod)
                if len(pods) >= MAX_PODS:
                    break
    except ApiUnavailable:
        pass
    return pods


def explain_rejected(pods: Sequence[KubernetesObject]) -> list[Problem]:
    """Returns a warning for each owner of rejected pods: how many, in which time, why, and what to do."""
    by_owner: dict[Owner, list[KubernetesObject]] = defaultdict(list)
    for pod in pods:
        by_owner[_owner(pod)].append(pod)
    return [_problem(owner, rejected) for owner, rejected in by_owner.items()]


def _problem(owner: Owner, pods: Sequence[KubernetesObject]) -> Problem:
    newest = max(pods, key=_created)
    message = status_of(newest).get("message") or "it gives no reason"
    return Problem(
        f"{escape(owner.kind)} {escape(owner.namespace)}/{escape(owner.name)}",
        f"{_count(pods)} rejected by the kubelet{_times(pods)}, none of which ever ran:\n"
        f"{escape(message, 1000)}",
        "pods that the device plugin gives what they ask for",
        "\n".join(_remedy(owner, pods, message)),
        "warning",
        check="rejected-pods",
    )


def _remedy(owner: Owner, pods: Sequence[KubernetesObject], message: str) -> Iterator[str]:
    namespace = escape(owner.namespace)
    if owner.kind in _SCALED:
        yield f"stop it: kubectl -n {namespace} scale {escape(owner.resource)} --replicas=0"
    if _TOO_MANY_SLICES in message:
        yield "ask for one slice, because several give a pod no larger part of the card; or remove"
        yield "failRequestsGreaterThanOne from the profile (MPS never allows more than one)"
    if not owner.selector:
        # Without a label, the namespace's other Failed pods would go as well.
        names = " ".join(pod["metadata"]["name"] for pod in pods[:MAX_NAMED])
        yield f"kubectl -n {namespace} delete pod {escape(names)}"
        return
    selector = escape(owner.selector)
    yield f"kubectl -n {namespace} delete pods --field-selector status.phase=Failed -l {selector}"
    yield (
        f"else they stay until the cluster has {GC_THRESHOLD} ended pods (terminated-pod-gc-threshold of\n"
        "kube-controller-manager)"
    )


def _owner(pod: KubernetesObject) -> Owner:
    metadata = pod["metadata"]
    owners = metadata.get("ownerReferences") or []
    owner = next((one for one in owners if one.get("controller")), None)
    if not owner:
        return Owner(metadata.get("namespace", ""), "pod", metadata["name"], "")
    kind, name, template = owner["kind"].lower(), owner["name"], labels_of(pod).get(_HASH_LABEL, "")
    selector = f"{_HASH_LABEL}={template}" if template else ""
    if kind == "job" and labels_of(pod).get(_JOB_LABEL) == name:
        selector = f"{_JOB_LABEL}={name}"
    # A Deployment's ReplicaSet is called NAME-HASH.
    if kind == "replicaset" and template and name.endswith(f"-{template}"):
        kind, name = "deployment", name.removesuffix(f"-{template}")
    return Owner(metadata.get("namespace", ""), kind, name, selector)


def _count(pods: Sequence[KubernetesObject]) -> str:
    if len(pods) == 1:
        return "1 pod"
    return f"{'at least ' if len(pods) >= MAX_PODS else ''}{len(pods)} pods"


def _times(pods: Sequence[KubernetesObject]) -> str:
    """When they were made: within how many seconds, and the last one."""
    first, last = min(map(_created, pods)), max(map(_created, pods))
    try:
        seconds = (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
    except ValueError:
        return ""
    within = f" in {seconds:.0f} s" if len(pods) > 1 else ""
    return f"{within}, the last one at {escape(last)}"


def _created(pod: KubernetesObject) -> str:
    return pod["metadata"].get("creationTimestamp") or ""
