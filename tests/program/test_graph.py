"""The whole graph, as docs/graph.md draws it."""

import asyncio
import copy
import json
from pathlib import Path

import pulumi
import pytest
import yaml

from tests.program.conftest import stack_config
from tests.program.graphs import changes, commands, with_agents, with_existing_cluster, with_servers
from tools import mocked_program as g
from tools.plan import violations

# The project's own; a user's stack files lie beside them and name files of theirs.
STACKS = ("dev", "single")


def test_resource_types_and_names_do_not_change(dev: g.Graph):
    assert sorted((r.type, r.name) for r in dev) == sorted(
        [
            ("k3sgpu:index:K3sCluster", "cluster"),
            ("command:local:Command", "cluster-preflight"),
            ("command:local:Command", "cluster-stage"),
            ("command:remote:Command", "cluster-clean-server-1"),
            ("command:remote:Command", "cluster-server-server-1"),
            ("command:remote:Command", "cluster-tokens"),
            ("command:remote:Command", "cluster-forget-gpu-1"),
            ("command:remote:Command", "cluster-clean-gpu-1"),
            ("command:remote:Command", "cluster-agent-gpu-1"),
            ("command:remote:Command", "cluster-upkeep-gpu-1"),
            ("command:remote:Command", "cluster-leave-gpu-1"),
            ("command:remote:Command", "cluster-nodes"),
            ("command:remote:Command", "cluster-kubeconfig"),
            ("pulumi:providers:kubernetes", "cluster"),
            ("k3sgpu:index:GpuProfiles", "gpu-profiles"),
            ("kubernetes:core/v1:Namespace", "gpu-profiles"),
            ("command:local:Command", "gpu-profiles-vacated"),
            ("kubernetes:core/v1:ConfigMap", "gpu-profiles"),
            ("k3sgpu:index:GpuOperator", "gpu-operator"),
            ("kubernetes:helm.sh/v3:Release", "gpu-operator"),
            ("k3sgpu:index:GpuSharing", "gpu-sharing"),
            ("kubernetes:nvidia.com/v1:ClusterPolicyPatch", "gpu-sharing"),
            ("kubernetes:core/v1:NodePatch", "gpu-sharing-gpu-1"),
            ("command:local:Command", "gpu-sharing-ready"),
            ("command:local:Command", "gpu-sharing-returned"),
            ("k3sgpu:index:GpuWorkload", "nvidia-plugin-test-2"),
            ("kubernetes:apps/v1:Deployment", "nvidia-plugin-test-2"),
            ("k3sgpu:index:Guard", "guard"),
        ]
    )


@pytest.mark.parametrize(
    ("resource", "kind", "needs"),
    [
        ("cluster-server-server-1", "Command", {"cluster-preflight", "cluster-clean-server-1"}),
        ("cluster-tokens", "Command", {"cluster-server-server-1"}),
        ("cluster-agent-gpu-1", "Command", {"cluster-preflight", "cluster-tokens", "cluster-clean-gpu-1"}),
        # In the state before the join, so that after a half-failed install the next change is an update.
        ("cluster-agent-gpu-1", "Command", {"cluster-upkeep-gpu-1"}),
        ("cluster-upkeep-gpu-1", "Command", {"cluster-preflight", "cluster-tokens", "cluster-clean-gpu-1"}),
        # Deleted first to last: drain, uninstall, delete node.
        ("cluster-leave-gpu-1", "Command", {"cluster-agent-gpu-1", "cluster-clean-gpu-1"}),
        ("cluster-clean-gpu-1", "Command", {"cluster-forget-gpu-1"}),
        ("cluster-nodes", "Command", {"cluster-server-server-1", "cluster-agent-gpu-1"}),
        ("cluster", "kubernetes", {"cluster-kubeconfig"}),
        # Configurations and labels change after the drain; uncordon follows when the slices are allocatable.
        ("gpu-profiles", "ConfigMap", {"gpu-profiles-vacated"}),
        ("gpu-sharing-gpu-1", "NodePatch", {"gpu-profiles-vacated"}),
        ("gpu-sharing-returned", "Command", {"gpu-sharing-ready", "gpu-profiles-vacated"}),
        # A teardown goes the other way: labels and patch, the Release with its hooks, the configurations.
        ("gpu-operator", "Release", {"gpu-profiles", "cluster"}),
        ("gpu-sharing", "ClusterPolicyPatch", {"gpu-sharing", "gpu-operator"}),
        ("gpu-sharing-gpu-1", "NodePatch", {"cluster-agent-gpu-1", "gpu-sharing"}),
        ("gpu-sharing-ready", "Command", {"gpu-sharing-gpu-1", "gpu-sharing"}),
        ("nvidia-plugin-test-2", "Deployment", {"gpu-sharing-ready"}),
    ],
)
def test_resource_waits_for_what_it_needs(dev: g.Graph, resource: str, kind: str, needs: set[str]):
    assert needs <= dev.before(dev.of(resource, kind))


