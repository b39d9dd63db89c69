"""The connections of the graph's Commands."""

import json
import shlex
from pathlib import Path
from typing import Any

import asyncssh
import yaml

from k3sgpu import settings as s
from k3sgpu.hosts import scripts
from tests.program.conftest import stack_config
from tests.program.graphs import commands, script
from tools import mocked_program as g


def test_secret_private_key_is_used_instead_of_a_file(in_project: Path, key_pair: Path):
    config = stack_config("dev")
    del config["ssh"]["privateKeyFile"]
    graph = g.run(config, secrets={"sshPrivateKey": key_pair.read_text()})
    connection = graph.of("cluster-agent-gpu-1").inputs["connection"].value
    assert connection["privateKey"] == s.shortest_form(key_pair.read_text())
    stdin = graph.of("cluster-preflight").inputs["stdin"]
    assert json.loads(stdin.value) == {"sshPrivateKey": key_pair.read_text()}


def test_only_what_is_read_keeps_the_form_of_the_private_key(in_project: Path, key_pair: Path):
    """A key in another form would be a change, and make kubeconfig and tokens unknown in a preview."""
    text = key_pair.read_text()
    for command in commands(g.run(stack_config("dev"))):
        reads = command.name in ("cluster-tokens", "cluster-kubeconfig")
        key = command.inputs["connection"].value["privateKey"]
        assert key == (text if reads else s.shortest_form(text)), command.name


def script_texts(command: g.Registered) -> list[str]:
    """The scripts of a Command, without the update of a join: it does nothing and needs no root, and the
    password in its stdin may be an old one."""
    texts = {key: command.inputs[key] for key in ("create", "update", "delete") if key in command.inputs}
    if "-agent-" in command.name:
        assert texts.pop("update") == "true"
    return list(texts.values())


def test_login_other_than_root_runs_everything_under_sudo(in_project: Path):
    config = stack_config("dev")
    config["ssh"]["user"] = "ubuntu"
    for command in commands(g.run(config)):
        assert all(text.startswith("exec sudo -n /bin/sh -c ") for text in script_texts(command))


def test_sudo_password_is_only_in_secret_stdin(in_project: Path):
    config = stack_config("dev")
    config["pools"]["rtx"]["hosts"]["gpu-1"] = {"address": "10.77.0.21", "user": "ubuntu"}
    graph = g.run(config, secrets={"sudoPassword": "sesame"})
    assert json.loads(graph.of("cluster-preflight").inputs["stdin"].value) == {"sudoPassword": "sesame"}
    for name in ("agent-gpu-1", "upkeep-gpu-1", "clean-gpu-1"):
        command = graph.of(f"cluster-{name}")
        token = scripts.secret_lines(AGENT_TOKEN="K10aa::node:agent-secret")
        token = "" if name == "clean-gpu-1" else token
        assert command.inputs["stdin"] == g.Hidden(f"sesame\n{scripts.END_OF_PASSWORD}\n{token}")
        texts = script_texts(command)
        assert all(text.startswith("exec sudo -k -S -p '' /bin/sh -c ") for text in texts)
        assert "sesame" not in "".join(texts)
    # The server's login is root and gets no password.
    assert all("stdin" not in command.inputs for command in commands(graph) if "server" in command.name)
    assert "stdin" not in graph.of("cluster-leave-gpu-1").inputs


def test_every_command_uses_the_bastion_and_checks_its_key(in_project: Path, host_key: str):
    config = stack_config("dev")
    config["ssh"]["bastion"] = {"address": "bastion.example.org", "user": "me", "hostKey": host_key}
    graph = g.run(config)
    for command in commands(graph):
        connection = command.inputs["connection"].value
        proxy = connection["proxy"]
        assert (proxy["host"], proxy["user"], proxy["port"]) == ("bastion.example.org", "me", 22)
        assert proxy["hostKey"] == host_key and proxy["privateKey"] == connection["privateKey"]
    inventory = json.loads(graph.of("cluster-preflight").inputs["environment"]["K3SGPU_INVENTORY"])
    assert inventory["bastion"]["hostKey"] == host_key
    assert inventory["hostDefaults"]["jump"] == "me@bastion.example.org:22"
    assert not any("jump" in host for host in inventory["hosts"])


def test_passphrase_is_sent_only_with_an_encrypted_key(in_project: Path, key_pair: Path):
    key = asyncssh.import_private_key(key_pair.read_text())
    config = stack_config("dev")
    (in_project / "locked").write_bytes(key.export_private_key(passphrase="sesame"))
    config["pools"]["rtx"]["privateKeyFile"] = "locked"
    graph = g.run(config, secrets={"sshPrivateKeyPassphrase": "sesame"})
    agent = graph.of("cluster-agent-gpu-1").inputs["connection"].value
    assert agent["privateKeyPassword"] == "sesame" and "ENCRYPTED" not in agent["privateKey"]
    assert "privateKeyPassword" not in graph.of("cluster-server-server-1").inputs["connection"].value


def test_connection_does_not_contain_the_ssh_agents_socket(in_project: Path, monkeypatch):
    config = stack_config("dev")
    del config["ssh"]["privateKeyFile"]
    config["ssh"]["agent"] = True
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/ssh-today/agent.1")
    connection = g.run(config).of("cluster-agent-gpu-1").inputs["connection"].value
    assert not {"privateKey", "privateKeyPassword", "agentSocketPath"} & set(connection)


def k3s_config(graph: g.Graph, name: str) -> dict[str, Any]:
    """k3s's config.yaml in the Command of a host."""
    words = shlex.split(script(graph, f"cluster-{name}"), comments=True)
    return yaml.safe_load(next(word for word in words if word.startswith("CONFIG=")).removeprefix("CONFIG="))


def test_nodes_use_node_ip_and_ssh_uses_address(in_project: Path):
    config = stack_config("dev")
    config["pools"]["control"]["hosts"]["server-1"] = {
        "address": "10.77.0.11",
        "nodeIp": "192.168.7.1",
        "externalIp": "203.0.113.1",
    }
    graph = g.run(config)
    server_config = k3s_config(graph, "server-server-1")
    assert (server_config["node-ip"], server_config["node-external-ip"]) == ("192.168.7.1", "203.0.113.1")
    assert server_config["tls-san"] == ["10.77.0.11", "192.168.7.1", "203.0.113.1"]
    assert "https://192.168.7.1:6443" in graph.of("cluster-agent-gpu-1").inputs["create"]


def test_flannel_uses_the_interface_of_the_host_then_the_pool_then_all(in_project: Path):
    config = stack_config("dev")
    config["k3s"]["config"] = {"flannel-iface": "eth0"}
    config["pools"]["rtx"]["flannelIface"] = "eth1"
    config["pools"]["rtx"]["hosts"] = {
        "gpu-1": "10.77.0.21",
        "gpu-2": {"address": "10.77.0.22", "flannelIface": "eth2"},
    }
    graph = g.run(config)
    for name, interface in (("server-server-1", "eth0"), ("agent-gpu-1", "eth1"), ("agent-gpu-2", "eth2")):
        assert k3s_config(graph, name)["flannel-iface"] == interface
