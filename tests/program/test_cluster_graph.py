"""The graph of the hosts: servers one after another, agents in parallel, removed and lost hosts."""

import json
import re
from pathlib import Path

import asyncssh
import pytest
import yaml

from components import sdk_workarounds
from k3sgpu.handoff import environment
from k3sgpu.hosts import scripts
from tests.program.conftest import stack_config
from tests.program.graphs import changes, commands, script, stdin_secrets, with_agents, with_servers
from tools import mocked_program as g


@pytest.fixture
def three_agents(in_project: Path) -> g.Graph:
    return g.run(with_agents(3))


def test_servers_are_added_and_removed_one_after_another(in_project: Path):
    graph = g.run(with_servers(3))
    assert graph.before(graph.of("cluster-server-server-2")) == {
        "cluster",
        "cluster-preflight",
        "cluster-stage",
        "cluster-clean-server-2",
        "cluster-forget-server-2",
    }
    # When two are removed, the drain of the second follows the removal of the first from etcd.
    assert {"cluster-tokens", "cluster-server-server-2"} <= graph.before(graph.of("cluster-server-server-1"))
    assert {"cluster-server-server-1", "cluster-leave-server-1"} <= graph.before(
        graph.of("cluster-forget-server-3")
    )
    assert "cluster-forget-server-3" in graph.before(graph.of("cluster-clean-server-3"))
    for n in (1, 2):
        assert "cluster-server-server-3" in graph.before(graph.of(f"cluster-upkeep-gpu-{n}"))
        assert "cluster-upkeep-gpu-2" not in graph.before(graph.of("cluster-agent-gpu-1"))


def test_several_servers_share_tokens_and_one_address(in_project: Path):
    graph = g.run(with_servers(3))
    initial, other = (script(graph, f"cluster-server-server-{n}") for n in (2, 1))
    assert "DATABASE=first\n" in initial and "SERVERS='10.77.0.11 10.77.0.13'\n" in initial
    assert "stdin" not in graph.of("cluster-server-server-2").inputs
    assert "DATABASE=copy\n" in other and "SERVERS='10.77.0.12 10.77.0.13'\n" in other
    assert graph.of("cluster-server-server-1").inputs["stdin"] == g.Hidden(
        scripts.secret_lines(
            SERVER_TOKEN="K10aa::server:server-secret", AGENT_TOKEN="K10aa::node:agent-secret"
        )
    )
    for text in (initial, other):
        assert "tls-san:\n- 10.77.0.1" in text and "\n- k3s.example.org\n" in text
    assert "server: https://k3s.example.org:6443\n" in graph.of("cluster-agent-gpu-1").inputs["create"]
    assert graph.of("cluster-agent-gpu-1").inputs["stdin"] == g.Hidden(
        scripts.secret_lines(AGENT_TOKEN="K10aa::node:agent-secret")
    )
    kubeconfig = yaml.safe_load(graph.of("cluster", "kubernetes").inputs["kubeconfig"].value)
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://k3s.example.org:6443"


@pytest.mark.parametrize(
    ("address", "answering"),
    [
        ("10.77.0.12", "server-2"),
        ("10.77.0.11", "server-1"),
        ("10.77.0.13", "server-3"),
        ("192.168.7.1", "server-1"),
        ("203.0.113.1", "server-1"),
        ("k3s.example.org", "server-3"),
        ("10.77.0.99", "server-3"),
    ],
)
def test_what_uses_the_api_waits_for_the_server_behind_its_address(
    in_project: Path, address: str, answering: str
):
    """server-2 is the initial one, and server-3 the last one."""
    config = with_servers(3)
    config["k3s"]["registrationAddress"] = address
    config["pools"]["control"]["hosts"]["server-1"] = {
        "address": "10.77.0.11",
        "nodeIp": "192.168.7.1",
        "externalIp": "203.0.113.1",
    }
    graph = g.run(config)
    servers = {f"cluster-server-server-{n}" for n in (1, 2, 3)}
    waits = graph.before(graph.of("cluster-kubeconfig")) & servers
    order = [f"cluster-server-server-{n}" for n in (2, 1, 3)]
    assert waits == set(order[: order.index(f"cluster-server-{answering}") + 1])
    assert "cluster-kubeconfig" in graph.before(graph.of("cluster", "kubernetes"))


