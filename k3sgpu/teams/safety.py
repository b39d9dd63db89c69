"""Admission policies for the namespaces of all teams: what no pod, service or secret of a team may be.

Pod Security holds what it knows (privileges, host paths, host networks). These hold the rest: other ways to a
card or a node, and ways to keep a guaranteed pod of another team waiting.
"""

from collections.abc import Iterator

from k3sgpu.teams.cel import Rule, literal, resources, validating_policy
from k3sgpu.teams.manifest import Manifest
from k3sgpu.teams.names import MEMBERS_GROUP, TEAM_LABEL
from k3sgpu.wellknown import RUNTIME_CLASS

TEAMS_NAMESPACES = {"matchExpressions": [{"key": TEAM_LABEL, "operator": "Exists"}]}
WRITTEN_BY_MEMBER = f"{literal(MEMBERS_GROUP)} in request.userInfo.groups"
GRACE_SECONDS = 60
"""The longest that a pod may take to end: so long a guaranteed pod waits for the pod that gives way."""
DEVICE_VARIABLES = (
    "NVIDIA_VISIBLE_DEVICES",
    "NVIDIA_IMEX_CHANNELS",
    "NVIDIA_MIG_CONFIG_DEVICES",
    "NVIDIA_MIG_MONITOR_DEVICES",
    "NVIDIA_GDRCOPY",
    "NVIDIA_GDS",
    "NVIDIA_MOFED",
    "NVIDIA_NVSWITCH",
)
"""Variables by which NVIDIA's toolkit adds devices (internal/modifier/gated.go, internal/config/image)."""
VOLUMES = (
    "configMap",
    "secret",
    "emptyDir",
    "downwardAPI",
    "projected",
    "persistentVolumeClaim",
    "ephemeral",
    "image",
)
"""Those of Pod Security's `restricted` without csi. The kubelet mounts others, such as nfs, as the node."""
FINALIZERS = ("batch.kubernetes.io/job-tracking", "foregroundDeletion", "orphan")
"""Those that Kubernetes' own controllers set and remove."""
OWNERS = ("DaemonSet", "Node")
"""Whose pods stay on a node that is drained."""

_ANNOTATIONS = "object.metadata.?annotations.orValue({})"
_ALL_CONTAINERS = "object.spec.containers + object.spec.?initContainers.orValue([])"


def safety_policies() -> tuple[Manifest, ...]:
    """The policies for all teams, each with its binding."""
    return (
        *validating_policy(
            "gpu-teams-pods",
            TEAMS_NAMESPACES,
            [resources("", ["pods"], ["CREATE"])],
            {"containers": _ALL_CONTAINERS},
            _pod_rules(),
        ),
        *validating_policy(
            "gpu-teams-pod-changes",
            TEAMS_NAMESPACES,
            [resources("", ["pods", "pods/ephemeralcontainers"], ["UPDATE"])],
            {"containers": "object.spec.?ephemeralContainers.orValue([])"},
            _pod_change_rules(),
        ),
        *validating_policy(
            "gpu-teams-pod-deletions",
            TEAMS_NAMESPACES,
            [resources("", ["pods"], ["DELETE"])],
            {},
            _pod_deletion_rules(),
        ),
        *validating_policy(
            "gpu-teams-services",
            TEAMS_NAMESPACES,
            [resources("", ["services"], ["CREATE", "UPDATE"])],
            {},
            [
                Rule(
                    "object.spec.?type.orValue('ClusterIP') == 'ClusterIP'",
                    "write type: ClusterIP; reach the service with kubectl port-forward",
                ),
                Rule("object.spec.?externalIPs.orValue([]).size() == 0", "remove externalIPs"),
            ],
        ),
        *validating_policy(
            "gpu-teams-secrets",
            TEAMS_NAMESPACES,
            [resources("", ["secrets"], ["CREATE"])],
            {},
            [
                Rule(
                    "object.?type.orValue('') != 'kubernetes.io/service-account-token'",
                    "tokens of ServiceAccounts do not belong to members: write another type",
                )
            ],
        ),
    )


