"""A Deployment or a Job whose pods use slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from components.local_command import local_command
from components.sdk_workarounds import child_options
from k3sgpu.handoff.jobs import JOB_VARIABLE, JobToWaitFor
from k3sgpu.wellknown import GPU_RESOURCE, RUNTIME_CLASS

TOLERATIONS: list[kubernetes.core.v1.TolerationArgsDict] = [
    {"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}
]


class JobArgs(TypedDict):
    """How many pods a Job runs, and for how long."""

    completions: int
    parallelism: int
    retries: int
    timeout_seconds: int
    """For the whole Job, including the time that its pods wait for free slices."""
    kubeconfig: pulumi.Input[str]


class GpuWorkloadArgs(TypedDict):
    """One Deployment, or one Job."""

    namespace: str
    replicas: int
    """Of a Deployment."""
    job: JobArgs | None
    """None makes a Deployment."""
    gpus: int
    """Units of `resource` a pod asks for."""
    resource: str
    priority_class: str | None
    """None: the cluster's default."""
    image: str
    command: Sequence[str]
    args: Sequence[str]
    env: Mapping[str, str]
    secret_env: Mapping[str, tuple[str, str]]
    """By variable: a Secret of the namespace, and its key."""
    node_selector: Mapping[str, str]
    tolerations: Sequence[kubernetes.core.v1.TolerationArgsDict]
    """In addition to the one for NVIDIA's own taint."""
    security_context: kubernetes.core.v1.SecurityContextArgsDict
    restricted: bool
    """Whether the namespace has the Pod Security Standard `restricted`, which asks for a seccomp profile."""


class GpuWorkload(pulumi.ComponentResource):
    """Pods with GPUs. Exists when all pods of a Deployment run, or those of a Job have succeeded."""

    def __init__(self, name: str, args: GpuWorkloadArgs, opts: pulumi.ResourceOptions | None = None):
        super().__init__("k3sgpu:index:GpuWorkload", name, None, opts)
        labels = {"app": name}
        metadata: kubernetes.meta.v1.ObjectMetaArgsDict = {
            "name": name,
            "namespace": args["namespace"],
            "labels": labels,
        }
        if job := args["job"]:
            # Almost no field of a Job can change, and its name is taken until it is deleted.
            resource = kubernetes.batch.v1.Job(
                name,
                metadata={
                    **metadata,
                    "annotations": {"pulumi.com/waitFor": f"jsonpath={{.metadata.name}}={name}"},
                },
                spec=_job(labels, args, job),
                opts=child_options(self, opts, delete_before_replace=True, replace_on_changes=["spec"]),
            )
            # The Kubernetes plugin would report a failed Job without the pod, its exit code and its log.
            waited_for = resource.metadata.uid.apply(lambda uid: _job_to_wait_for(name, uid or "", args, job))
            environment = {JOB_VARIABLE: pulumi.Output.json_dumps(waited_for, sort_keys=True)}
            local_command(
                f"{name}-ended", "jobs wait", environment, job["kubeconfig"], child_options(self, opts)
            )
        else:
            kubernetes.apps.v1.Deployment(
                name, metadata=metadata, spec=_deployment(labels, args), opts=child_options(self, opts)
            )
        self.register_outputs({})


def workload_namespaces(
    labels: Mapping[str, Mapping[str, str]], opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """Registers the namespaces of workloads; `labels` are those of each, by its name."""
    return [
        kubernetes.core.v1.Namespace(name, metadata={"name": name, "labels": dict(own)}, opts=opts)
        for name, own in labels.items()
    ]


def _deployment(
    labels: Mapping[str, str], args: GpuWorkloadArgs
) -> kubernetes.apps.v1.DeploymentSpecArgsDict:
    return {
        "replicas": args["replicas"],
        "selector": {"match_labels": labels},
        # A surge needs more slices than declared. With all of them in use it would wait for ever for the pods
        # that it has to replace.
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
        # After it the controller deletes the pods, so that a Job that hangs does not keep its slices.
        "active_deadline_seconds": job["timeout_seconds"],
        # A pod that failed then stays, with its exit code and its log.
        "template": {"metadata": {"labels": labels}, "spec": {**_pod(args), "restart_policy": "Never"}},
    }


def _job_to_wait_for(name: str, uid: str, args: GpuWorkloadArgs, job: JobArgs) -> JobToWaitFor:
    return {
        "namespace": args["namespace"],
        "name": name,
        "uid": uid,
        "timeoutSeconds": job["timeout_seconds"],
    }


def _pod(args: GpuWorkloadArgs) -> kubernetes.core.v1.PodSpecArgsDict:
    plain: list[kubernetes.core.v1.EnvVarArgsDict] = [
        {"name": name, "value": value} for name, value in sorted(args["env"].items())
    ]
    secret: list[kubernetes.core.v1.EnvVarArgsDict] = [
        {"name": name, "value_from": {"secret_key_ref": {"name": of, "key": key}}}
        for name, (of, key) in sorted(args["secret_env"].items())
    ]
    pod: kubernetes.core.v1.PodSpecArgsDict = {
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
                # Kubernetes copies limits to requests, and for an extended resource the two must be equal.
                "resources": {"limits": {args["resource"]: str(args["gpus"])}},
                "security_context": args["security_context"],
            }
        ],
    }
    if args["restricted"]:
        pod["security_context"] = {"seccomp_profile": {"type": "RuntimeDefault"}}
    if args["priority_class"]:
        pod["priority_class_name"] = args["priority_class"]
    return pod
