"""Programs, and changes to the cluster, for the probes of the `kubernetes` plugin."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import yaml
from pulumi_command import local

from rehearsal.tests.e2e.probes.cluster import after, live, provider, sends, soon
from rehearsal.tests.e2e.probes.kubelet import FATE
from rehearsal.tests.e2e.probes.probe import Program, Surroundings

WIDGET_CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.probes.example.com"},
    "spec": {
        "group": "probes.example.com",
        "names": {"kind": "Widget", "plural": "widgets", "singular": "widget"},
        "scope": "Cluster",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                },
            }
        ],
    },
}
MANAGER = "pulumi.com/patchFieldManager"
FORCE = "pulumi.com/patchForce"
SECONDS = "pulumi.com/timeoutSeconds"
WAIT = "pulumi.com/waitFor"


def objects(text: str, *, name: str = "settings", mutable: bool = True) -> Program:
    def program(around: Surroundings) -> None:
        options = provider(around, enable_config_map_mutable=mutable)
        namespace = k8s.core.v1.Namespace("namespace", metadata={"name": "objects"}, opts=options)
        k8s.core.v1.ConfigMap(
            "settings",
            metadata={"name": name, "namespace": "objects", "labels": {"text": text}},
            data={"text": text, "token": pulumi.Output.secret("sesame"), "a.b": "1"},
            opts=after(options, namespace),
        )
        k8s.core.v1.ConfigMap(
            "fixed", metadata={"name": "fixed"}, data={"text": text}, immutable=True, opts=options
        )

    return program


def refused(around: Surroundings) -> None:
    options = provider(around)
    k8s.core.v1.ConfigMap("exists", metadata={"name": "kube-root-ca.crt"}, data={"a": "b"}, opts=options)
    k8s.core.v1.ConfigMap(
        "no-namespace", metadata={"name": "a", "namespace": "nowhere"}, data={"a": "b"}, opts=options
    )


def taken(around: Surroundings) -> None:
    k8s.core.v1.ConfigMap(
        "exists", metadata={"name": "kube-root-ca.crt"}, data={"a": "b"}, opts=provider(around)
    )


def mistyped(around: Surroundings) -> None:
    deployment("mistyped", provider(around), replicas="three")


def patches(text: str, *, force: bool = True, manager: str = "probes", other: bool = False) -> Program:
    def program(around: Surroundings) -> None:
        options = provider(around)
        annotations = {MANAGER: manager} | ({FORCE: "true"} if force else {})
        k8s.core.v1.NodePatch(
            "node",
            metadata={
                "name": "node-1",
                "labels": {"shared": text, "example.com/own": text},
                "annotations": annotations,
            },
            opts=options,
        )
        k8s.apiextensions.CustomResourcePatch(
            "widget",
            api_version="probes.example.com/v1",
            kind="Widget",
            metadata={"name": "widget-1", "annotations": annotations},
            spec={"size": text, "list": [{"a": text}]} | ({"more": True} if other else {}),
            opts=options,
        )
        k8s.core.v1.NodePatch("missing", metadata={"name": "node-2", "labels": {"a": text}}, opts=options)

    return program


def waits(value: str, *, seconds: str = "60", expression: str | None = None) -> Program:
    def program(around: Surroundings) -> None:
        wait = expression or f"jsonpath={{.status.allocatable['example.com/gpu']}}={value}"
        annotations = {MANAGER: "probes", FORCE: "true", WAIT: wait, SECONDS: seconds}
        k8s.core.v1.NodePatch(
            "waits",
            metadata={"name": "node-3", "labels": {"promised": value}, "annotations": annotations},
            opts=provider(around),
        )

    return program


def deployment(
    name: str,
    options: pulumi.ResourceOptions,
    *,
    fate: str = "runs",
    image: str = "probe",
    replicas: Any = 2,
    seconds: str = "60",
    selector: str | None = None,
) -> None:
    """A Deployment whose pods are bound to a node already: nothing schedules here."""
    labels = {"app": selector or name}
    container: Any = {
        "name": "main",
        "image": image,
        "command": [],
        "resources": {"limits": {"nvidia.com/gpu": 2}},
    }
    k8s.apps.v1.Deployment(
        name,
        metadata={"name": name, "annotations": {SECONDS: seconds}},
        spec={
            "replicas": replicas,
            "selector": {"match_labels": labels},
            "template": {
                "metadata": {"labels": labels | {FATE: fate}},
                "spec": {"node_name": "node-9", "node_selector": {}, "containers": [container]},
            },
        },
        opts=options,
    )


def deployments(
    *, image: str = "probe", stuck_fate: str = "stuck", selector: str | None = None, replicas: int = 2
) -> Program:
    def program(around: Surroundings) -> None:
        options = provider(around)
        deployment("fine", options, image=image, selector=selector, replicas=replicas)
        deployment("stuck", options, fate=stuck_fate, image=image, seconds="5")

    return program


def jobs(image: str) -> Program:
    def program(around: Surroundings) -> None:
        options = provider(around)
        for name, fate in (("succeeds", "succeeds"), ("fails", "fails"), ("hangs", "hangs")):
            k8s.batch.v1.Job(
                name,
                metadata={"name": name, "annotations": {SECONDS: "5" if name == "hangs" else "60"}},
                spec={
                    "backoff_limit": 0,
                    "template": {
                        "metadata": {"labels": {FATE: fate}},
                        "spec": {
                            "node_name": "node-9",
                            "restart_policy": "Never",
                            "containers": [{"name": "main", "image": image}],
                        },
                    },
                },
                opts=options,
            )

    return program


CHART = {
    "Chart.yaml": "apiVersion: v2\nname: probe\nversion: 1.2.3\nappVersion: '9'\n",
    "values.yaml": "a: 1\nnested: {b: two, c: three}\nbroken: false\n",
    "templates/objects.yaml": """\
