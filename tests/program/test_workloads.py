"""What becomes of `workloads` in the graph: Deployments, Jobs, their pods and namespaces."""

from pathlib import Path
from typing import Any

from rehearsal import graph as g

from .conftest import stack_config


def graph_of(**workloads: dict[str, Any]) -> g.Graph:
    return g.run({**stack_config("dev"), "workloads": workloads})


def test_a_job_is_made_again_rather_than_changed(in_project: Path):
    job = graph_of(train={"kind": "Job", "completions": 4, "parallelism": 2, "retries": 1}).of("train", "Job")
    spec = job.inputs["spec"]
    assert (spec["completions"], spec["parallelism"], spec["backoffLimit"]) == (4, 2, 1)
    assert spec["activeDeadlineSeconds"] == 600
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert job.options.deleteBeforeReplace and list(job.options.replaceOnChanges) == ["spec"]
    assert job.options.customTimeouts.create == "660s"  # past the Job's own deadline


def test_a_pod_is_what_the_file_says(in_project: Path):
    said = {
        "image": "registry.example/mine:1",
        "gpus": 2,
        "env": {"EPOCHS": "3"},
        "secretEnv": {"HF_TOKEN": {"name": "hub", "key": "token"}},
        "nodeSelector": {"accelerator": "NVIDIA-GeForce-RTX-2080-Ti"},
        "tolerations": [{"key": "team", "value": "red", "effect": "NoSchedule"}],
        "securityContext": {"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}},
    }
    pod = graph_of(mine=said).of("mine", "Deployment").inputs["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == said["nodeSelector"]
    assert pod["tolerations"][1:] == [
        {"key": "team", "operator": "Equal", "value": "red", "effect": "NoSchedule"}
    ]
    (container,) = pod["containers"]
    assert container["env"] == [
        {"name": "EPOCHS", "value": "3"},
        {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}},
    ]
    assert container["resources"] == {"limits": {"nvidia.com/gpu": "2"}}
    assert container["securityContext"] == {"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}}


def test_a_namespace_lets_its_pods_in(in_project: Path):
    graph = graph_of(
        own={"image": "registry.example/mine:1", "namespace": "mine"},
        tester={"namespace": "counters"},  # asks for SYS_ADMIN
        one={"namespace": "both", "replicas": 0},
        other={"image": "registry.example/mine:1", "namespace": "both"},
        here={"image": "registry.example/mine:1"},
    )
    levels = {
        r.name: r.inputs["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        for r in graph
        if r.type.endswith(":Namespace") and r.inputs["metadata"]["name"] != "gpu-operator"
    }
    assert levels == {"mine": "baseline", "counters": "privileged", "both": "privileged"}
    assert "mine" in graph.before(graph.of("own", "Deployment"))