def _pod_rules() -> Iterator[Rule]:
    yield Rule(
        "object.spec.?nodeName.orValue('') == ''",
        "remove nodeName: the scheduler chooses the node, by nodeSelector",
    )
    yield Rule("object.spec.schedulerName == 'default-scheduler'", "remove schedulerName")
    yield Rule(
        f"object.spec.?runtimeClassName.orValue({literal(RUNTIME_CLASS)}) == {literal(RUNTIME_CLASS)}",
        f"write runtimeClassName: {RUNTIME_CLASS}, or none",
    )
    yield Rule(
        f"{_ANNOTATIONS}.all(key, !({_device_annotation('key')}))",
        "remove the annotations that hand devices or settings to the container runtime: a container gets "
        "cards by the resources that it requests",
    )
    yield _variables_rule()
    yield _mounts_rule()
    yield Rule(
        "object.spec.?resourceClaims.orValue([]).size() == 0",
        "remove resourceClaims: request slices in resources.limits",
    )
    yield Rule(
        "!has(object.spec.resources)", "remove the pod's own resources: request them for each container"
    )
    yield Rule(
        "dyn(object).spec.?initContainers.orValue([]).all(c, "
        "c.?resources.?limits.orValue({}).all(key, !key.contains('/')))",
        "request slices in containers, not in initContainers",
    )
    yield Rule(
        f"object.spec.terminationGracePeriodSeconds >= 1 && "
        f"object.spec.terminationGracePeriodSeconds <= {GRACE_SECONDS}",
        f"write terminationGracePeriodSeconds: 1 to {GRACE_SECONDS}, because others wait for the end",
    )
    yield Rule(
        f"object.spec.?volumes.orValue([]).all(v, {' || '.join(f'has(v.{name})' for name in VOLUMES)})",
        f"use volumes of these kinds only: {', '.join(VOLUMES)}",
    )
    yield Rule(
        _no_foreign_terms("podAffinity") + " &&\n" + _no_foreign_terms("podAntiAffinity"),
        "remove namespaces and namespaceSelector from podAffinity and podAntiAffinity: they would keep other "
        "teams' pods off the nodes",
    )
    yield Rule(
        f"object.metadata.?finalizers.orValue([]).all(f, f in {literal(FINALIZERS)})",
        "remove metadata.finalizers: a pod must go when it is deleted",
    )

    yield _owners_rule()
    yield Rule(
        "variables.containers.all(c, c.?securityContext.?procMount.orValue('Default') == 'Default')",
        "remove procMount, which Pod Security accepts in a user namespace",
    )


def _pod_change_rules() -> Iterator[Rule]:
    yield Rule(
        f"{_ANNOTATIONS}.all(key, !({_device_annotation('key')}) ||\n"
        "  oldObject.metadata.?annotations[?key].orValue('') == object.metadata.annotations[key])",
        "do not add annotations that hand devices or settings to the container runtime",
    )
    yield Rule(
        "object.spec.?tolerations.orValue([]) == oldObject.spec.?tolerations.orValue([])",
        "do not change the tolerations of a pod",
    )
    yield Rule(
        f"object.metadata.?finalizers.orValue([]).all(f, f in {literal(FINALIZERS)} ||\n"
        "  f in oldObject.metadata.?finalizers.orValue([]))",
        "do not add finalizers: a pod must go when it is deleted",
    )
    yield _owners_rule()
    yield _variables_rule()
    yield _mounts_rule()


def _pod_deletion_rules() -> Iterator[Rule]:
    """`options` holds the seconds that the API server has determined: 0 for a pod that does not run.

    A running pod that is deleted at once is gone for the scheduler and the quotas, and still has its slices.
    The kubelet refuses the pod that is placed there next, and a refused pod has failed for good.
    """
    seconds = "request.options.?gracePeriodSeconds.orValue(30)"
    yield Rule(
        f"{seconds} <= {GRACE_SECONDS}",
        f"a pod may take {GRACE_SECONDS} s to end: delete it without --grace-period",
    )
    yield Rule(
        f"{seconds} > 0 || !({WRITTEN_BY_MEMBER}) || oldObject.spec.?nodeName.orValue('') == '' ||\n"
        "oldObject.status.?phase.orValue('') in ['Succeeded', 'Failed']",
        "delete the pod without --force, because it has its slices until it has ended; if its node does not "
        "answer, ask the administrator",
    )


def _owners_rule() -> Rule:
    return Rule(
        f"object.metadata.?ownerReferences.orValue([]).all(o, !(o.kind in {literal(OWNERS)}))",
        f"remove ownerReferences to {' and '.join(OWNERS)}: a drain would leave the pod on its node",
    )


def _variables_rule() -> Rule:
    return Rule(
        f"variables.containers.all(c, c.?env.orValue([]).all(e, !(e.name in {literal(DEVICE_VARIABLES)})))",
        f"remove these variables, which name devices: {', '.join(DEVICE_VARIABLES)}",
    )


def _mounts_rule() -> Rule:
    return Rule(
        "variables.containers.all(c, c.?volumeMounts.orValue([]).all(m,\n"
        "  !m.mountPath.contains('nvidia-container-devices')))",
        "remove the mounts below nvidia-container-devices, which name cards",
    )


def _device_annotation(key: str) -> str:
    """Whether an annotation is one of CDI, NRI plugins, CRI-O or crun, or one that only kubelets set."""
    parts = [f"{key}.contains({literal(text)})" for text in ("cdi.k8s.io", "nri.io")]
    starts = [
        f"{key}.startsWith({literal(text)})"
        for text in ("io.kubernetes.cri", "run.oci.", "kubernetes.io/config.")
    ]
    return " || ".join([*parts, *starts])


def _no_foreign_terms(kind: str) -> str:
    own = "!has({0}.namespaceSelector) && {0}.?namespaces.orValue([]).size() == 0"
    terms = f"object.spec.?affinity.?{kind}"
    return (
        f"{terms}.?requiredDuringSchedulingIgnoredDuringExecution.orValue([]).all(t, {own.format('t')}) &&\n"
        f"{terms}.?preferredDuringSchedulingIgnoredDuringExecution.orValue([]).all(t,"
        f" {own.format('t.podAffinityTerm')})"
    )
