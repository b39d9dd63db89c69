"""The whole graph, as design.md's section 3 draws it."""

import asyncio
import base64
import copy
import json
import shlex
from pathlib import Path

import asyncssh
import pulumi
import pytest
import yaml

import hostscripts
from rehearsal import graph as g
from rehearsal.planned import violations

from .conftest import stack_config

# The project's own; a user's stack files lie beside them and name files of theirs.
STACKS = ("dev", "single")


@pytest.fixture
def dev(in_project: Path) -> g.Graph:
    return g.run(stack_config("dev"))


@pytest.fixture
def three_agents(in_project: Path) -> g.Graph:
    return g.run(with_agents(3))


def with_agents(count: int, **k3s) -> dict:
    config = copy.deepcopy(stack_config("dev"))
    config["pools"]["rtx"]["hosts"] = {f"gpu-{n}": f"10.77.0.{20 + n}" for n in range(1, count + 1)}
    config["k3s"].update(k3s)
    return config


def commands(graph: g.Graph) -> list[g.Registered]:
    return [r for r in graph if r.type == "command:remote:Command"]


def changes(before: g.Graph, after: g.Graph) -> list[str]:
    """Names of resources whose inputs differ."""
    return sorted(r.name for r in before if r.inputs != after.resources[r.urn].inputs)


def test_names_and_tokens_are_those_of_the_design(dev: g.Graph):
    assert sorted((r.type, r.name) for r in dev) == sorted(
        [
            ("k3sgpu:index:K3sCluster", "cluster"),
            ("command:local:Command", "cluster-preflight"),
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
        # In the state before the join: a change after a half-failed install is a change.
        ("cluster-agent-gpu-1", "Command", {"cluster-upkeep-gpu-1"}),
        ("cluster-upkeep-gpu-1", "Command", {"cluster-preflight", "cluster-tokens", "cluster-clean-gpu-1"}),
        # What is deleted first depends on what is deleted later: pods away, k3s away, Node away.
        ("cluster-leave-gpu-1", "Command", {"cluster-agent-gpu-1", "cluster-clean-gpu-1"}),
        ("cluster-clean-gpu-1", "Command", {"cluster-forget-gpu-1"}),
        ("cluster-nodes", "Command", {"cluster-server-server-1", "cluster-agent-gpu-1"}),
        ("cluster", "kubernetes", {"cluster-kubeconfig"}),
        # Files and labels change after the pods have gone; they come back when the slices are there.
        ("gpu-profiles", "ConfigMap", {"gpu-profiles-vacated"}),
        ("gpu-sharing-gpu-1", "NodePatch", {"gpu-profiles-vacated"}),
        ("gpu-sharing-returned", "Command", {"gpu-sharing-ready", "gpu-profiles-vacated"}),
        # A teardown goes the other way: labels and patch, the Release with its hooks, the plugin's files.
        ("gpu-operator", "Release", {"gpu-profiles", "cluster"}),
        ("gpu-sharing", "ClusterPolicyPatch", {"gpu-sharing", "gpu-operator"}),
        ("gpu-sharing-gpu-1", "NodePatch", {"cluster-agent-gpu-1", "gpu-sharing"}),
        ("gpu-sharing-ready", "Command", {"gpu-sharing-gpu-1", "gpu-sharing"}),
        ("nvidia-plugin-test-2", "Deployment", {"gpu-sharing-ready"}),
    ],
)
def test_order(dev: g.Graph, resource: str, kind: str, needs: set[str]):
    assert needs <= dev.before(dev.of(resource, kind))


def test_at_first_nobody_is_moved(dev: g.Graph):
    for name in ("gpu-profiles-vacated", "gpu-sharing-returned"):
        assert "create" not in dev.of(name).inputs and "update" in dev.of(name).inputs
    assert dev.of("gpu-profiles-vacated").inputs["environment"] == {
        "K3SGPU_PROMISE": dev.of("gpu-sharing-ready").inputs["environment"]["K3SGPU_PROMISE"]
    }


