"""A Deployment whose pods use slices: the proof that sharing works."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from .options import child

# k3s brings the RuntimeClass `nvidia` and does not make it the default (docs.k3s.io/advanced).
RUNTIME_CLASS = "nvidia"
TOLERATIONS: list[kubernetes.core.v1.TolerationArgsDict] = [
    {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
]


class GpuWorkloadArgs(TypedDict):
    """One Deployment."""

    namespace: str
    replicas: int
    gpus: int
    """Units of `resource` a pod asks for."""
    resource: str
    image: str
    command: Sequence[str]
    args: Sequence[str]
    capabilities: Sequence[str]
    """Linux capabilities on top of the usual ones."""
    node_selector: Mapping[str, str]


class GpuWorkload(pulumi.ComponentResource):
    """A Deployment of pods with GPUs; exists when all of them run."""

    deployment: kubernetes.apps.v1.Deployment
    """It is called like the component."""

    def __init__(self, name: str, args: GpuWorkloadArgs, opts: pulumi.ResourceOptions | None = None):
        super().__init__("k3sgpu:index:GpuWorkload", name, None, opts)
        labels = {"app": name}
        self.deployment = kubernetes.apps.v1.Deployment(
            name,
            metadata={"name": name, "namespace": args["namespace"], "labels": labels},
            spec=_spec(labels, args),
            opts=child(self, opts),
        )
        self.register_outputs({})


def _spec(labels: Mapping[str, str], args: GpuWorkloadArgs) -> kubernetes.apps.v1.DeploymentSpecArgsDict:
    return {
        "replicas": args["replicas"],
        "selector": {"match_labels": labels},
        # A surge would ask for slices beyond the declared ones and, with all of them taken, wait for
        # ever for the pods it is meant to replace.
        "strategy": {"type": "RollingUpdate", "rolling_update": {"max_surge": 0, "max_unavailable": 1}},
        "template": {"metadata": {"labels": labels}, "spec": _pod(args)},
    }


def _pod(args: GpuWorkloadArgs) -> kubernetes.core.v1.PodSpecArgsDict:
    return {
        "runtime_class_name": RUNTIME_CLASS,
        "node_selector": dict(args["node_selector"]),
        "tolerations": TOLERATIONS,
        "containers": [
            {
                "name": "main",
                "image": args["image"],
                "command": list(args["command"]),
                "args": list(args["args"]),
                # Limits alone: Kubernetes takes them for requests, and for an extended resource
                # the two may not differ.
                "resources": {"limits": {args["resource"]: str(args["gpus"])}},
                "security_context": {"capabilities": {"add": list(args["capabilities"])}},
            }
        ],
    }
