"""Programs for the probe of imports, and what somebody has made by hand: with kubectl, and with helm."""

from __future__ import annotations

import os
import subprocess
from typing import Any, Final

import pulumi
import pulumi_kubernetes as k8s

from rehearsal.tests.e2e.probes.cluster import after, provider, sends
from rehearsal.tests.e2e.probes.kubernetes_programs import chart
from rehearsal.tests.e2e.probes.probe import Program, Surroundings

NAMESPACE: Final = "by-hand"
MAP: Final = f"/api/v1/namespaces/{NAMESPACE}/configmaps/settings"


def made_by_hand(around: Surroundings) -> None:
    """A namespace, a ConfigMap as `kubectl create` makes them, and a release of helm's own."""
    made = {"fieldManager": "kubectl-create"}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    settings = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": NAMESPACE, "labels": {"who": "somebody"}},
        "data": {"kept": "1", "changed": "1", "dropped": "1"},
    }
    sends("POST", "/api/v1/namespaces", space, made)(around)
    sends("POST", f"/api/v1/namespaces/{NAMESPACE}/configmaps", settings, made)(around)
    chart(around)
    kubeconfig = around.folder / "by-hand"
    kubeconfig.write_text(around.cluster.kubeconfig)
    command = ["install", "found", "./chart", "--namespace", NAMESPACE, "--set", "a=1"]
    subprocess.run(
        ["helm", *command, "--kubeconfig", str(kubeconfig), "--disable-openapi-validation"],
        cwd=around.folder,
        env={**os.environ, "PATH": os.pathsep.join([*map(str, around.tools), os.environ["PATH"]])},
        capture_output=True,
        timeout=60,
        check=True,
    )


def imports(*, name: str = "settings", a: int = 1) -> Program:
    def program(around: Surroundings) -> None:
        options = provider(around, enable_config_map_mutable=True)
        namespace = k8s.core.v1.Namespace(
            "namespace",
            metadata={"name": NAMESPACE, "labels": {"added": "yes"}},
            opts=_importing(options, NAMESPACE),
        )
        k8s.core.v1.ConfigMap(
            "settings",
            metadata={
                "name": name,
                "namespace": NAMESPACE,
                "annotations": {"pulumi.com/patchForce": "true"},
            },
            data={"kept": "1", "changed": "2", "added": "2"},
            opts=after(_importing(options, f"{NAMESPACE}/{name}"), namespace),
        )
        if name != "settings":  # its import fails, and how far the release has come by then differs
            return
        values: dict[str, Any] = {"a": a}
        k8s.helm.v3.Release(
            "release",
            name="found",
            namespace=NAMESPACE,
            chart="./chart",
            values=values,
            timeout=8,
            disable_openapi_validation=True,
            opts=after(_importing(options, f"{NAMESPACE}/found"), namespace),
        )

    return program


def _importing(options: pulumi.ResourceOptions, identity: str) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(import_=identity))
