"""Pods and Services that nobody may create in a team's namespace, each accepted but for one thing."""

from collections.abc import Iterator
from typing import Any

from tools.team_permissions.action import GPU, NODE, POOL, TEAM, Action, Body, in_team, pod, thing

POD_SECURITY, PODS, CHANGES, SHARE = (
    "Pod Security",
    "gpu-teams-pods",
    "gpu-teams-pod-changes",
    f"gpu-team-{TEAM}",
)
PRIORITY, ACCOUNTS, RUNTIME, VALIDATION = "Priority", "ServiceAccount", "RuntimeClass", "validation"
GUARANTEED = f"guaranteed-{POOL}"


def _pod(title: str, holder: str, **changes: Any) -> Action:
    return Action(title, "POST", in_team("pods"), pod(**changes), holder=holder)


def _secured(title: str, **context: Any) -> Action:
    return _pod(title, POD_SECURITY, container={"securityContext": context})


def _mounted(title: str, holder: str, volume: Body, path: str = "/data") -> Action:
    mounts = {"volumeMounts": [{"name": "v", "mountPath": path}]}
    return _pod(title, holder, container=mounts, volumes=[{"name": "v", **volume}])


def _annotated(key: str) -> Action:
    return _pod(f"annotation {key}", PODS, metadata={"annotations": {key: "nvidia.com/gpu=all"}})


