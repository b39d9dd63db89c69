"""A cluster whose Nodes exist as objects only: its pods as a watch sees them, and how kubelets end them."""

import json
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx2

from k3sgpu.teams.names import MEMBERS_GROUP, member_user
from rehearsal.guarantees.cases import Object

DEADLINE_SECONDS = 60.0
POLL_SECONDS = 0.25
COLLECTIONS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "ResourceQuota": "/api/v1/namespaces/{}/resourcequotas",
    "LimitRange": "/api/v1/namespaces/{}/limitranges",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "PriorityClass": "/apis/scheduling.k8s.io/v1/priorityclasses",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "ValidatingAdmissionPolicy": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": (
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
    ),
    "MutatingAdmissionPolicy": "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies",
    "MutatingAdmissionPolicyBinding": (
        "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings"
    ),
    "RuntimeClass": "/apis/node.k8s.io/v1/runtimeclasses",
    "Node": "/api/v1/nodes",
}


@dataclass
class PodState:
    """A pod as the watch saw it last."""

    name: str
    namespace: str
    pool: str
    rank: str
    """guaranteed, burst, or outside for a pod of no team."""
    slices: int
    node: str = ""
    unschedulable: bool = False
    leaving: bool = False
    created: str = ""


@dataclass
class Pods:
    """All pods of the cluster. Each event is held against what must never happen."""

    limits: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """The most slices, by namespace, pool and rank; the rank "" stands for all of them."""
    by_name: dict[tuple[str, str], PodState] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    exceeded: set[tuple[str, str, str]] = field(default_factory=set)
    """The limits that Kubernetes' quotas did not hold."""
    preempted: int = 0
    deleted: set[tuple[str, str]] = field(default_factory=set)
    """The pods that their owners have deleted, and those that were evicted."""
    began: dict[tuple[str, str], float] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    """The seconds that guaranteed pods without a chosen node were Pending."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def see(self, kind: str, pod: Object) -> bool:
        """Takes an event in. Returns whether the pod's kubelet has to end it."""
        name = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        with self.lock:
            if kind == "DELETED":
                self.by_name.pop(name, None)
                return False
            known = self.by_name.get(name)
            state = _state_of(pod)
            self.by_name[name] = state
            if state.node and not (known and known.node):
                self._bound(state)
            if state.leaving and not (known and known.leaving):
                self._leaves(state)
            return state.leaving and bool(state.node) and not (known and known.leaving)

    def _bound(self, state: PodState) -> None:
        if began := self.began.pop((state.namespace, state.name), 0):
            self.waits.append(time.monotonic() - began)
        for rank in (state.rank, ""):
            place = (state.namespace, state.pool, rank)
            if self.used(*place) > self.limits.get(place, math.inf):
                self.exceeded.add(place)

    def _leaves(self, state: PodState) -> None:
        name = (state.namespace, state.name)
        if name in self.deleted:
            return
        if state.rank == "burst":
            self.preempted += 1
        else:
            self.violations.append(f"{state.rank} pod {'/'.join(name)} was preempted")

    def used(self, namespace: str, pool: str, rank: str) -> int:
        """The slices that pods on nodes use."""
        return sum(
            one.slices
            for one in self.by_name.values()
            if one.node and (one.namespace, one.pool) == (namespace, pool) and rank in ("", one.rank)
        )

    def of(self, namespace: str, pool: str, rank: str) -> list[PodState]:
        """The pods of a team in a pool that nobody deletes."""
        with self.lock:
            return [
                one
                for one in self.by_name.values()
                if (one.namespace, one.pool, one.rank) == (namespace, pool, rank) and not one.leaving
            ]


def _state_of(pod: Object) -> PodState:
    labels, spec, status = pod["metadata"]["labels"], pod["spec"], pod.get("status", {})
    conditions = {one["type"]: one for one in status.get("conditions") or []}
    return PodState(
        name=pod["metadata"]["name"],
        namespace=pod["metadata"]["namespace"],
        pool=labels["pool"],
        rank=(spec.get("priorityClassName") or "outside").partition("-")[0],
        slices=int(labels["slices"]),
        node=spec.get("nodeName") or "",
        unschedulable=conditions.get("PodScheduled", {}).get("reason") == "Unschedulable",
        leaving="deletionTimestamp" in pod["metadata"],
        created=pod["metadata"].get("creationTimestamp") or "",
    )