def test_what_has_another_parent_today_is_known_under_its_former_one(dev: g.Graph):
    formerly = {"Namespace": ("GpuOperator", "gpu-operator"), "ConfigMap": ("GpuSharing", "gpu-sharing")}
    for kind, (component, name) in formerly.items():
        (alias,) = dev.of("gpu-profiles", kind).options.aliases
        parent = f"urn:pulumi:dev::k3s-gpu-sharing::k3sgpu:index:{component}::{name}"
        assert (alias.spec.name, alias.spec.parentUrn) == (name, parent)


def with_servers(count: int) -> dict:
    config = with_agents(2)
    config["pools"]["control"]["hosts"] = {f"server-{n}": f"10.77.0.{10 + n}" for n in range(1, count + 1)}
    config["k3s"].update(initialServer="server-2", registrationAddress="k3s.example.org")
    return config


def test_servers_come_and_go_strictly_one_after_another(in_project: Path):
    graph = g.run(with_servers(3))
    assert graph.before(graph.of("cluster-server-server-2")) == {
        "cluster",
        "cluster-preflight",
        "cluster-clean-server-2",
        "cluster-forget-server-2",
    }
    # Of two that leave, the second moves no pod before the first has left etcd.
    assert {"cluster-tokens", "cluster-server-server-2"} <= graph.before(graph.of("cluster-server-server-1"))
    assert {"cluster-server-server-1", "cluster-leave-server-1"} <= graph.before(
        graph.of("cluster-forget-server-3")
    )
    assert "cluster-forget-server-3" in graph.before(graph.of("cluster-clean-server-3"))
    for n in (1, 2):
        assert "cluster-server-server-3" in graph.before(graph.of(f"cluster-upkeep-gpu-{n}"))
        assert "cluster-upkeep-gpu-2" not in graph.before(graph.of("cluster-agent-gpu-1"))


def test_several_servers_share_tokens_and_are_found_at_one_address(in_project: Path):
    graph = g.run(with_servers(3))
    initial, other = (graph.of(f"cluster-server-server-{n}").inputs for n in (2, 1))
    assert (
        "DATABASE=first\n" in initial["create"] and "SERVERS='10.77.0.11 10.77.0.13'\n" in initial["create"]
    )
    assert "stdin" not in initial
    assert "DATABASE=copy\n" in other["create"] and "SERVERS='10.77.0.12 10.77.0.13'\n" in other["create"]
    assert other["stdin"] == g.Hidden(
        hostscripts.secret_lines(
            SERVER_TOKEN="K10aa::server:server-secret", AGENT_TOKEN="K10aa::node:agent-secret"
        )
    )
    for script in (initial["create"], other["create"]):
        assert "tls-san:\n- 10.77.0.1" in script and "\n- k3s.example.org\n" in script
    assert "server: https://k3s.example.org:6443\n" in graph.of("cluster-agent-gpu-1").inputs["create"]
    assert graph.of("cluster-agent-gpu-1").inputs["stdin"] == g.Hidden(
        hostscripts.secret_lines(AGENT_TOKEN="K10aa::node:agent-secret")
    )
    kubeconfig = yaml.safe_load(graph.of("cluster", "kubernetes").inputs["kubeconfig"].value)
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://k3s.example.org:6443"


def test_another_initial_server_changes_no_configuration_and_lets_nobody_leave(in_project: Path):
    """Nothing restarts for it: what is written to the machines stays the same text."""
    config = with_servers(3)
    before = g.run(config)
    config["k3s"]["initialServer"] = "server-3"
    after = g.run(config)
    assert before.resources.keys() == after.resources.keys()
    for graph, initial, other in ((before, 2, 1), (after, 3, 1)):
        ran_on = graph.of(f"cluster-leave-server-{initial}").inputs["connection"].value["host"]
        assert ran_on == f"10.77.0.1{other}"
    for n in (1, 2, 3):
        texts = [graph.of(f"cluster-server-server-{n}").inputs["create"] for graph in (before, after)]
        configs = [text.split("\nCONFIG=")[1].split("\nCLEAN=")[0] for text in texts]
        assert configs[0] == configs[1]


def test_agents_join_beside_each_other_and_change_one_after_another(three_agents: g.Graph):
    for n in (1, 2, 3):
        before = three_agents.before(three_agents.of(f"cluster-agent-gpu-{n}"))
        assert not {f"cluster-agent-gpu-{m}" for m in (1, 2, 3) if m != n} & before


