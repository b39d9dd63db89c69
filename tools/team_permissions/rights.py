"""Requests that only the administrator may make: rights, quotas, nodes, other namespaces, the operator."""

from typing import Any

from tools.team_permissions.action import (
    GPU,
    NODE,
    POOL,
    TEAM,
    Action,
    Body,
    in_namespace,
    in_team,
    of_cluster,
    pod,
    thing,
)

RBAC, ADMISSION = "rbac.authorization.k8s.io/v1", "admissionregistration.k8s.io/v1"
NETWORKING, POLICY, CERTIFICATES = "networking.k8s.io/v1", "policy/v1", "certificates.k8s.io/v1"
MEMBERS = "gpu-team-members"
_ADMIN: dict[str, Any] = {"allowed": ("admin",), "holder": "RBAC"}
_REFERENCE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
_SUBJECT = {"kind": "ServiceAccount", "name": "ana", "namespace": MEMBERS}
_EVERYTHING = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
_TOKEN = {
    "apiVersion": "authentication.k8s.io/v1",
    "kind": "TokenRequest",
    "spec": {"expirationSeconds": 600},
}


def _post(title: str, path: str, body: Body, **more: Any) -> Action:
    return Action(title, "POST", path, body, **{**_ADMIN, **more})


def _get(title: str, path: str, **more: Any) -> Action:
    return Action(title, "GET", path, **{**_ADMIN, **more})


def _patch(title: str, path: str, body: Body, **more: Any) -> Action:
    return Action(title, "PATCH", path, body, **{**_ADMIN, **more})


def _delete(title: str, path: str) -> Action:
    return Action(title, "DELETE", path, **_ADMIN)


