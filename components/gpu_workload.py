"""A Deployment or a Job whose pods use slices: the proof that sharing works."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from components.local_command import local_command
from components.sdk_workarounds import child_options

# k3s brings the RuntimeClass `nvidia` and does not make it the default (docs.k3s.io/advanced).
RUNTIME_CLASS = "nvidia"
TOLERATIONS: list[kubernetes.core.v1.TolerationArgsDict] = [
    {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
]


class JobArgs(TypedDict):
    """How often and how long a Job's pods run."""

    completions: int
    parallelism: int
    retries: int
    timeout_seconds: int
    """For all of it, the pods' wait for room included."""
    kubeconfig: pulumi.Input[str]


class GpuWorkloadArgs(TypedDict):
    """One Deployment, or one Job."""

    namespace: str
    replicas: int
    """Of a Deployment."""
    job: JobArgs | None
    """None: a Deployment."""
    gpus: int
    """Units of `resource` a pod asks for."""
    resource: str
    image: str
    command: Sequence[str]
    args: Sequence[str]
    env: Mapping[str, str]
    secret_env: Mapping[str, tuple[str, str]]
    """By variable: a Secret of the namespace, and its key."""
    node_selector: Mapping[str, str]
    tolerations: Sequence[kubernetes.core.v1.TolerationArgsDict]
    """Beside that of NVIDIA's own taint."""
    security_context: kubernetes.core.v1.SecurityContextArgsDict


class GpuWorkload(pulumi.ComponentResource):
    """Pods with GPUs; exists when all pods of a Deployment run, or those of a Job have succeeded."""

    def __init__(self, name: str, args: GpuWorkloadArgs, opts: pulumi.ResourceOptions | None = None):
        super().__init__("k3sgpu:index:GpuWorkload", name, None, opts)
        labels = {"app": name}
        metadata: kubernetes.meta.v1.ObjectMetaArgsDict = {
            "name": name,
            "namespace": args["namespace"],
            "labels": labels,
        }
        if job := args["job"]:
            # All but nothing of a Job can be changed, and its name is taken while it is there.
            made = kubernetes.batch.v1.Job(
                name,
                metadata={
                    **metadata,
                    "annotations": {"pulumi.com/waitFor": f"jsonpath={{.metadata.name}}={name}"},
                },
                spec=_job(labels, args, job),
                opts=child_options(self, opts, delete_before_replace=True, replace_on_changes=["spec"]),
            )
            # The Kubernetes plugin would say that it failed, not which pod, with which exit code and log.
            seen = {
                "namespace": args["namespace"],
                "name": name,
                "uid": made.metadata.uid,
                "timeoutSeconds": job["timeout_seconds"],
            }
            told = {"K3SGPU_JOB": pulumi.Output.json_dumps(seen, sort_keys=True)}
            local_command(f"{name}-ended", "jobs wait", told, job["kubeconfig"], child_options(self, opts))
        else:
            kubernetes.apps.v1.Deployment(
                name, metadata=metadata, spec=_deployment(labels, args), opts=child_options(self, opts)
            )
        self.register_outputs({})


def _deployment(
    labels: Mapping[str, str], args: GpuWorkloadArgs
) -> kubernetes.apps.v1.DeploymentSpecArgsDict:
    return {
        "replicas": args["replicas"],
        "selector": {"match_labels": labels},
        # A surge would ask for slices beyond the declared ones and, with all of them taken, wait for
        # ever for the pods it is meant to replace.
        "strategy": {"type": "RollingUpdate", "rolling_update": {"max_surge": 0, "max_unavailable": 1}},
        "template": {"metadata": {"labels": labels}, "spec": _pod(args)},
    }


def _job(
    labels: Mapping[str, str], args: GpuWorkloadArgs, job: JobArgs
) -> kubernetes.batch.v1.JobSpecArgsDict:
    return {
        "completions": job["completions"],
        "parallelism": job["parallelism"],
        "backoff_limit": job["retries"],
        # Past it the controller takes the pods away, so that a Job that hangs does not keep its slices.
        "active_deadline_seconds": job["timeout_seconds"],
        # Never: a pod that failed stays, with its exit code and its log.
        "template": {"metadata": {"labels": labels}, "spec": {**_pod(args), "restart_policy": "Never"}},
    }


def _pod(args: GpuWorkloadArgs) -> kubernetes.core.v1.PodSpecArgsDict:
    plain: list[kubernetes.core.v1.EnvVarArgsDict] = [
        {"name": name, "value": value} for name, value in sorted(args["env"].items())
    ]
    secret: list[kubernetes.core.v1.EnvVarArgsDict] = [
        {"name": name, "value_from": {"secret_key_ref": {"name": of, "key": key}}}
        for name, (of, key) in sorted(args["secret_env"].items())
    ]
    return {
        "runtime_class_name": RUNTIME_CLASS,
        "node_selector": dict(args["node_selector"]),
        "tolerations": [*TOLERATIONS, *args["tolerations"]],
        "containers": [
            {
                "name": "main",
                "image": args["image"],
                "command": list(args["command"]),
                "args": list(args["args"]),
                "env": [*plain, *secret],
                # Limits alone: Kubernetes takes them for requests, and for an extended resource
                # the two may not differ.
                "resources": {"limits": {args["resource"]: str(args["gpus"])}},
                "security_context": args["security_context"],
            }
        ],
    }