@pytest.mark.parametrize(("lanes", "begun"), [(1, {1}), (2, {1, 2, 4}), (3, {1, 2, 3})])
def test_max_unavailable_makes_lanes_and_a_failure_ends_its_own(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, lanes: int, begun: set[int]
):
    asked: list[str] = []
    register = g.Recorder.RegisterResource

    def fails(self: g.Recorder, request):
        asked.append(request.name)
        if request.name == "cluster-upkeep-gpu-1":
            raise RuntimeError("gpu-1 has failed")
        return register(self, request)

    monkeypatch.setattr(g.Recorder, "RegisterResource", fails)
    with pytest.raises(RuntimeError, match="gpu-1 has failed"):
        g.run(with_agents(4, maxUnavailable=lanes))
    upkeeps = {name for name in asked if "upkeep" in name}
    assert upkeeps == {f"cluster-upkeep-gpu-{n}" for n in begun}


def test_a_long_lane_is_no_chain_of_dependencies(in_project: Path):
    """The SDK walks down every chain, on Python's stack: some hundred agents were too many for it."""
    graph = g.run(with_agents(3))
    assert "cluster-upkeep-gpu-1" not in graph.before(graph.of("cluster-upkeep-gpu-3"))


def test_upkeep_and_wards_cost_nothing_when_they_are_created(dev: g.Graph):
    for command in commands(dev):
        if any(word in command.name for word in ("clean", "leave", "forget")):
            returned = {"update"} if "forget" in command.name else set()
            assert set(command.inputs) & {"create", "update", "delete"} == {"delete", *returned}, command.name
        if "upkeep" in command.name:
            assert set(command.inputs) & {"create", "update", "delete"} == {"update"}


def test_a_running_agent_does_not_change_through_its_join(dev: g.Graph):
    join = dev.of("cluster-agent-gpu-1")
    assert list(join.options.ignoreChanges) == ["create", "stdin"]
    assert join.inputs["update"] == "true"


def test_wards_on_a_server_are_skipped_when_everything_goes(dev: g.Graph):
    for name in ("cluster-leave-gpu-1", "cluster-forget-gpu-1"):
        assert dev.of(name).options.deletedWith == dev.of("cluster-preflight").urn
    assert dev.of("cluster-clean-gpu-1").options.deletedWith == ""


def test_nothing_is_ever_replaced_by_a_trigger(dev: g.Graph):
    assert not [r.name for r in dev if "triggers" in r.inputs]


def test_commands_hide_what_is_secret(dev: g.Graph):
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


def test_agents_get_the_agent_token_and_no_script_holds_any(dev: g.Graph, in_project: Path):
    assert dev.of("cluster-agent-gpu-1").inputs["stdin"] == g.Hidden(
        hostscripts.secret_lines(AGENT_TOKEN="K10aa::node:agent-secret")
    )
    key = (in_project / ".rehearsal/id_ed25519").read_text().splitlines()[1]
    for resource in dev:
        open_text = json.dumps(
            {key: value for key, value in resource.inputs.items() if not isinstance(value, g.Hidden)},
            default=lambda hidden: "[secret]",
        )
        for secret in ("agent-secret", "server-secret", "a2V5LW9mLXRoZS1hZG1pbg", key):
            assert secret not in open_text, resource.name


def test_everything_in_the_cluster_uses_the_clusters_provider_and_goes_with_it(dev: g.Graph):
    provider = dev.of("cluster", "kubernetes").urn
    inside = [r for r in dev if r.type.startswith("kubernetes:")]
    assert inside
    for resource in inside:
        assert resource.provider.rsplit("::", 1)[0] == provider, resource.name
        assert resource.options.deletedWith == provider, resource.name


def test_provider_survives_another_kubeconfig(dev: g.Graph):
    inputs = dev.of("cluster", "kubernetes").inputs
    assert inputs["clusterIdentifier"] == "k3s-gpu-sharing-dev-cluster"
    assert inputs["enableConfigMapMutable"] in (True, "true")
    kubeconfig = yaml.safe_load(inputs["kubeconfig"].value)
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://10.77.0.11:6443"