BINDING = {"roleRef": _REFERENCE, "subjects": [_SUBJECT]}
ROLES = (
    _post("create a Role", in_team("roles", group=RBAC), thing(RBAC, "Role", rules=_EVERYTHING)),
    _post("create a RoleBinding", in_team("rolebindings", group=RBAC), thing(RBAC, "RoleBinding", **BINDING)),
    _post(
        "create a ClusterRoleBinding",
        of_cluster("clusterrolebindings", RBAC),
        thing(RBAC, "ClusterRoleBinding", **BINDING),
    ),
    _post(
        "create a ClusterRole",
        of_cluster("clusterroles", RBAC),
        thing(RBAC, "ClusterRole", rules=_EVERYTHING),
    ),
    _patch(
        "add rights to the members' Role",
        in_team("roles/gpu-team-member", group=RBAC),
        {"rules": _EVERYTHING},
    ),
    _delete("delete another member's RoleBinding", in_team("rolebindings/gpu-team-member-bo", group=RBAC)),
    *(
        _post(
            f"act as {title}",
            of_cluster("selfsubjectreviews", "authentication.k8s.io/v1"),
            {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
            headers={f"Impersonate-{key}": value for key, value in who},
        )
        for title, who in (
            ("another user", [("User", "admin")]),
            ("the group of administrators", [("User", "x"), ("Group", "system:masters")]),
            ("a ServiceAccount", [("User", "system:serviceaccount:kube-system:node-controller")]),
        )
    ),
    _post(
        "create a CertificateSigningRequest",
        of_cluster("certificatesigningrequests", CERTIFICATES),
        thing(
            CERTIFICATES,
            "CertificateSigningRequest",
            spec={
                "request": "",
                "signerName": "kubernetes.io/kube-apiserver-client",
                "usages": ["client auth"],
            },
        ),
        connects=True,
    ),
    _post(
        "ask for another user's rights",
        of_cluster("subjectaccessreviews", "authorization.k8s.io/v1"),
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": "bo", "resourceAttributes": {"verb": "get", "resource": "pods"}},
        },
    ),
)
ACCOUNTS = (
    _get("list the team's ServiceAccounts", in_team("serviceaccounts")),
    _post("create a ServiceAccount", in_team("serviceaccounts"), thing("v1", "ServiceAccount")),
    _post("make a token of the pods' ServiceAccount", in_team("serviceaccounts/default/token"), _TOKEN),
    _post("make a token of oneself", in_namespace("serviceaccounts/ana/token", MEMBERS), _TOKEN),
    _post("make a token of another member", in_namespace("serviceaccounts/cy/token", MEMBERS), _TOKEN),
    _get("list the members' ServiceAccounts", in_namespace("serviceaccounts", MEMBERS)),
    _post("create a member", in_namespace("serviceaccounts", MEMBERS), thing("v1", "ServiceAccount")),
    _delete("delete a member", in_namespace("serviceaccounts/cy", MEMBERS)),
    _get("read Secrets among the members' accounts", in_namespace("secrets", MEMBERS)),
    Action(
        "create a pod among the members' accounts",
        "POST",
        in_namespace("pods", MEMBERS),
        pod(serviceAccountName="cy"),
        holder="RBAC",
    ),
    Action(
        "create a Secret that holds a ServiceAccount's token",
        "POST",
        in_team("secrets"),
        {
            **thing("v1", "Secret", type="kubernetes.io/service-account-token"),
            "metadata": {"name": "new", "annotations": {"kubernetes.io/service-account.name": "default"}},
        },
        holder="gpu-teams-secrets",
    ),
)
SHARES = (
    _patch(
        "raise a quota",
        in_team(f"resourcequotas/guaranteed-{POOL}"),
        {"spec": {"hard": {f"requests.{GPU}": "9"}}},
    ),
    _patch(
        "raise a quota's status",
        in_team(f"resourcequotas/guaranteed-{POOL}/status"),
        {"status": {"used": {f"requests.{GPU}": "0"}}},
    ),
    _delete("delete a quota", in_team(f"resourcequotas/burst-{POOL}")),
    _delete("delete the LimitRange", in_team("limitranges/default-requests")),
    _post(
        "create a quota",
        in_team("resourcequotas"),
        thing("v1", "ResourceQuota", spec={"hard": {"pods": "0"}}),
    ),
    _patch(
        "take the Pod Security level from the namespace",
        of_cluster(f"namespaces/{TEAM}"),
        {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}},
    ),
    _patch(
        "take the team's label from the namespace",
        of_cluster(f"namespaces/{TEAM}"),
        {"metadata": {"labels": {"k3s-gpu-sharing/team": None}}},
    ),
    _post("create a namespace", of_cluster("namespaces"), thing("v1", "Namespace")),
    _delete("delete the namespace", of_cluster(f"namespaces/{TEAM}")),
    _post(
        "create a PriorityClass",
        of_cluster("priorityclasses", "scheduling.k8s.io/v1"),
        thing("scheduling.k8s.io/v1", "PriorityClass", value=1000000),
    ),
    _delete("delete a PriorityClass", of_cluster(f"priorityclasses/burst-{POOL}", "scheduling.k8s.io/v1")),
    *(
        _delete(f"delete the {title}", of_cluster(f"{resource}/{name}", ADMISSION))
        for title, resource, name in (
            ("policy of the team", "validatingadmissionpolicies", f"gpu-team-{TEAM}"),
            ("policy of all teams", "validatingadmissionpolicies", "gpu-teams-pods"),
            ("binding of a policy", "validatingadmissionpolicybindings", "gpu-teams-pods"),
            ("policy of defaults", "mutatingadmissionpolicies", f"gpu-team-{TEAM}"),
        )
    ),
    *(
        _post(f"create a {kind}", of_cluster(resource, ADMISSION), thing(ADMISSION, kind, webhooks=[]))
        for kind, resource in (
            ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations"),
            ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
        )
    ),
)
NODES = (
    _patch("cordon a node", of_cluster(f"nodes/{NODE}"), {"spec": {"unschedulable": True}}),
    _patch("change a node's labels", of_cluster(f"nodes/{NODE}"), {"metadata": {"labels": {"a": "b"}}}),
    _patch(
        "change what a node offers",
        of_cluster(f"nodes/{NODE}/status"),
        {"status": {"capacity": {GPU: "99"}}},
    ),
    _delete("delete a node", of_cluster(f"nodes/{NODE}")),
    _get("reach a kubelet through the API server", of_cluster(f"nodes/{NODE}/proxy/pods"), connects=True),
    _get("reach a pod through the API server", in_team("pods/train/proxy/"), connects=True),
    _get("read Leases in kube-system", in_namespace("leases", "kube-system", "coordination.k8s.io/v1")),
    _post(
        "create a Lease in kube-system",
        in_namespace("leases", "kube-system", "coordination.k8s.io/v1"),
        thing("coordination.k8s.io/v1", "Lease"),
    ),
    _post(
        "create a PersistentVolume of a host's folder",
        of_cluster("persistentvolumes"),
        thing(
            "v1",
            "PersistentVolume",
            spec={
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": "/"},
            },
        ),
    ),
    _post(
        "create a RuntimeClass",
        of_cluster("runtimeclasses", "node.k8s.io/v1"),
        thing("node.k8s.io/v1", "RuntimeClass", handler="runc"),
    ),
    _post(
        "create a StorageClass",
        of_cluster("storageclasses", "storage.k8s.io/v1"),
        thing("storage.k8s.io/v1", "StorageClass", provisioner="rancher.io/local-path"),
    ),
)
ELSEWHERE = (
    _get("list all pods", of_cluster("pods")),
    _get("list all Secrets", of_cluster("secrets")),
    _get("list namespaces", of_cluster("namespaces")),
    _get("list pods in namespace default", in_namespace("pods", "default")),
    _post(
        "create a pod in namespace default",
        in_namespace("pods", "default"),
        pod(slices=0, priorityClassName=None),
    ),
    _post(
        "create a privileged pod in kube-system",
        in_namespace("pods", "kube-system"),
        pod(slices=0, priorityClassName=None, container={"securityContext": {"privileged": True}}),
    ),
    _delete("delete a pod in namespace default", in_namespace("pods/plain", "default")),
    _post(
        "evict a pod in namespace default",
        in_namespace("pods/plain/eviction", "default"),
        thing("policy/v1", "Eviction", "plain"),
    ),
    _get("list the operator's pods", in_namespace("pods", "gpu-operator")),
    _get("read the operator's Secrets", in_namespace("secrets", "gpu-operator")),
    _post(
        "exec in an operator's pod",
        in_namespace("pods/plain/exec?command=id&stdout=1", "gpu-operator"),
        {},
        connects=True,
    ),
    _patch(
        "change the operator's sharing configuration",
        in_namespace("configmaps/time-slicing-config", "gpu-operator"),
        {"data": {"a": "b"}},
    ),
    _patch(
        "open the toolkit in the ClusterPolicy",
        of_cluster("clusterpolicies/cluster-policy", "nvidia.com/v1"),
        {"spec": {"toolkit": {"env": []}}},
    ),
    _post(
        "create a CustomResourceDefinition",
        of_cluster("customresourcedefinitions", "apiextensions.k8s.io/v1"),
        thing("apiextensions.k8s.io/v1", "CustomResourceDefinition", "x.example.org", spec={}),
        connects=True,
    ),
)
POD_PARTS = (
    _post(
        "bind a pod to a node",
        in_team("pods/waiting/binding"),
        thing("v1", "Binding", "waiting", target={"kind": "Node", "name": NODE}),
    ),
    _patch("change a pod's status", in_team("pods/train/status"), {"status": {"message": "new"}}),
    _post("evict a pod", in_team("pods/train/eviction"), thing("policy/v1", "Eviction", "train")),
    _patch(
        "resize a pod",
        in_team("pods/burst/resize"),
        {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "1"}}}]}},
        patch="strategic-merge-patch",
    ),
    _patch(
        "add an ephemeral container",
        in_team("pods/train/ephemeralcontainers"),
        {"spec": {"ephemeralContainers": [{"name": "debug", "image": "example.org/image"}]}},
        patch="strategic-merge-patch",
    ),
)
_REPLICAS = {"selector": {"matchLabels": {"app": "new"}}}
_TEMPLATE = {"metadata": {"labels": {"app": "new"}}, "spec": pod()["spec"]}
OTHER_KINDS = (
    _post(
        "create a DaemonSet",
        in_team("daemonsets", group="apps/v1"),
        thing("apps/v1", "DaemonSet", spec={**_REPLICAS, "template": _TEMPLATE}),
    ),
    _post(
        "create a ReplicaSet",
        in_team("replicasets", group="apps/v1"),
        thing("apps/v1", "ReplicaSet", spec={**_REPLICAS, "replicas": 0, "template": _TEMPLATE}),
    ),
    _post(
        "create a ReplicationController",
        in_team("replicationcontrollers"),
        thing(
            "v1",
            "ReplicationController",
            spec={"replicas": 0, "selector": {"app": "new"}, "template": _TEMPLATE},
        ),
    ),
    _post(
        "create a HorizontalPodAutoscaler",
        in_team("horizontalpodautoscalers", group="autoscaling/v2"),
        thing(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            spec={
                "maxReplicas": 9,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
            },
        ),
    ),
    _post(
        "create a PodDisruptionBudget",
        in_team("poddisruptionbudgets", group=POLICY),
        thing(POLICY, "PodDisruptionBudget", spec={"minAvailable": "100%", **_REPLICAS}),
    ),
    _post(
        "create an Ingress",
        in_team("ingresses", group=NETWORKING),
        thing(
            NETWORKING,
            "Ingress",
            spec={"defaultBackend": {"service": {"name": "new", "port": {"number": 80}}}},
        ),
    ),
    _post(
        "create a NetworkPolicy",
        in_team("networkpolicies", group=NETWORKING),
        thing(NETWORKING, "NetworkPolicy", spec={"podSelector": {}, "egress": [{}]}),
    ),
    _delete("delete a NetworkPolicy", in_team("networkpolicies/egress-not-to-hosts", group=NETWORKING)),
    _post(
        "create an EndpointSlice of a host's address",
        in_team("endpointslices", group="discovery.k8s.io/v1"),
        thing(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            addressType="IPv4",
            endpoints=[{"addresses": ["10.0.0.11"]}],
        ),
    ),
    _post(
        "create a ResourceClaim",
        in_team("resourceclaims", group="resource.k8s.io/v1"),
        thing(
            "resource.k8s.io/v1",
            "ResourceClaim",
            spec={
                "devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.nvidia.com"}}]}
            },
        ),
    ),
    _post(
        "create an event",
        in_team("events"),
        thing("v1", "Event", involvedObject={"namespace": TEAM}, reason="x", message="x"),
    ),
)