PRIVILEGES = (
    _secured("privileged", privileged=True),
    _secured("capability SYS_ADMIN", capabilities={"add": ["SYS_ADMIN"]}),
    _pod("procMount Unmasked", VALIDATION, container={"securityContext": {"procMount": "Unmasked"}}),
    _pod(
        "procMount Unmasked in a user namespace",
        PODS,
        hostUsers=False,
        container={"securityContext": {"procMount": "Unmasked"}},
    ),
    _secured("seccomp Unconfined", seccompProfile={"type": "Unconfined"}),
    _secured("AppArmor Unconfined", appArmorProfile={"type": "Unconfined"}),
    _pod("hostNetwork", POD_SECURITY, hostNetwork=True),
    _pod("hostPID", POD_SECURITY, hostPID=True),
    _pod("hostIPC", POD_SECURITY, hostIPC=True),
    _pod("hostPort", POD_SECURITY, container={"ports": [{"containerPort": 80, "hostPort": 80}]}),
    _pod(
        "a probe of a host's address",
        POD_SECURITY,
        container={"livenessProbe": {"httpGet": {"host": "10.0.0.11", "port": 10250}}},
    ),
    _pod(
        "sysctl kernel.msgmax",
        POD_SECURITY,
        securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]},
    ),
    _mounted("hostPath", POD_SECURITY, {"hostPath": {"path": "/"}}),
    _mounted("nfs, mounted by the node", PODS, {"nfs": {"server": "10.0.0.11", "path": "/"}}),
    _mounted("an inline csi volume", PODS, {"csi": {"driver": "nfs.csi.k8s.io"}}),
    _pod("another ServiceAccount", ACCOUNTS, serviceAccountName="ana"),
)
CARDS = (
    _pod("runtimeClassName nvidia without a slice", SHARE, slices=0, runtimeClassName="nvidia"),
    _pod("runtimeClassName nvidia-legacy", PODS, runtimeClassName="nvidia-legacy"),
    *(
        _pod(f"variable {name}", PODS, container={"env": [{"name": name, "value": "all"}]})
        for name in ("NVIDIA_VISIBLE_DEVICES", "NVIDIA_MIG_CONFIG_DEVICES", "NVIDIA_IMEX_CHANNELS")
    ),
    _pod(
        "variable NVIDIA_VISIBLE_DEVICES in an init container",
        PODS,
        initContainers=[
            {"name": "i", "image": "x", "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]}
        ],
    ),
    _mounted("a mount that names cards", PODS, {"emptyDir": {}}, "/var/run/nvidia-container-devices/all"),
    _annotated("cdi.k8s.io/card"),
    _annotated("nvidia.cdi.k8s.io/container.main"),
    _annotated("devices.nri.io/container.main"),
    _pod(
        "resourceClaims",
        PODS,
        resourceClaims=[{"name": "gpu", "resourceClaimName": "gpu"}],
    ),
    _pod(
        "a resource that the pool does not offer",
        SHARE,
        container={"resources": {"limits": {f"{GPU}.all": "1"}}},
    ),
    _pod(
        "a slice in an init container",
        PODS,
        initContainers=[{"name": "i", "image": "x", "resources": {"limits": {GPU: "2"}}}],
    ),
    Action(
        "add a CDI annotation to a running pod",
        "PATCH",
        in_team("pods/train"),
        {"metadata": {"annotations": {"cdi.k8s.io/card": "nvidia.com/gpu=all"}}},
        holder=CHANGES,
    ),
)
_TWO = [{"name": name, "image": "x", "resources": {"limits": {GPU: "2"}}} for name in ("one", "two")]
QUOTA = (
    _pod("more slices than perPod", SHARE, slices=4),
    _pod("more slices than perPod, in two containers", SHARE, containers=_TWO),
    _pod("over the guarantee", f"quota guaranteed-{POOL}", slices=2, priorityClassName=GUARANTEED),
    _pod("more burst slices than limit less guaranteed", f"quota burst-{POOL}", slices=3),
    _pod("longer than hours.max", SHARE, activeDeadlineSeconds=24 * 3600 + 1),
    Action(
        "lengthen a running pod's time",
        "PATCH",
        in_team("pods/train"),
        {"spec": {"activeDeadlineSeconds": 1000000}},
        holder=VALIDATION,
    ),
    *(
        _pod(f"PriorityClass {name}", holder, priorityClassName=name)
        for name, holder in (
            ("system-cluster-critical", SHARE),
            ("system-node-critical", SHARE),
            (f"burst-{POOL}.cy", SHARE),
            ("burst-big", SHARE),
            ("burst-unknown", PRIORITY),
        )
    ),
    _pod("a priority beside the class", PRIORITY, priority=1000),
    _pod("a preemptionPolicy beside the class", PRIORITY, preemptionPolicy="PreemptLowerPriority"),
    _pod("another pool than the class", SHARE, nodeSelector={"k3s-gpu-sharing/pool": "control"}),
    _pod(
        "another pool without a class",
        SHARE,
        priorityClassName=None,
        nodeSelector={"k3s-gpu-sharing/pool": "control"},
    ),
)
_CPU = {"limits": {GPU: "1"}, "requests": {"cpu": "501m"}}
_MEMORY = {"limits": {GPU: "1"}, "requests": {"memory": "1025Mi"}}
_DISK = {"limits": {GPU: "1"}, "requests": {"ephemeral-storage": "1Gi"}}
_INIT = [{"name": "i", "image": "x", "resources": {"requests": {"cpu": "64"}}}]
_APART = {
    "requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": {}, "namespaceSelector": {}, "topologyKey": "kubernetes.io/os"}
    ]
}
_NAMED = {
    "requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": {}, "namespaces": ["students"], "topologyKey": "kubernetes.io/os"}
    ]
}
_GRACE = 100000
WAITING = (
    _pod("a guaranteed pod without a slice", SHARE, slices=0, priorityClassName=GUARANTEED),
    *(
        _pod(f"a guaranteed pod with more {title}", SHARE, priorityClassName=GUARANTEED, **changes)
        for title, changes in (
            ("CPU than goes with its slices", {"container": {"resources": _CPU}}),
            ("memory than goes with its slices", {"container": {"resources": _MEMORY}}),
            ("CPU in an init container", {"initContainers": _INIT}),
            ("CPU in a sidecar", {"initContainers": [{**_INIT[0], "restartPolicy": "Always"}]}),
        )
    ),
    _pod(
        "a guaranteed pod that requests ephemeral-storage",
        SHARE,
        priorityClassName=GUARANTEED,
        container={"resources": _DISK},
    ),
    _pod("CPU of the whole pod", PODS, resources={"requests": {"cpu": "64"}}),
    _pod("overhead", RUNTIME, overhead={"cpu": "64"}),
    _pod(
        "hugepages",
        SHARE,
        container={"resources": {"limits": {GPU: "1", "hugepages-2Mi": "2Mi", "memory": "1Gi"}}},
    ),
    _pod("anti-affinity to pods of all namespaces", PODS, affinity={"podAntiAffinity": _APART}),
    _pod("anti-affinity to another team's pods", PODS, affinity={"podAntiAffinity": _NAMED}),
    _pod("an end that takes longer than 60 s", PODS, terminationGracePeriodSeconds=61),
    _pod("an end without a second, before which the slices are free", PODS, terminationGracePeriodSeconds=0),
    Action(
        "delete a running pod by force",
        "DELETE",
        in_team("pods/burst?gracePeriodSeconds=0"),
        allowed=("admin",),
        holder="gpu-teams-pod-deletions",
    ),
    Action(
        "delete all pods by force",
        "DELETE",
        in_team("pods?gracePeriodSeconds=0"),
        allowed=("admin",),
        holder="gpu-teams-pod-deletions",
    ),
    Action(
        "delete a pod with a longer end",
        "DELETE",
        in_team(f"pods/burst?gracePeriodSeconds={_GRACE}"),
        holder="gpu-teams-pod-deletions",
    ),
    Action(
        "delete all pods with a longer end",
        "DELETE",
        in_team(f"pods?gracePeriodSeconds={_GRACE}"),
        holder="gpu-teams-pod-deletions",
    ),
    _pod("a finalizer", PODS, metadata={"finalizers": ["example.org/stay"]}),
    Action(
        "add a finalizer to a running pod",
        "PATCH",
        in_team("pods/burst"),
        {"metadata": {"finalizers": ["example.org/stay"]}},
        holder=CHANGES,
    ),
)
_EVERYWHERE = [{"operator": "Exists"}]
PLACES = (
    Action(
        "another scheduler, by server-side apply",
        "PATCH",
        in_team("pods/new?fieldManager=test"),
        pod(schedulerName="mine"),
        holder=PODS,
        patch="apply-patch",
    ),
    _pod("nodeName", PODS, nodeName=NODE),
    _pod("another scheduler", PODS, schedulerName="mine"),
    _pod("the mark of a static pod", PODS, metadata={"annotations": {"kubernetes.io/config.source": "file"}}),
    _pod("toleration of every taint", SHARE, tolerations=_EVERYWHERE),
    _pod(
        "toleration of cordoned nodes",
        SHARE,
        tolerations=[{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}],
    ),
    Action(
        "add a toleration to a waiting pod",
        "PATCH",
        in_team("pods/waiting"),
        [
            {
                "op": "add",
                "path": "/spec/tolerations/-",
                "value": {"key": "node.kubernetes.io/unschedulable", "operator": "Exists"},
            }
        ],
        holder=CHANGES,
        patch="json-patch",
    ),
    _pod(
        "a DaemonSet's pod, which a drain leaves",
        PODS,
        metadata={
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "x", "uid": "1"}]
        },
    ),
    Action(
        "give a running pod to a DaemonSet",
        "PATCH",
        in_team("pods/train"),
        {
            "metadata": {
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "x", "uid": "1"}]
            }
        },
        holder=CHANGES,
    ),
)


def _services() -> Iterator[Action]:
    for title, spec, holder in (
        ("NodePort", {"type": "NodePort"}, "gpu-teams-services"),
        ("LoadBalancer", {"type": "LoadBalancer"}, "gpu-teams-services"),
        ("ExternalName", {"type": "ExternalName", "externalName": "example.org"}, "gpu-teams-services"),
        ("externalIPs", {"externalIPs": ["10.0.0.11"]}, "gpu-teams-services"),
    ):
        body = thing("v1", "Service", spec={"ports": [{"port": 80}], "selector": {"a": "b"}, **spec})
        yield Action(f"Service with {title}", "POST", in_team("services"), body, holder=holder)
    yield Action(
        "open a node's port for a Service",
        "PATCH",
        in_team("services/app"),
        {"spec": {"type": "NodePort"}},
        holder="gpu-teams-services",
    )


SERVICES = tuple(_services())