def test_nothing_is_drained_at_the_install(dev: g.Graph):
    for name in ("gpu-profiles-vacated", "gpu-sharing-returned"):
        assert "create" not in dev.of(name).inputs and "update" in dev.of(name).inputs
    assert dev.of("gpu-profiles-vacated").inputs["environment"] == {
        "K3SGPU_EXPECTED_STATE": dev.of("gpu-sharing-ready").inputs["environment"]["K3SGPU_EXPECTED_STATE"]
    }


def test_moved_resources_have_aliases_of_their_former_parents(dev: g.Graph):
    formerly = {"Namespace": ("GpuOperator", "gpu-operator"), "ConfigMap": ("GpuSharing", "gpu-sharing")}
    for kind, (component, name) in formerly.items():
        (alias,) = dev.of("gpu-profiles", kind).options.aliases
        parent = f"urn:pulumi:dev::k3s-gpu-sharing::k3sgpu:index:{component}::{name}"
        assert (alias.spec.name, alias.spec.parentUrn) == (name, parent)


def test_no_resource_has_triggers(dev: g.Graph):
    assert not [r.name for r in dev if "triggers" in r.inputs]


def test_commands_mark_secrets(dev: g.Graph):
    for command in commands(dev):
        assert isinstance(command.inputs["connection"], g.Hidden), command.name
        assert command.inputs["connection"].value["hostKey"].startswith("ssh-ed25519 "), command.name
        assert command.inputs["addPreviousOutputInEnv"] is False, command.name
        assert "environment" not in command.inputs, command.name
    for name in ("cluster-tokens", "cluster-kubeconfig"):
        command = dev.of(name)
        assert command.inputs["logging"] == "none"
        assert set(command.options.additionalSecretOutputs) >= {"stdout", "stderr"}
    assert isinstance(dev.of("cluster-agent-gpu-1").inputs["stdin"], g.Hidden)
    assert isinstance(dev.of("cluster-upkeep-gpu-1").inputs["stdin"], g.Hidden)
    for name in ("gpu-sharing-ready", "gpu-profiles-vacated", "gpu-sharing-returned"):
        assert isinstance(dev.of(name).inputs["stdin"], g.Hidden)
    assert isinstance(dev.of("cluster", "kubernetes").inputs["kubeconfig"], g.Hidden)


def test_everything_inside_the_cluster_is_deleted_with_its_provider(dev: g.Graph):
    provider = dev.of("cluster", "kubernetes").urn
    inside = [r for r in dev if r.type.startswith("kubernetes:")]
    assert inside
    for resource in inside:
        assert resource.provider.rsplit("::", 1)[0] == provider, resource.name
        assert resource.options.deletedWith == provider, resource.name


def test_provider_is_not_replaced_by_another_kubeconfig(dev: g.Graph):
    inputs = dev.of("cluster", "kubernetes").inputs
    assert inputs["clusterIdentifier"] == "k3s-gpu-sharing-dev-cluster"
    assert inputs["enableConfigMapMutable"] in (True, "true")
    kubeconfig = yaml.safe_load(inputs["kubeconfig"].value)
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://10.77.0.11:6443"


@pytest.mark.parametrize(
    "operator",
    [
        {"version": "v25.10.1"},
        {"chart": "oci://registry.example.org/charts/gpu-operator"},
        {"chart": "gpu-operator", "repository": "https://mirror.example.org/nvidia"},
        {"driver": "operator"},
        {"toolkit": "operator"},
        {"values": {"devicePlugin": {"env": [{"name": "FAIL_ON_INIT_ERROR", "value": "false"}]}}},
    ],
    ids=lambda operator: next(iter(operator)),
)
def test_gate_and_verification_run_again_when_the_operator_changes(in_project: Path, operator: dict):
    config = {**stack_config("dev"), "verify": True}
    before = g.run(config)
    after = g.run({**config, "gpuOperator": {**config["gpuOperator"], **operator}})
    assert {"gpu-operator", "gpu-sharing-ready", "gpu-verify"} <= set(changes(before, after))


def test_operator_release_is_pinned_and_does_not_configure_sharing(dev: g.Graph):
    inputs = dev.of("gpu-operator", "Release").inputs
    assert (inputs["name"], inputs["version"]) == ("gpu-operator", "v26.7.0")
    assert inputs["description"] == "Pulumi stack k3s-gpu-sharing/dev"
    assert inputs["disableOpenapiValidation"] is True
    assert inputs.get("atomic", False) is False
    assert inputs["timeout"] > 0
    assert "devicePlugin" not in inputs["values"]
    assert inputs["values"]["driver"] == {"enabled": False}
    assert inputs["values"]["toolkit"] == {"enabled": False}