def test_release_is_fixed_and_leaves_the_sharing_to_the_patch(dev: g.Graph):
    inputs = dev.of("gpu-operator", "Release").inputs
    assert (inputs["name"], inputs["version"]) == ("gpu-operator", "v26.3.3")
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
def test_the_articles_three_variants(in_project: Path, driver: str, toolkit: str, values: dict):
    config = stack_config("dev")
    config["gpuOperator"].update(driver=driver, toolkit=toolkit)
    chart = g.run(config).of("gpu-operator", "Release").inputs["values"]
    assert {part: chart[part]["enabled"] for part in values} == values
    sockets = [e["value"] for e in chart["toolkit"].get("env", []) if e["name"] == "CONTAINERD_SOCKET"]
    assert sockets == (["/run/k3s/containerd/containerd.sock"] if values["toolkit"] else [])


def test_sharing_is_one_config_map_one_patch_and_a_label_a_node(dev: g.Graph):
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


def test_a_changed_profile_moves_only_the_nodes_that_use_it(in_project: Path):
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


def test_gate_waits_for_every_promised_resource(dev: g.Graph):
    promise = json.loads(dev.of("gpu-sharing-ready").inputs["environment"]["K3SGPU_PROMISE"])
    nodes = {node["name"]: node for node in promise["nodes"]}
    assert nodes["gpu-1"]["resources"] == {"nvidia.com/gpu": 6}
    assert nodes["gpu-1"]["labels"]["nvidia.com/gpu.product"] == "NVIDIA-GeForce-RTX-2080-Ti-SHARED"
    assert nodes["gpu-1"]["labels"]["nvidia.com/gpu.replicas"] == "6"
    assert promise["timeoutSeconds"] > 0