def test_another_initial_server_changes_no_configuration_and_removes_nothing(in_project: Path):
    """Nothing restarts, because the hosts' configuration stays the same text."""
    config = with_servers(3)
    before = g.run(config)
    config["k3s"]["initialServer"] = "server-3"
    after = g.run(config)
    assert before.resources.keys() == after.resources.keys()
    for graph, initial, other in ((before, 2, 1), (after, 3, 1)):
        ran_on = graph.of(f"cluster-leave-server-{initial}").inputs["connection"].value["host"]
        assert ran_on == f"10.77.0.1{other}"
    for n in (1, 2, 3):
        texts = [script(graph, f"cluster-server-server-{n}") for graph in (before, after)]
        configs = [text.split("\nCONFIG=")[1].split("\nsha256=")[0] for text in texts]
        assert configs[0] == configs[1]


def test_agents_join_in_parallel(three_agents: g.Graph):
    for n in (1, 2, 3):
        before = three_agents.before(three_agents.of(f"cluster-agent-gpu-{n}"))
        assert not {f"cluster-agent-gpu-{m}" for m in (1, 2, 3) if m != n} & before


@pytest.mark.parametrize(("max_unavailable", "never"), [(1, {2, 3, 4}), (2, {3}), (3, {4})])
def test_failed_agent_update_stops_only_agents_that_wait_for_it(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, max_unavailable: int, never: set[int]
):
    asked: list[str] = []
    register = g.RecordingMonitor.RegisterResource

    def fails(self: g.RecordingMonitor, request):
        asked.append(request.name)
        if request.name == "cluster-upkeep-gpu-1":
            raise RuntimeError("gpu-1 has failed")
        return register(self, request)

    monkeypatch.setattr(g.RecordingMonitor, "RegisterResource", fails)
    with pytest.raises(RuntimeError, match="gpu-1 has failed"):
        g.run(with_agents(4, maxUnavailable=max_unavailable))
    assert "cluster-upkeep-gpu-1" in asked
    assert not {f"cluster-upkeep-gpu-{n}" for n in never} & set(asked)


def test_agent_updates_do_not_depend_on_each_other(in_project: Path):
    """The SDK follows dependencies recursively, and some hundred agents are too many for Python's stack."""
    graph = g.run(with_agents(3))
    assert "cluster-upkeep-gpu-1" not in graph.before(graph.of("cluster-upkeep-gpu-3"))


def test_agent_updates_and_teardown_commands_run_nothing_when_created(dev: g.Graph):
    for command in commands(dev):
        if any(word in command.name for word in ("clean", "leave", "forget")):
            returned = {"update"} if "forget" in command.name else set()
            assert set(command.inputs) & {"create", "update", "delete"} == {"delete", *returned}, command.name
        if "upkeep" in command.name:
            assert set(command.inputs) & {"create", "update", "delete"} == {"update"}


def test_running_agent_is_not_changed_by_its_join(dev: g.Graph):
    join = dev.of("cluster-agent-gpu-1")
    assert list(join.options.ignoreChanges) == ["create", "stdin"]
    assert join.inputs["update"] == "true"


def test_teardown_commands_on_servers_are_skipped_by_a_full_destroy(dev: g.Graph):
    for name in ("cluster-leave-gpu-1", "cluster-forget-gpu-1"):
        assert dev.of(name).options.deletedWith == dev.of("cluster-preflight").urn
    assert dev.of("cluster-clean-gpu-1").options.deletedWith == ""