@pytest.mark.parametrize(
    ("driver", "toolkit", "values"),
    [
        ("operator", "operator", {"driver": True, "toolkit": True}),
        ("host", "operator", {"driver": False, "toolkit": True}),
        ("host", "host", {"driver": False, "toolkit": False}),
    ],
)
def test_driver_and_toolkit_come_from_operator_or_host(
    in_project: Path, driver: str, toolkit: str, values: dict
):
    config = stack_config("dev")
    config["gpuOperator"].update(driver=driver, toolkit=toolkit)
    chart = g.run(config).of("gpu-operator", "Release").inputs["values"]
    assert {part: chart[part]["enabled"] for part in values} == values
    sockets = [e["value"] for e in chart["toolkit"].get("env", []) if e["name"] == "CONTAINERD_SOCKET"]
    assert sockets == (["/run/k3s/containerd/containerd.sock"] if values["toolkit"] else [])


def test_sharing_is_a_config_map_a_patch_and_node_labels(dev: g.Graph):
    config_map = dev.of("gpu-profiles", "ConfigMap").inputs
    assert config_map["metadata"]["name"] == "time-slicing-config"
    assert config_map["metadata"]["annotations"] == {"pulumi.com/patchForce": "true"}
    keys = sorted(config_map["data"])
    assert keys[0].startswith("2080ti-12gb-") and keys[1:] == ["none"]
    assert yaml.safe_load(config_map["data"]["none"]) == {"version": "v1"}
    assert yaml.safe_load(config_map["data"][keys[0]])["sharing"] == {
        "timeSlicing": {"resources": [{"name": "nvidia.com/gpu", "replicas": 6}]}
    }
    patch = dev.of("gpu-sharing", "ClusterPolicyPatch").inputs
    assert patch["metadata"]["name"] == "cluster-policy"
    assert patch["spec"] == {"devicePlugin": {"config": {"name": "time-slicing-config", "default": "none"}}}
    labels = dev.of("gpu-sharing-gpu-1", "NodePatch").inputs["metadata"]["labels"]
    assert labels["nvidia.com/device-plugin.config"] == keys[0]


def test_changed_profile_changes_only_nodes_that_use_it(in_project: Path):
    config = with_agents(2)
    config["pools"]["other"] = {
        "role": "agent",
        "hosts": {"gpu-9": "10.77.0.29"},
        "gpu": {"product": "Tesla-T4", "count": 1, "memoryMiB": 15360, "profile": "tesla-t4"},
    }
    t4 = {"timeSlicing": {"resources": [{"name": "nvidia.com/gpu", "replicas": 4}]}}
    config["sharing"]["profiles"]["tesla-t4"] = t4
    before = g.run(config)
    t4["timeSlicing"]["resources"][0]["replicas"] = 5
    after = g.run(config)

    def label(graph: g.Graph, node: str) -> str:
        patch = graph.of(f"gpu-sharing-{node}", "NodePatch")
        return patch.inputs["metadata"]["labels"]["nvidia.com/device-plugin.config"]

    assert label(before, "gpu-1") == label(after, "gpu-1")
    assert label(before, "gpu-9") != label(after, "gpu-9")
    patches = [graph.of("gpu-sharing", "ClusterPolicyPatch").inputs for graph in (before, after)]
    assert patches[0] == patches[1]


def test_gate_waits_for_every_expected_resource(dev: g.Graph):
    expected = json.loads(dev.of("gpu-sharing-ready").inputs["environment"]["K3SGPU_EXPECTED_STATE"])
    nodes = {node["name"]: node for node in expected["nodes"]}
    assert nodes["gpu-1"]["resources"] == {"nvidia.com/gpu": 6}
    assert nodes["gpu-1"]["labels"]["nvidia.com/gpu.product"] == "NVIDIA-GeForce-RTX-2080-Ti-SHARED"
    assert nodes["gpu-1"]["labels"]["nvidia.com/gpu.replicas"] == "6"
    assert expected["timeoutSeconds"] > 0