def test_workload_is_the_articles_and_cannot_deadlock(dev: g.Graph):
    spec = dev.of("nvidia-plugin-test-2", "Deployment").inputs["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    pod = spec["template"]["spec"]
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    container = pod["containers"][0]
    assert container["image"] == "nvcr.io/nvidia/cloud-native/dcgm:4.6.0-1-ubuntu24.04"
    assert container["resources"] == {"limits": {"nvidia.com/gpu": "2"}}
    assert container["securityContext"] == {"capabilities": {"add": ["SYS_ADMIN"]}}


def test_a_workload_of_ones_own_gets_no_capability(in_project: Path):
    config = stack_config("dev")
    config["workloads"]["nvidia-plugin-test-2"]["image"] = "registry.example/mine:1"
    pod = g.run(config).of("nvidia-plugin-test-2", "Deployment").inputs["spec"]["template"]["spec"]
    assert not pod["containers"][0].get("securityContext")


def test_one_setting_of_k3s_changes_only_what_applies_it(in_project: Path):
    before = g.run(stack_config("dev"))
    config = stack_config("dev")
    config["k3s"]["kubeletArgs"] = {"max-pods": 200}
    after = g.run(config)
    assert changes(before, after) == [
        "cluster-agent-gpu-1",
        "cluster-server-server-1",
        "cluster-upkeep-gpu-1",
    ]


def test_how_pods_leave_before_an_upgrade_reaches_every_machine(in_project: Path):
    config = stack_config("dev")
    config["k3s"].update(drainOnPatch=True, drainTimeoutSeconds=77)
    graph = g.run(config)
    for script in (
        graph.of("cluster-server-server-1").inputs["create"],
        graph.of("cluster-upkeep-gpu-1").inputs["update"],
    ):
        assert "DRAIN_ON_PATCH=yes\n" in script and "DRAIN_TIMEOUT=77\n" in script


def test_labels_and_taints_are_the_servers_business_once_a_node_is_there(in_project: Path):
    config = stack_config("dev")
    config["workloads"] = {}
    before = g.run(config)
    config["pools"]["rtx"].update(
        labels={"zone": "a", "node-role.kubernetes.io/worker": ""},
        taints=["team=red:NoSchedule", "x:NoExecute"],
    )
    after = g.run(config)
    assert changes(before, after) == ["cluster-agent-gpu-1", "cluster-nodes", "cluster-upkeep-gpu-1"]
    script = after.of("cluster-upkeep-gpu-1").inputs["update"]
    assert "\nnode-label:\n- zone=a\n" in script and "- team=red:NoSchedule\n" in script
    assert "node-role.kubernetes.io/worker" not in script
    key = after.of("cluster-nodes").inputs["connection"].value["hostKey"]
    wanted = "gpu-1|node-role.kubernetes.io/worker=,zone=a|team=red:NoSchedule,x=:NoExecute"
    assert f"WANTED='server-1|||{key}\n{wanted}|{key}'\n" in after.of("cluster-nodes").inputs["create"]


def test_another_host_key_makes_room_for_the_machine_before_anything_runs_on_it(in_project: Path):
    before = g.run(stack_config("dev"))
    config = stack_config("dev")
    key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    config["pools"]["rtx"]["hosts"]["gpu-1"] = {"address": "10.77.0.21", "hostKey": key}
    after = g.run(config)
    assert {"cluster-forget-gpu-1", "cluster-upkeep-gpu-1", "cluster-nodes"} <= set(changes(before, after))
    assert "cluster-forget-gpu-1" in after.before(after.of("cluster-upkeep-gpu-1"))
    assert f"HOST_KEY='{key}'\n" in after.of("cluster-forget-gpu-1").inputs["update"]
    assert "HOST_KEY=''\n" in after.of("cluster-forget-gpu-1").inputs["delete"]


def test_a_dead_server_leaves_without_being_asked(in_project: Path):
    config = with_servers(3)
    before = g.run(config)
    config["pools"]["control"]["hosts"]["server-3"] = {"address": "10.77.0.13", "gone": True}
    config["k3s"]["protect"] = True
    after = g.run(config)
    assert before.resources.keys() == after.resources.keys() - {after.of("guard").urn} | {
        before.of("guard").urn
    }
    for job in ("clean", "server", "leave"):
        options = after.of(f"cluster-{job}-server-3").options
        assert options.retainOnDelete and not options.protect and "delete" in options.ignoreChanges
    forget = after.of("cluster-forget-server-3")
    assert forget.inputs["connection"].value["host"] == "10.77.0.12" and not forget.options.retainOnDelete
    # etcd takes no new member beside a dead one.
    assert "cluster-forget-server-3" in after.before(after.of("cluster-server-server-2"))
    assert "10.77.0.13" not in after.of("cluster-preflight").inputs["environment"]["K3SGPU_INVENTORY"]


def test_another_generation_looks_and_reads_again(in_project: Path):
    before = g.run(stack_config("dev"))
    config = stack_config("dev")
    config["k3s"]["generation"] = 1
    after = g.run(config)
    assert changes(before, after) == [
        "cluster-agent-gpu-1",  # its create, which is ignored
        "cluster-kubeconfig",
        "cluster-nodes",
        "cluster-preflight",
        "cluster-server-server-1",
        "cluster-upkeep-gpu-1",
    ]


def test_a_key_that_only_servers_understand_touches_no_agent(in_project: Path):
    before = g.run(stack_config("dev"))
    config = stack_config("dev")
    config["k3s"]["config"] = {"kube-apiserver-arg": ["v=2"]}
    assert changes(before, g.run(config)) == ["cluster-server-server-1"]
    # Doctor looks whether the machines can have it: which port and kernel module depends on it.
    config["k3s"] = {**stack_config("dev")["k3s"], "flannelBackend": "host-gw"}
    assert changes(before, g.run(config)) == ["cluster-preflight", "cluster-server-server-1"]


def given(graph: g.Graph, resource: str) -> dict[str, str]:
    """By name: what a machine is given on its standard input."""
    lines = graph.of(resource).inputs["stdin"].value.splitlines()
    return {name: base64.b64decode(text).decode() for name, _, text in (one.partition("=") for one in lines)}


def test_registries_and_proxy_reach_every_node_and_keys_of_a_bucket_servers_alone(in_project: Path):
    config = with_servers(3)
    config["k3s"].update(
        registries={"mirrors": {"docker.io": {"endpoints": ["https://mirror.example.org"]}}},
        proxy={"https": "http://lab@proxy.example.org:3128"},
        snapshots={"s3": {"bucket": "k3s"}},
    )
    login = {"username": "u", "password": "registry-secret"}
    secrets = {
        "registryCredentials": json.dumps({"mirror.example.org": login}),
        "proxyPassword": "proxy-secret",
        "s3AccessKey": "access-key",
        "s3SecretKey": "bucket-secret",
    }
    graph = g.run(config, secrets=secrets)
    names = {"REGISTRIES", "ENVIRONMENT"}
    initial, other, agent = (
        given(graph, f"cluster-{one}") for one in ("server-server-2", "server-server-1", "upkeep-gpu-1")
    )
    assert initial.keys() == names | {"SERVER_CONFIG"}
    assert other.keys() == names | {"SERVER_CONFIG", "SERVER_TOKEN", "AGENT_TOKEN"}
    assert agent.keys() == names | {"AGENT_TOKEN"}
    assert yaml.safe_load(agent["REGISTRIES"])["configs"] == {"mirror.example.org": {"auth": login}}
    assert "HTTPS_PROXY=http://lab:proxy-secret@proxy.example.org:3128\n" in agent["ENVIRONMENT"]
    assert "bucket-secret" in initial["SERVER_CONFIG"]
    assert "etcd-s3-bucket: k3s\n" in graph.of("cluster-server-server-1").inputs["create"]
    for resource in graph:
        for secret in ("registry-secret", "proxy-secret", "bucket-secret"):
            assert secret not in str(resource.inputs), resource.name
    assert json.loads(graph.of("cluster-preflight").inputs["stdin"].value) == {}


def test_a_pools_kubelets_are_its_own(in_project: Path):
    before = g.run(with_agents(2))
    config = with_agents(2)
    config["pools"]["rtx"]["hosts"]["gpu-2"] = {"address": "10.77.0.22", "kubeletArgs": {"max-pods": 200}}
    after = g.run(config)
    assert changes(before, after) == ["cluster-agent-gpu-2", "cluster-upkeep-gpu-2"]
    assert "kubelet-arg:\n- max-pods=200\n" in after.of("cluster-upkeep-gpu-2").inputs["update"]


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("known", [True, False], ids=["kubeconfig known", "kubeconfig unknown"])
def test_every_stack_file_builds_the_whole_graph(in_project: Path, stack: str, known: bool):
    graph = g.run(stack_config(stack), stack=stack, kubeconfig_known=known)
    deployments = {r.name for r in graph if r.type.endswith(":Deployment")}
    assert deployments == set(stack_config(stack)["workloads"])


@pytest.mark.parametrize("stack", STACKS)
def test_no_policy_is_broken(in_project: Path, stack: str):
    config = stack_config(stack)
    config["k3s"]["protect"] = True
    graph = g.run(config, stack="lab")
    assert not violations(graph)
    graph.of("cluster-server-server-1" if stack == "dev" else "cluster-server-box-1").options.protect = False
    assert [told.partition(":")[0] for told in violations(graph)] == ["protected-servers"]


def test_no_policy_is_broken_by_a_password_for_sudo(in_project: Path):
    config = stack_config("dev")
    config["ssh"]["user"] = "ubuntu"
    assert not violations(g.run(config, secrets={"sudoPassword": "correct horse"}))


def test_no_policy_is_broken_by_a_host_that_is_gone(in_project: Path):
    config = with_agents(2)
    config["pools"]["rtx"]["hosts"]["gpu-2"] = {"address": "192.0.2.9", "gone": True}
    assert not violations(g.run(config))


def test_protection_covers_the_server_what_would_clean_it_and_by_the_guard_everything(in_project: Path):
    config = stack_config("dev")
    assert not [r.name for r in g.run(config) if r.options.protect]
    config["k3s"]["protect"] = True
    graph = g.run(config)
    guarded = {r.name for r in graph if r.options.protect}
    assert guarded == {"cluster-server-server-1", "cluster-clean-server-1", "guard"}
    assert graph.before(graph.of("guard")) == {r.name for r in graph} - {"guard"}


def test_without_the_operator_the_cluster_is_bare(in_project: Path):
    config = stack_config("dev")
    config["gpuOperator"]["enabled"] = False
    config["workloads"] = {}
    kinds = {resource.type for resource in g.run(config)}
    assert "k3sgpu:index:K3sCluster" in kinds
    assert not any("kubernetes:core" in kind or "helm" in kind for kind in kinds)


def test_names_are_dns_labels(three_agents: g.Graph):
    for resource in three_agents:
        assert len(resource.name) <= 63 and resource.name == resource.name.lower()


def test_a_secret_key_instead_of_a_file(in_project: Path, key_pair: Path):
    config = stack_config("dev")
    del config["ssh"]["privateKeyFile"]
    graph = g.run(config, secrets={"sshPrivateKey": key_pair.read_text()})
    connection = graph.of("cluster-agent-gpu-1").inputs["connection"].value
    assert connection["privateKey"] == key_pair.read_text()
    told = graph.of("cluster-preflight").inputs["stdin"]
    assert json.loads(told.value) == {"sshPrivateKey": key_pair.read_text()}


def test_a_login_that_is_not_root_runs_everything_under_sudo(in_project: Path):
    config = stack_config("dev")
    config["ssh"]["user"] = "ubuntu"
    for command in commands(g.run(config)):
        texts = [command.inputs[key] for key in ("create", "update", "delete") if key in command.inputs]
        assert all(text.startswith("exec sudo -n /bin/sh -c ") for text in texts)


def test_sudos_password_goes_through_secret_stdin_alone(in_project: Path):
    config = stack_config("dev")
    config["pools"]["rtx"]["hosts"]["gpu-1"] = {"address": "10.77.0.21", "user": "ubuntu"}
    graph = g.run(config, secrets={"sudoPassword": "sesame"})
    assert json.loads(graph.of("cluster-preflight").inputs["stdin"].value) == {"sudoPassword": "sesame"}
    for name in ("agent-gpu-1", "upkeep-gpu-1", "clean-gpu-1"):
        command = graph.of(f"cluster-{name}")
        token = hostscripts.secret_lines(AGENT_TOKEN="K10aa::node:agent-secret")
        token = "" if name == "clean-gpu-1" else token
        assert command.inputs["stdin"] == g.Hidden(f"sesame\n{hostscripts.END_OF_PASSWORD}\n{token}")
        texts = [command.inputs[key] for key in ("create", "update", "delete") if key in command.inputs]
        assert all(text.startswith("exec sudo -k -S -p '' /bin/sh -c ") for text in texts)
        assert "sesame" not in "".join(texts)
    # The server's login is root: it needs none, and is sent none.
    assert all("stdin" not in command.inputs for command in commands(graph) if "server" in command.name)
    assert "stdin" not in graph.of("cluster-leave-gpu-1").inputs


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
def test_a_mistake_stops_the_program_before_anything_is_registered(
    in_project: Path, change, words: list[str]
):
    config = copy.deepcopy(stack_config("dev"))
    change(config)
    with pytest.raises(pulumi.RunError) as refusal:
        g.run(config)
    for word in words:
        assert word in str(refusal.value)


def test_every_command_goes_through_the_bastion_whose_key_is_checked_too(in_project: Path, host_key: str):
    config = stack_config("dev")
    config["ssh"]["bastion"] = {"address": "bastion.example.org", "user": "me", "hostKey": host_key}
    graph = g.run(config)
    for command in commands(graph):
        connection = command.inputs["connection"].value
        proxy = connection["proxy"]
        assert (proxy["host"], proxy["user"], proxy["port"]) == ("bastion.example.org", "me", 22)
        assert proxy["hostKey"] == host_key and proxy["privateKey"] == connection["privateKey"]
    told = json.loads(graph.of("cluster-preflight").inputs["environment"]["K3SGPU_INVENTORY"])
    assert told["bastion"]["hostKey"] == host_key
    assert {host["jump"] for host in told["hosts"]} == {"me@bastion.example.org:22"}


def test_a_passphrase_goes_along_with_a_key_that_has_one_and_with_no_other(in_project: Path, key_pair: Path):
    key = asyncssh.import_private_key(key_pair.read_text())
    config = stack_config("dev")
    (in_project / "locked").write_bytes(key.export_private_key(passphrase="sesame"))
    config["pools"]["rtx"]["privateKeyFile"] = "locked"
    graph = g.run(config, secrets={"sshPrivateKeyPassphrase": "sesame"})
    agent = graph.of("cluster-agent-gpu-1").inputs["connection"].value
    assert agent["privateKeyPassword"] == "sesame" and "ENCRYPTED" not in agent["privateKey"]
    assert "privateKeyPassword" not in graph.of("cluster-server-server-1").inputs["connection"].value


def test_an_agents_keys_leave_nothing_in_the_connection_that_differs_tomorrow(in_project: Path, monkeypatch):
    config = stack_config("dev")
    del config["ssh"]["privateKeyFile"]
    config["ssh"]["agent"] = True
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/ssh-today/agent.1")
    connection = g.run(config).of("cluster-agent-gpu-1").inputs["connection"].value
    assert not {"privateKey", "privateKeyPassword", "agentSocketPath"} & set(connection)


def test_nodes_meet_at_node_ip_and_the_world_at_address(in_project: Path):
    config = stack_config("dev")
    config["pools"]["control"]["hosts"]["server-1"] = {
        "address": "10.77.0.11",
        "nodeIp": "192.168.7.1",
        "externalIp": "203.0.113.1",
    }
    graph = g.run(config)
    server = shlex.split(graph.of("cluster-server-server-1").inputs["create"], comments=True)
    text = next(word for word in server if word.startswith("CONFIG=")).removeprefix("CONFIG=")
    told = yaml.safe_load(text)
    assert (told["node-ip"], told["node-external-ip"]) == ("192.168.7.1", "203.0.113.1")
    assert told["tls-san"] == ["10.77.0.11", "192.168.7.1", "203.0.113.1"]
    assert "https://192.168.7.1:6443" in graph.of("cluster-agent-gpu-1").inputs["create"]


def test_a_host_that_is_gone_is_asked_nothing_and_its_node_is_forgotten(in_project: Path):
    config = with_agents(2)
    config["pools"]["rtx"]["hosts"]["gpu-2"] = {"address": "192.0.2.9", "gone": True}  # no host key is known
    graph = g.run(config)
    for job in ("clean", "upkeep", "agent", "leave"):
        command = graph.of(f"cluster-{job}-gpu-2")
        assert command.options.retainOnDelete, job
        assert {"connection", "create", "update", "delete", "stdin"} <= set(command.options.ignoreChanges), (
            job
        )
        assert not {"create", "update", "delete"} & set(command.inputs), job
    forget = graph.of("cluster-forget-gpu-2").inputs
    assert "create" not in forget and forget["update"] == forget["delete"]
    assert not graph.of("cluster-forget-gpu-2").options.retainOnDelete
    told = graph.of("cluster-preflight").inputs["environment"]["K3SGPU_INVENTORY"]
    assert "gpu-2" not in told


def test_the_labels_of_a_dead_node_leave_the_state_without_a_word(in_project: Path):
    """The end of a NodePatch applies its target: the Node that was just deleted would be there again."""
    config = with_agents(2)
    config["pools"]["rtx"]["hosts"]["gpu-2"] = {"address": "192.0.2.9", "gone": True}
    config["pools"]["control"]["hosts"]["server-3"] = {"address": "192.0.2.13", "gone": True}  # has no GPU
    graph = g.run(config)
    patch = graph.of("gpu-sharing-gpu-2")
    assert patch.options.retainOnDelete and list(patch.options.ignoreChanges) == ["metadata"]
    metadata = patch.inputs["metadata"]
    assert metadata["name"] == "gpu-1" and not metadata["labels"]
    assert "cluster-agent-gpu-1" in graph.before(patch)
    assert "gpu-sharing-server-3" not in {resource.name for resource in graph}


def test_what_a_stack_tells(dev: g.Graph):
    told = dev.exports
    assert set(told) == {"kubeconfig", "seen", "endpoint", "nodes", "versions", "look"}
    assert told["endpoint"] == "https://10.77.0.11:6443"
    assert told["nodes"]["gpu-1"] == {
        "role": "agent",
        "product": "NVIDIA-GeForce-RTX-2080-Ti",
        "cards": 1,
        "profile": "2080ti-12gb",
        "promised": {"nvidia.com/gpu": 6},
    }
    assert told["nodes"]["server-1"]["role"] == "server" and "cards" not in told["nodes"]["server-1"]
    assert asyncio.run(told["kubeconfig"].is_secret())
    # What writes the kubeconfig to a file lets nobody else read it.
    assert all("umask 077" in line for line in told["look"].values() if ">" in line)