class Cluster:
    """An API server with a watch of all pods, which ends those whose node is told to."""

    def __init__(self, client: Callable[[], httpx2.Client]) -> None:
        self.pods = Pods()
        self.client = client()
        self._watching = client()
        self._kubelets = ThreadPoolExecutor(2)
        self._workers = ThreadPoolExecutor(4)
        self.refusals: dict[tuple[str, str], str] = {}
        """Why pods were not admitted in time."""
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._follow, daemon=True)
        self._watch.start()

    def close(self) -> None:
        """Ends the watch."""
        self._ended.set()
        self._workers.shutdown()
        self._kubelets.shutdown()
        self._watching.close()
        self._watch.join(5)
        self.client.close()

    def _follow(self) -> None:
        version = ""
        while not self._ended.is_set():
            options = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": version or "0"}
            try:
                with self._watching.stream("GET", "/api/v1/pods", params=options) as answer:
                    for line in answer.iter_lines():
                        event = json.loads(line)
                        pod = event["object"]
                        if event["type"] == "ERROR":
                            version = ""
                            break
                        version = pod["metadata"]["resourceVersion"]
                        if event["type"] != "BOOKMARK" and self.pods.see(event["type"], pod):
                            self._kubelets.submit(self._end, pod["metadata"])
            except (httpx2.HTTPError, RuntimeError):
                time.sleep(POLL_SECONDS)

    def _end(self, metadata: Object) -> None:
        """What a kubelet does once the containers have ended."""
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        self.client.delete(path, params={"gracePeriodSeconds": "0"})

    def apply(self, objects: Iterable[Object]) -> None:
        """Creates objects one after another. Raises AssertionError with the API server's answer."""
        for one in objects:
            metadata = one["metadata"]
            path = COLLECTIONS[one["kind"]].format(metadata.get("namespace"))
            answer = self.client.post(path, json=one)
            assert answer.status_code == 201, f"{one['kind']} {metadata['name']}: {answer.text}"

    def apply_all(self, groups: Iterable[Iterable[Object]]) -> None:
        """Creates groups of objects, several groups at a time."""
        list(self._workers.map(self.apply, groups))

    def create(self, pods: Sequence["NewPod"]) -> list[bool]:
        """Creates pods; says of each whether its team's quotas admitted it."""
        return list(self._workers.map(self._create, pods))

    def _create(self, new: "NewPod") -> bool:
        name, path = (new.namespace, new.name), f"/api/v1/namespaces/{new.namespace}/pods"
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            began = time.monotonic()
            if new.rank == "guaranteed" and not new.node:
                self.pods.began[name] = began
            answer = self.client.post(path, json=new.manifest, headers=new.headers)
            if answer.status_code == 201:
                return True
            self.pods.began.pop(name, None)
            assert answer.status_code in (403, 409) and "quota" in answer.text, f"{new}: {answer.text}"
            # A quota's use sinks a moment after a pod has gone; 409: others changed it at the same moment.
            if (answer.status_code == 403 and not new.insists) or time.monotonic() > deadline:
                self.refusals[name] = answer.json()["message"]
                return False
            time.sleep(POLL_SECONDS)

    def delete(self, pods: Sequence[PodState]) -> None:
        """Deletes pods as their owners do, and waits until they are gone."""
        names = {(one.namespace, one.name) for one in pods}
        with self.pods.lock:
            self.pods.deleted |= names
        paths = [f"/api/v1/namespaces/{space}/pods/{name}" for space, name in names]
        list(self._workers.map(self.client.delete, paths))
        self.wait(
            lambda: [f"{name} is not gone" for name in names if name in self.pods.by_name][:1], "deleted pods"
        )

    def wait(self, missing: Callable[[], Sequence[str]], what: str) -> None:
        """Polls until nothing is missing. Raises TimeoutError with what it last saw."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while last := missing():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}, after {DEADLINE_SECONDS:.0f} s: {'; '.join(last[:5])}")
            time.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class NewPod:
    """A pod to create, by a member of its team or, without a member, by the administrator."""

    name: str
    namespace: str
    pool: str
    rank: str
    slices: int
    member: str = ""
    node: str = ""
    """The only node that it may use."""
    likes: str = ""
    """A node that it prefers."""
    names_class: bool = True
    insists: bool = True
    """Whether it is created again and again while the quota refuses it."""

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers by which the administrator acts as the member."""
        if not self.member:
            return []
        groups = ("system:serviceaccounts", MEMBERS_GROUP, "system:authenticated")
        return [
            ("Impersonate-User", member_user(self.member)),
            *(("Impersonate-Group", group) for group in groups),
        ]

    @property
    def manifest(self) -> Object:
        """As the member writes it: class and affinity; the policies add the rest."""
        amount = {"nvidia.com/gpu": str(self.slices)}
        spec: Object = {
            "containers": [{"name": "main", "image": "none", "resources": {"limits": amount}}],
            "terminationGracePeriodSeconds": 5,
        }
        if self.member and self.names_class:
            spec["priorityClassName"] = f"{self.rank}-{self.pool}"
        if not self.member:
            spec["nodeSelector"] = {"k3s-gpu-sharing/pool": self.pool}
        if self.node or self.likes:
            spec["affinity"] = {"nodeAffinity": _affinity(self.node, self.likes)}
        labels = {"pool": self.pool, "slices": str(self.slices)}
        return {"metadata": {"name": self.name, "labels": labels}, "spec": spec}


def _affinity(node: str, likes: str) -> Object:
    wanted = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node or likes]}
    term = {"matchExpressions": [wanted]}
    if node:
        return {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": term}]}
