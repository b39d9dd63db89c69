"""The workloads in the graph: Deployments, Jobs, their pods and namespaces."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.program.conftest import stack_config
from tests.program.graphs import with_agents
from tools import mocked_program as g


def graph_of(**workloads: dict[str, Any]) -> g.Graph:
    return g.run({**stack_config("dev"), "workloads": workloads})


def test_changed_job_is_replaced(in_project: Path):
    job = graph_of(train={"kind": "Job", "completions": 4, "parallelism": 2, "retries": 1}).of("train", "Job")
    spec = job.inputs["spec"]
    assert (spec["completions"], spec["parallelism"], spec["backoffLimit"]) == (4, 2, 1)
    assert spec["activeDeadlineSeconds"] == 600
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert job.options.deleteBeforeReplace and list(job.options.replaceOnChanges) == ["spec"]
    assert job.inputs["metadata"]["annotations"] == {"pulumi.com/waitFor": "jsonpath={.metadata.name}=train"}


def test_job_is_waited_for_by_a_command(in_project: Path):
    graph = graph_of(train={"kind": "Job", "timeoutSeconds": 30})
    wait = graph.of("train-ended")
    plan = json.loads(wait.inputs["environment"]["K3SGPU_JOB"])
    assert (plan["namespace"], plan["name"], plan["timeoutSeconds"]) == ("default", "train", 30)
    assert isinstance(wait.inputs["stdin"], g.Hidden)
    assert "uid" in plan and "train" in {graph.resources[urn].name for urn in wait.depends_on}


@pytest.mark.parametrize(
    ("verify", "strict"), [(True, False), ("strict", True), ({"image": "mine/vec:1"}, False)]
)
def test_nodes_are_verified_before_workloads_are_created(in_project: Path, verify: Any, strict: bool):
    config = stack_config("dev")
    config["pools"]["rtx"]["hosts"]["gpu-2"] = {"address": "10.77.0.22", "maintenance": True}
    graph = g.run({**config, "verify": verify})
    command = graph.of("gpu-verify", "Command")
    plan = json.loads(command.inputs["environment"]["K3SGPU_VERIFY"])
    assert [(node["name"], node["resource"]) for node in plan["nodes"]] == [("gpu-1", "nvidia.com/gpu")]
    assert plan["strict"] is strict and plan["namespace"] == "gpu-operator"
    assert isinstance(command.inputs["stdin"], g.Hidden)
    assert "gpu-sharing-ready" in graph.before(command)
    assert "gpu-verify" in graph.before(graph.of("nvidia-plugin-test-2", "Deployment"))


def test_added_node_changes_the_verification_of_no_other(in_project: Path):
    verified = [
        json.loads(
            g.run({**with_agents(count), "verify": True})
            .of("gpu-verify", "Command")
            .inputs["environment"]["K3SGPU_VERIFY"]
        )["nodes"]
        for count in (2, 3)
    ]
    assert verified[1][:2] == verified[0] and len(verified[1]) == 3


def test_nothing_is_verified_unplan(in_project: Path):
    assert not any(r.name == "gpu-verify" for r in g.run({**stack_config("dev"), "verify": False}))


def test_pod_has_the_fields_of_the_stack_file(in_project: Path):
    workload = {
        "image": "registry.example/mine:1",
        "gpus": 2,
        "env": {"EPOCHS": "3"},
        "secretEnv": {"HF_TOKEN": {"name": "hub", "key": "token"}},
        "pool": "rtx",
        "nodeSelector": {"accelerator": "NVIDIA-GeForce-RTX-2080-Ti"},
        "tolerations": [{"key": "team", "value": "red", "effect": "NoSchedule"}],
        "securityContext": {"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}},
    }
    graph = graph_of(mine=workload)
    pod = graph.of("mine", "Deployment").inputs["spec"]["template"]["spec"]
    pool = {"k3s-gpu-sharing/pool": "rtx"}
    assert pod["nodeSelector"] == {**workload["nodeSelector"], **pool}
    assert pool.items() <= graph.of("gpu-sharing-gpu-1").inputs["metadata"]["labels"].items()
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


def test_namespace_has_the_pod_security_level_of_its_pods(in_project: Path):
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
