"""What the kubernetes probes use beside the engine: a provider, looks at the API server, other hands."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from rehearsal.tests.e2e.probes.probe import Surroundings


def provider(around: Surroundings, **arguments: Any) -> pulumi.ResourceOptions:
    """Options with a provider for the probes' cluster, as this project makes its own."""
    arguments.setdefault("kubeconfig", pulumi.Output.secret(around.cluster.kubeconfig))
    arguments.setdefault("cluster_identifier", "probes")
    return pulumi.ResourceOptions(provider=k8s.Provider("cluster", **arguments))


def after(options: pulumi.ResourceOptions, *resources: pulumi.Resource) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=list(resources)))


def live(path: str, *keys: str) -> Callable[[Surroundings], Any]:
    """What the API server has at `path`: the values at `keys` (steps by /), or its code when it refuses."""

    def look(around: Surroundings) -> Any:
        with around.cluster.client() as client:
            answer = client.get(path)
        return {key: _at(answer.json(), key) for key in keys} if answer.is_success else answer.status_code

    return look


def _at(value: Any, key: str) -> Any:
    for step in key.split("/"):
        value = (value or {}).get(step)
    return value


def managers(path: str) -> Callable[[Surroundings], Any]:
    """Who manages fields of the object at `path`, and how."""

    def look(around: Surroundings) -> Any:
        with around.cluster.client() as client:
            metadata = client.get(path).json().get("metadata", {})
        return sorted(
            f"{entry['manager']} {entry['operation']}" for entry in metadata.get("managedFields", [])
        )

    return look


def sends(
    method: str, path: str, body: Any = None, query: dict[str, str] | None = None
) -> Callable[[Surroundings], None]:
    """Does something to the cluster by another hand; a failure ends the probe."""

    def act(around: Surroundings) -> None:
        kind = {"PATCH": "application/apply-patch+yaml", "MERGE": "application/merge-patch+json"}
        headers = {"Content-Type": kind.get(method, "application/json")}
        verb = "PATCH" if method == "MERGE" else method
        with around.cluster.client() as client:
            client.request(verb, path, json=body, params=query, headers=headers).raise_for_status()

    return act


def soon(act: Callable[[Surroundings], None], seconds: float = 4) -> Callable[[Surroundings], None]:
    """`act` a while later, during the step's operation."""

    def begin(around: Surroundings) -> None:
        def work() -> None:
            time.sleep(seconds)
            act(around)

        threading.Thread(target=work, daemon=True).start()

    return begin