def test_default_workload_replaces_pods_without_a_surge(dev: g.Graph):
    spec = dev.of("nvidia-plugin-test-2", "Deployment").inputs["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    pod = spec["template"]["spec"]
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    container = pod["containers"][0]
    assert container["image"] == "nvcr.io/nvidia/cloud-native/dcgm:4.6.0-1-ubuntu24.04"
    assert container["resources"] == {"limits": {"nvidia.com/gpu": "2"}}
    assert container["securityContext"] == {"capabilities": {"add": ["SYS_ADMIN"]}}


def test_workload_with_its_own_image_gets_no_capability(in_project: Path):
    config = stack_config("dev")
    config["workloads"]["nvidia-plugin-test-2"]["image"] = "registry.example/mine:1"
    pod = g.run(config).of("nvidia-plugin-test-2", "Deployment").inputs["spec"]["template"]["spec"]
    assert not pod["containers"][0].get("securityContext")


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("known", [True, False], ids=["kubeconfig known", "kubeconfig unknown"])
def test_every_stack_file_builds_the_whole_graph(in_project: Path, stack: str, known: bool):
    graph = g.run(stack_config(stack), stack=stack, kubeconfig_known=known)
    deployments = {r.name for r in graph if r.type.endswith(":Deployment")}
    assert deployments == set(stack_config(stack)["workloads"])


@pytest.mark.parametrize("stack", STACKS)
def test_stack_files_break_no_policy(in_project: Path, stack: str):
    config = stack_config(stack)
    config["k3s"]["protect"] = True
    graph = g.run(config, stack="lab")
    assert not violations(graph)
    graph.of("cluster-server-server-1" if stack == "dev" else "cluster-server-box-1").options.protect = False
    assert [text.partition(":")[0] for text in violations(graph)] == ["protected-servers"]


def test_sudo_password_breaks_no_policy(in_project: Path):
    config = stack_config("dev")
    config["ssh"]["user"] = "ubuntu"
    assert not violations(g.run(config, secrets={"sudoPassword": "correct horse"}))


def test_lost_host_breaks_no_policy(in_project: Path):
    config = with_agents(2)
    config["pools"]["rtx"]["hosts"]["gpu-2"] = {"address": "192.0.2.9", "gone": True}
    assert not violations(g.run(config))


def test_protection_covers_servers_their_uninstall_and_the_guard(in_project: Path):
    config = stack_config("dev")
    assert not [r.name for r in g.run(config) if r.options.protect]
    config["k3s"]["protect"] = True
    graph = g.run(config)
    guarded = {r.name for r in graph if r.options.protect}
    assert guarded == {"cluster-server-server-1", "cluster-clean-server-1", "guard"}


def test_guard_comes_after_everything(in_project: Path):
    alone = stack_config("dev")
    del alone["pools"]["rtx"], alone["workloads"]
    for config in (stack_config("dev"), with_servers(3), with_existing_cluster(), alone):
        secrets = {"clusterKubeconfig": g.KUBECONFIG} if "kubeconfig" in config else {}
        graph = g.run(config, secrets=secrets)
        assert graph.before(graph.of("guard")) == {r.name for r in graph} - {"guard"}


def test_disabled_operator_leaves_a_bare_cluster(in_project: Path):
    config = stack_config("dev")
    config["gpuOperator"]["enabled"] = False
    config["workloads"] = {}
    kinds = {resource.type for resource in g.run(config)}
    assert "k3sgpu:index:K3sCluster" in kinds
    assert not any("kubernetes:core" in kind or "helm" in kind for kind in kinds)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c["pools"]["rtx"].update(gpus={}), ["pools.rtx.gpus", "gpu"]),
        (
            lambda c: c["sharing"]["profiles"]["2080ti-12gb"]["timeSlicing"]["resources"][0].update(
                replicas=1
            ),
            ["sharing.profiles.2080ti-12gb.timeSlicing.resources", ">= 2"],
        ),
        (
            lambda c: c["workloads"]["nvidia-plugin-test-2"].update(replicas=4),
            ["0/2 nodes are available: 2 Insufficient nvidia.com/gpu"],
        ),
        (lambda c: c["pools"]["rtx"]["hosts"].update({"gpu-2": "192.0.2.7"}), ["gpu-2", "ssh-keyscan"]),
        (lambda c: c.update(worklods={}), ["worklods", "workloads"]),
    ],
    ids=["unknown key", "replicas 1", "misfit", "host key missing", "unknown section"],
)
def test_mistake_is_refused_before_anything_is_registered(in_project: Path, change, words: list[str]):
    config = copy.deepcopy(stack_config("dev"))
    change(config)
    with pytest.raises(pulumi.RunError) as refusal:
        g.run(config)
    for word in words:
        assert word in str(refusal.value)


def test_stack_outputs(dev: g.Graph):
    outputs = dev.exports
    assert set(outputs) == {"kubeconfig", "seen", "endpoint", "nodes", "versions", "look"}
    assert outputs["endpoint"] == "https://10.77.0.11:6443"
    assert outputs["nodes"]["gpu-1"] == {
        "role": "agent",
        "product": "NVIDIA-GeForce-RTX-2080-Ti",
        "cards": 1,
        "profile": "2080ti-12gb",
        "promised": {"nvidia.com/gpu": 6},
    }
    assert outputs["nodes"]["server-1"]["role"] == "server" and "cards" not in outputs["nodes"]["server-1"]
    assert asyncio.run(outputs["kubeconfig"].is_secret())
    # A command that writes the kubeconfig to a file lets no other user read it.
    assert all("umask 077" in line for line in outputs["look"].values() if ">" in line)