def test_agents_get_the_agent_token_and_scripts_hold_no_secret(dev: g.Graph, in_project: Path):
    assert dev.of("cluster-agent-gpu-1").inputs["stdin"] == g.Hidden(
        scripts.secret_lines(AGENT_TOKEN="K10aa::node:agent-secret")
    )
    key = (in_project / ".rehearsal/id_ed25519").read_text().splitlines()[1]
    for resource in dev:
        open_text = json.dumps(
            {key: value for key, value in resource.inputs.items() if not isinstance(value, g.Hidden)},
            default=lambda hidden: "[secret]",
        )
        for secret in ("agent-secret", "server-secret", "a2V5LW9mLXRoZS1hZG1pbg", key):
            assert secret not in open_text, resource.name


def test_changed_k3s_setting_changes_only_converge_and_the_gate(in_project: Path):
    before = g.run(stack_config("dev"))
    config = stack_config("dev")
    config["k3s"]["kubeletArgs"] = {"max-pods": 200}
    after = g.run(config)
    assert changes(before, after) == [
        "cluster-agent-gpu-1",
        "cluster-server-server-1",
        "cluster-upkeep-gpu-1",
        "gpu-sharing-ready",
    ]


def test_drain_settings_reach_every_host(in_project: Path):
    config = stack_config("dev")
    config["k3s"].update(drainOnPatch=True, drainTimeoutSeconds=77)
    graph = g.run(config)
    for text in (
        script(graph, "cluster-server-server-1"),
        script(graph, "cluster-upkeep-gpu-1", "update"),
    ):
        assert "DRAIN_ON_PATCH=yes\n" in text and "DRAIN_TIMEOUT=77\n" in text


def test_changed_labels_and_taints_are_set_by_the_initial_server(in_project: Path):
    config = stack_config("dev")
    config["workloads"] = {}
    before = g.run(config)
    config["pools"]["rtx"].update(
        labels={"zone": "a", "node-role.kubernetes.io/worker": ""},
        taints=["team=red:NoSchedule", "x:NoExecute"],
    )
    after = g.run(config)
    operator = ["gpu-operator", "gpu-sharing-ready"]  # which tolerates the taints
    commands = ["cluster-agent-gpu-1", "cluster-nodes", "cluster-upkeep-gpu-1"]
    assert changes(before, after) == [*commands, *operator]
    tolerated = after.of("gpu-operator", "Release").inputs["values"]["daemonsets"]["tolerations"]
    assert [one["key"] for one in tolerated] == ["nvidia.com/gpu", "team", "x"]
    text = script(after, "cluster-upkeep-gpu-1", "update")
    assert "\nnode-label:\n- zone=a\n" in text and "- team=red:NoSchedule\n" in text
    assert "node-role.kubernetes.io/worker" not in text
    key = after.of("cluster-nodes").inputs["connection"].value["hostKey"]
    wanted = "gpu-1|node-role.kubernetes.io/worker=,zone=a|team=red:NoSchedule,x=:NoExecute"
    assert f"WANTED='server-1|||{key}\n{wanted}|{key}'\n" in script(after, "cluster-nodes")


def test_another_host_key_deletes_the_old_node_before_converge(in_project: Path):
    before = g.run(stack_config("dev"))
    config = stack_config("dev")
    key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    config["pools"]["rtx"]["hosts"]["gpu-1"] = {"address": "10.77.0.21", "hostKey": key}
    after = g.run(config)
    assert {"cluster-forget-gpu-1", "cluster-upkeep-gpu-1", "cluster-nodes"} <= set(changes(before, after))
    assert "cluster-forget-gpu-1" in after.before(after.of("cluster-upkeep-gpu-1"))
    assert f"HOST_KEY='{key}'\n" in script(after, "cluster-forget-gpu-1", "update")
    assert "HOST_KEY=''\n" in script(after, "cluster-forget-gpu-1", "delete")


def test_lost_server_is_removed_without_being_contacted(in_project: Path):
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
    # etcd accepts no new member beside a dead one.
    assert "cluster-forget-server-3" in after.before(after.of("cluster-server-server-2"))
    assert "10.77.0.13" not in after.of("cluster-preflight").inputs["environment"]["K3SGPU_INVENTORY"]