apiVersion: v1
kind: ConfigMap
metadata: {name: from-chart}
data: {a: {{ .Values.a | quote }}, b: {{ .Values.nested.b | quote }}, c: {{ .Values.nested.c | quote }}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: from-chart, namespace: {{ .Release.Namespace }}}
spec:
  replicas: 1
  selector: {matchLabels: {app: from-chart}}
  template:
    metadata: {labels: {app: from-chart, probe-fate: {{ if .Values.broken }}stuck{{ else }}runs{{ end }}}}
    spec: {nodeName: node-9, containers: [{name: main, image: {{ .Values.image | default "probe" }}}]}
""",
}


def chart(around: Surroundings) -> None:
    for name, text in CHART.items():
        path = around.folder / "chart" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def release(*, namespace: str = "default", chart: str = "./chart", **values: Any) -> Program:
    def program(around: Surroundings) -> None:
        k8s.helm.v3.Release(
            "release",
            name="probe",
            chart=chart,
            version="1.2.3",
            namespace=namespace,
            values=values | {"nested": {"b": pulumi.Output.secret("sesame")}},
            timeout=8,
            disable_openapi_validation=True,
            opts=provider(around),
        )

    return program


def from_command(text: str, *, identifier: str | None = "probes", server: str | None = None) -> Program:
    """A provider whose kubeconfig is a command's output: not known in the first preview."""

    def program(around: Surroundings) -> None:
        document = yaml.safe_load(around.cluster.kubeconfig)
        if server:
            document["clusters"][0]["cluster"]["server"] = server
        source = local.Command(
            "kubeconfig",
            create="cat",
            stdin=pulumi.Output.secret(yaml.safe_dump(document) + f"# {text}\n"),
            logging=local.Logging.NONE,
            opts=pulumi.ResourceOptions(additional_secret_outputs=["stdout"]),
        )
        options = provider(around, kubeconfig=source.stdout, cluster_identifier=identifier)
        k8s.core.v1.ConfigMap("inside", metadata={"name": "inside"}, data={"a": "b"}, opts=options)
        k8s.core.v1.NodePatch("patch", metadata={"name": "node-4", "labels": {"a": "b"}}, opts=options)

    return program


def known_kubeconfig(
    identifier: str | None, name: str, *, other_server: bool = False, text: str = "a"
) -> Program:
    def program(around: Surroundings) -> None:
        document = yaml.safe_load(around.cluster.kubeconfig)
        if other_server:
            document["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
        kubeconfig = pulumi.Output.secret(yaml.safe_dump(document))
        options = provider(around, kubeconfig=kubeconfig, cluster_identifier=identifier)
        k8s.core.v1.ConfigMap("inside", metadata={"name": name}, data={"a": text}, opts=options)

    return program


def unreachable(around: Surroundings) -> None:
    known_kubeconfig("probes", "reached", other_server=True)(around)


NODE = {"apiVersion": "v1", "kind": "Node"}
WIDGET = {"apiVersion": "probes.example.com/v1", "kind": "Widget"}
WIDGET_PATH = "/apis/probes.example.com/v1/widgets"


def nodes_and_widget(around: Surroundings) -> None:
    """What the patches find: a node with a label that somebody else applied, and a custom resource."""
    sends("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", WIDGET_CRD)(around)
    node = NODE | {"metadata": {"name": "node-1", "labels": {"shared": "theirs"}}}
    sends("PATCH", "/api/v1/nodes/node-1", node, {"fieldManager": "somebody"})(around)
    deadline = time.monotonic() + 30
    while live(WIDGET_PATH)(around) == 404 and time.monotonic() < deadline:
        time.sleep(0.2)
    widget = WIDGET | {"metadata": {"name": "widget-1"}, "spec": {"kept": "theirs"}}
    sends("POST", WIDGET_PATH, widget)(around)


def gpus(count: str) -> Callable[[Surroundings], None]:
    body = {"status": {"allocatable": {"example.com/gpu": count}, "capacity": {"example.com/gpu": count}}}
    return sends("MERGE", "/api/v1/nodes/node-3/status", body)


def node_with_gpus(around: Surroundings) -> None:
    sends("POST", "/api/v1/nodes", NODE | {"metadata": {"name": "node-3"}})(around)
    gpus("1")(around)
    soon(gpus("6"))(around)


def ready_condition(around: Surroundings) -> None:
    conditions = [{"type": "Ready", "status": "True"}]
    sends("MERGE", "/api/v1/nodes/node-3/status", {"status": {"conditions": conditions}})(around)


NODE_1 = live("/api/v1/nodes/node-1", "metadata/labels/shared", "metadata/labels/example.com~own")
WIDGET_1 = live(f"{WIDGET_PATH}/widget-1", "spec")
MAP = "/api/v1/namespaces/objects/configmaps/settings"
drift = sends("MERGE", MAP, {"data": {"text": "drifted", "extra": "1"}})


def patched(around: Surroundings) -> Any:
    with around.cluster.client() as client:
        metadata = client.get("/api/v1/nodes/node-1").json()["metadata"]
    return {
        "node": metadata.get("labels"),
        "widget": WIDGET_1(around),
        "missing": live("/api/v1/nodes/node-2")(around),
    }