def test_raised_generation_checks_converges_and_reads_again(in_project: Path):
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
        "cluster-stage",
        "cluster-upkeep-gpu-1",
        "gpu-sharing-ready",
    ]


def test_setting_for_servers_only_changes_no_agent(in_project: Path):
    before = g.run(stack_config("dev"))
    config = stack_config("dev")
    config["k3s"]["config"] = {"kube-apiserver-arg": ["v=2"]}
    assert changes(before, g.run(config)) == ["cluster-server-server-1"]
    # Doctor checks the port and the kernel module that it needs.
    config["k3s"] = {**stack_config("dev")["k3s"], "flannelBackend": "host-gw"}
    assert changes(before, g.run(config)) == ["cluster-preflight", "cluster-server-server-1"]


def test_registry_and_proxy_secrets_reach_all_nodes_bucket_keys_only_servers(in_project: Path):
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
        stdin_secrets(graph, f"cluster-{one}")
        for one in ("server-server-2", "server-server-1", "upkeep-gpu-1")
    )
    assert initial.keys() == names | {"SERVER_CONFIG"}
    assert other.keys() == names | {"SERVER_CONFIG", "SERVER_TOKEN", "AGENT_TOKEN"}
    assert agent.keys() == names | {"AGENT_TOKEN"}
    assert yaml.safe_load(agent["REGISTRIES"])["configs"] == {"mirror.example.org": {"auth": login}}
    assert "HTTPS_PROXY=http://lab:proxy-secret@proxy.example.org:3128\n" in agent["ENVIRONMENT"]
    assert "bucket-secret" in initial["SERVER_CONFIG"]
    assert "etcd-s3-bucket: k3s\n" in graph.of("cluster-server-server-1").inputs["create"]
    for resource in graph:
        visible = str([value for value in resource.inputs.values() if not isinstance(value, g.Hidden)])
        for secret in ("registry-secret", "proxy-secret", "bucket-secret"):
            assert secret not in visible, resource.name
    assert json.loads(graph.of("cluster-preflight").inputs["stdin"].value) == {}


def test_servers_of_an_external_database_create_and_join_no_etcd(in_project: Path):
    secrets = {
        "datastoreEndpoint": "postgres://k3s:database-secret@10.0.0.9:5432/k3s",
        "vpnAuth": "name=tailscale,joinKey=vpn-secret",
    }
    graph = g.run(with_servers(2), secrets=secrets)
    for server in ("server-server-2", "server-server-1"):
        script = graph.of(f"cluster-{server}").inputs["create"]
        assert "EXTERNAL_DATABASE=yes\n" in script and "cluster-init: true\nnode" not in script
    initial, other, agent = (
        stdin_secrets(graph, f"cluster-{one}")
        for one in ("server-server-2", "server-server-1", "upkeep-gpu-1")
    )
    assert initial.keys() == {"NODE_CONFIG", "SERVER_CONFIG"}
    assert other.keys() == {"NODE_CONFIG", "SERVER_CONFIG", "SERVER_TOKEN", "AGENT_TOKEN"}
    assert agent.keys() == {"NODE_CONFIG", "AGENT_TOKEN"}
    assert "cluster-server-server-2" in graph.before(graph.of("cluster-server-server-1"))
    for resource in graph:
        for secret in ("database-secret", "vpn-secret"):
            assert secret not in str(resource.inputs), resource.name


def test_what_grows_with_hosts_is_registered_without_stack_trace(in_project: Path):
    """The call stack of the program would be 2 KB of the state for each of some thousand resources."""
    for resource in g.run(with_agents(2)):
        if resource.type in ("command:remote:Command", "kubernetes:core/v1:NodePatch"):
            assert not resource.options.stackTrace.frames, resource.name


def test_long_variable_is_split_into_several(in_project: Path, monkeypatch):
    """Linux starts no program with a variable of more than 128 KiB: the inventory of some 350 hosts."""
    whole = g.run(stack_config("dev")).of("cluster-preflight").inputs["environment"]
    monkeypatch.setattr(environment, "MAX_CHARACTERS", 500)
    variables = g.run(stack_config("dev")).of("cluster-preflight").inputs["environment"]
    assert len(variables) > len(whole) and max(map(len, variables.values())) <= 500
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    assert environment.read_variable("K3SGPU_INVENTORY") == whole["K3SGPU_INVENTORY"]


def test_labels_of_many_nodes_are_set_in_several_scripts(in_project: Path, monkeypatch):
    monkeypatch.setattr(sdk_workarounds, "NODES_PER_SCRIPT", 2)
    graph = g.run(with_agents(3))
    texts = [script(graph, f"cluster-{name}") for name in ("nodes", "nodes-2")]
    nodes = [re.findall(r"^(?:WANTED=')?([a-z]+-\d)\|", text, re.MULTILINE) for text in texts]
    assert nodes == [["server-1", "gpu-1"], ["gpu-2", "gpu-3"]]


def test_long_labels_are_set_in_several_scripts(in_project: Path, monkeypatch):
    """Linux takes no argument of more than 128 KiB, and a host's script is one."""
    monkeypatch.setattr(sdk_workarounds, "BYTES_PER_SCRIPT", 2500)
    config = with_agents(3)
    config["pools"]["rtx"]["labels"] = {f"example.org/{number}": "v" * 60 for number in range(12)}
    graph = g.run(config)
    texts = [graph.of(f"cluster-{name}").inputs["create"] for name in ("nodes", "nodes-3")]
    assert ["gpu-2|" in text for text in texts] == [True, False] and "gpu-3|" in texts[1]


def test_preflight_cache_is_a_secret(three_agents: g.Graph):
    preflight = three_agents.of("cluster-preflight")
    assert preflight.inputs["addPreviousOutputInEnv"] is True and preflight.inputs["logging"] == "stderr"
    assert preflight.options.additionalSecretOutputs == ["stdout"]


def test_kubelet_arguments_of_a_host_change_only_that_host(in_project: Path):
    before = g.run(with_agents(2))
    config = with_agents(2)
    config["pools"]["rtx"]["hosts"]["gpu-2"] = {"address": "10.77.0.22", "kubeletArgs": {"max-pods": 200}}
    after = g.run(config)
    assert changes(before, after) == ["cluster-agent-gpu-2", "cluster-upkeep-gpu-2", "gpu-sharing-ready"]
    assert "kubelet-arg:\n- max-pods=200\n" in after.of("cluster-upkeep-gpu-2").inputs["update"]


def test_names_are_dns_labels(three_agents: g.Graph):
    for resource in three_agents:
        assert len(resource.name) <= 63 and resource.name == resource.name.lower()


def test_lost_host_is_not_contacted_and_its_node_is_deleted(in_project: Path):
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
    inventory = graph.of("cluster-preflight").inputs["environment"]["K3SGPU_INVENTORY"]
    assert "gpu-2" not in inventory


def test_labels_of_a_lost_node_are_removed_without_an_api_request(in_project: Path):
    """The delete of a NodePatch applies its target: the Node that was just deleted would be created again."""
    config = with_agents(2)
    config["pools"]["rtx"]["hosts"]["gpu-2"] = {"address": "192.0.2.9", "gone": True}
    config["pools"]["control"]["hosts"]["server-3"] = {"address": "192.0.2.13", "gone": True}  # without a GPU
    graph = g.run(config)
    patch = graph.of("gpu-sharing-gpu-2")
    assert patch.options.retainOnDelete and list(patch.options.ignoreChanges) == ["metadata"]
    metadata = patch.inputs["metadata"]
    assert metadata["name"] == "gpu-1" and not metadata["labels"]
    assert "cluster-agent-gpu-1" in graph.before(patch)
    assert "gpu-sharing-server-3" not in {resource.name for resource in graph}
