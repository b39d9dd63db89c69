"""A hand-made k3s becomes a stack file that describes the same k3s."""

import subprocess
from typing import Any

import pytest

from k3sgpu.adoption.comparison import differences, permission, planned
from k3sgpu.adoption.k3s_settings import Proposal, propose
from k3sgpu.adoption.machine_k3s import FoundK3s, read_machine
from k3sgpu.adoption.same_cluster import cluster_problems
from k3sgpu.hosts import scripts
from k3sgpu.settings import Settings, parse
from tests.unit.adoption.hand_made import HASH, lines, node

SERVER, AGENT = "10.0.0.1", "10.0.0.2"
NODES = [node("box", SERVER, "id-box", role="true"), node("gpu", AGENT, "id-gpu")]


def read(where: str, *arguments: str, **keywords: Any) -> FoundK3s:
    found = read_machine(where, lines(*arguments, **keywords))
    assert isinstance(found, FoundK3s), found
    return found


def server(*flags: str, **keywords: Any) -> FoundK3s:
    return read(SERVER, "server", *flags, hostname="box", **{"nodes": NODES, **keywords})


def agent(*flags: str, **keywords: Any) -> FoundK3s:
    env = f"K3S_TOKEN=K10::server:x\nK3S_URL=https://{SERVER}:6443\n"
    return read(AGENT, "agent", *flags, hostname="gpu", **{"env": env, **keywords})


def adopted(*machines: FoundK3s) -> tuple[Proposal, Settings]:
    """What is proposed for the machines, and the settings of a stack file with that."""
    by_name = {one.node_name: one for one in machines}
    proposal = propose(by_name, {name: one.where for name, one in by_name.items()})
    hosts = {
        role: {
            name: {"address": one.where, **proposal.hosts[name]}
            for name, one in by_name.items()
            if one.role == role
        }
        for role in ("server", "agent")
    }
    raw = {
        "ssh": {"privateKeyFile": "id", "knownHostsFile": "known_hosts"},
        "k3s": {**proposal.k3s, "mirror": "file:///srv/k3s"},
        "pools": {f"{role}s": {"role": role, "hosts": named} for role, named in hosts.items() if named},
        "gpuOperator": {"enabled": False},
    }
    return proposal, parse(raw, proposal.secrets)


def left(*machines: FoundK3s) -> list[str]:
    """What differs between the machines and the stack file that is proposed for them."""
    proposal, settings = adopted(*machines)
    nodes = {one.name: one for one in settings.nodes}
    return [
        problem.found
        for one in machines
        for problem in differences(
            one, planned(settings, nodes[one.node_name], proposal.secrets), nodes[one.node_name].node_ip
        )
    ]


def test_article_cluster_is_described_as_it_is():
    proposal, _ = adopted(server("--disable", "traefik"), agent())
    assert proposal.problems == [] and proposal.secrets == {}
    assert proposal.k3s == {
        "version": "v1.36.2+k3s1",
        "protect": True,
        "disable": ["traefik"],
        "secretsEncryption": False,
    }
    assert proposal.hosts == {"box": {}, "gpu": {}}
    assert left(server("--disable", "traefik"), agent()) == []


FLAGS = [
    "--disable=traefik,servicelb", "--tls-san", "k3s.example.org", "--cluster-cidr=10.60.0.0/16",
    "--flannel-backend=host-gw", "--secrets-encryption", "--kube-apiserver-arg=audit-log-maxage=30",
    "--kubelet-arg=max-pods=200", "--node-label=zone=a", "--node-taint=team=red:NoSchedule",
    "--data-dir", "/var/lib/rancher/k3s/", "--service-node-port-range", "30000-31000", "--snapshotter=native",
]  # fmt: skip


def test_flags_of_a_unit_become_keys_of_the_stack_file():
    machines = server(*FLAGS), agent("--snapshotter", "native", "--flannel-iface=eth1", "--kubelet-arg=v=2")
    proposal, _ = adopted(*machines)
    assert proposal.problems == []
    assert proposal.k3s["config"] == {
        "kube-apiserver-arg": ["audit-log-maxage=30"],
        "service-node-port-range": "30000-31000",
        "snapshotter": "native",
    }
    assert proposal.k3s["tlsSan"] == ["k3s.example.org"] and proposal.k3s["clusterCidr"] == "10.60.0.0/16"
    assert proposal.hosts["box"] == {
        "kubeletArgs": {"max-pods": "200"},
        "labels": {"zone": "a"},
        "taints": ["team=red:NoSchedule"],
    }
    assert proposal.hosts["gpu"] == {"flannelIface": "eth1", "kubeletArgs": {"v": "2"}}
    assert left(*machines) == []


def test_secrets_go_into_the_stack_and_not_into_the_file():
    registries = "configs:\n  r.example.org:\n    auth: {username: u, password: hidden-1}\n"
    env = "HTTPS_PROXY=http://u:hidden-2@p.example.org:3128\nNO_PROXY=.example.org\n"
    one = server(
        "--datastore-endpoint=postgres://k3s:hidden-3@db/k3s",
        env=env,
        nodes=NODES[:1],
        database="",
        files={"/etc/rancher/k3s/registries.yaml": registries},
    )
    proposal, settings = adopted(one)
    assert proposal.secrets.keys() == {"datastoreEndpoint", "proxyPassword", "registryCredentials"}
    assert "hidden" not in f"{proposal.k3s}{proposal.hosts}{proposal!r}{settings}"
    assert left(one) == []


def test_three_servers_name_the_one_that_created_the_database():
    nodes = [node(f"s{n}", f"10.0.0.{n}", f"id-s{n}", role="true") for n in (1, 2, 3)]
    joined = ["--server", "https://10.0.0.1:6443", "--token=t"]
    machines = [
        read(f"10.0.0.{n}", "server", *(joined if n > 1 else ["--cluster-init"]),
             hostname=f"s{n}", nodes=nodes, database="etcd")
        for n in (1, 2, 3)
    ]  # fmt: skip
    assert cluster_problems(machines) == []
    proposal, _ = adopted(*machines)
    assert proposal.k3s["initialServer"] == "s1" and proposal.k3s["registrationAddress"] == "10.0.0.1"
    assert left(*machines) == []


PROBLEMS = {
    "another cluster": ([server(), agent(ca="cb" * 32)], "a node of another cluster"),
    "agents alone": ([agent()], "agents of k3s alone"),
    "one machine twice": ([server(), server()], "one machine"),
    "two releases": ([server(), agent(version="v1.36.1+k3s1")], "several releases of k3s"),
    "a Node of another machine": ([server(), agent(machine_id="id-other")], "belongs to another machine"),
    "no Node": ([server(nodes=NODES[:1]), agent()], "no Node gpu"),
    "an agent left out": ([server()], "an agent of this cluster (10.0.0.2)"),
    "a server left out": (
        [server(nodes=[*NODES, node("s2", "10.0.0.9", "id-s2", role="true")]), agent()],
        "a server of this cluster (10.0.0.9)",
    ),
}


@pytest.mark.parametrize(("machines", "words"), PROBLEMS.values(), ids=PROBLEMS)
def test_machines_that_are_not_one_cluster_are_refused(machines: list[FoundK3s], words: str):
    (problem,) = cluster_problems(machines)
    assert words in problem.found and problem.remedy


UNEXPRESSED = {
    "another data folder": ([server("--data-dir=/data"), agent()], "data-dir"),
    "options that differ": ([server("--snapshotter=native"), agent()], "snapshotter is not the same"),
    "an unknown component": ([server("--disable=coredns,fancy"), agent()], "disable: fancy"),
    "a readable kubeconfig": ([server("--write-kubeconfig-mode=644"), agent()], "others than root can read"),
    "registries that differ": (
        [
            server(),
            agent(
                files={"/etc/rancher/k3s/registries.yaml": "mirrors: {docker.io: {endpoint: [https://m]}}"}
            ),
        ],
        "registries.yaml is not the same",
    ),
}


@pytest.mark.parametrize(("machines", "words"), UNEXPRESSED.values(), ids=UNEXPRESSED)
def test_what_cannot_be_expressed_is_named(machines: list[FoundK3s], words: str):
    by_name = {one.node_name: one for one in machines}
    proposal = propose(by_name, {name: one.where for name, one in by_name.items()})
    assert words in " ".join(problem.found for problem in proposal.problems)


def test_address_that_the_certificate_lacks_is_refused():
    one = server(nodes=[node("box", "192.168.0.1", "id-box")])
    proposal = propose({"box": one}, {"box": SERVER})
    assert "which the API's certificate does not name" in proposal.problems[0].found


def test_edited_stack_file_differs_from_the_machine():
    proposal, _ = adopted(server(), agent())
    raw = {"ssh": {"privateKeyFile": "id", "knownHostsFile": "k"}, "gpuOperator": {"enabled": False},
           "k3s": {**proposal.k3s, "mirror": "file:///srv/k3s", "disable": ["traefik"],
                   "kubeletArgs": {"v": 4}},
           "pools": {"s": {"role": "server", "hosts": {"box": SERVER}}}}  # fmt: skip
    edited = parse(raw)
    found = [one.found for one in differences(server(), planned(edited, edited.nodes[0], {}), SERVER)]
    assert [text.split(":")[0] for text in found] == ["the option disable", "the option kubelet-arg"]


def test_permission_is_what_the_script_on_the_machine_computes():
    one = server("--node-label=zone=a", nodes=NODES[:1], env="HTTPS_PROXY=http://p.example.org:1\n")
    proposal, settings = adopted(one)
    plan = planned(settings, settings.nodes[0], proposal.secrets)
    header = (
        "HOST=box ROLE=server VERSION=v1\n" + scripts.source("parts/files") + scripts.source("parts/adopt")
    )
    variables = {"CONFIG": plan.config, "node_config": plan.node_config, "server_config": plan.server_config,
                 "registries": plan.registries, "environment": plan.environment}  # fmt: skip
    done = subprocess.run(
        ["sh", "-euc", header + 'environment=$(printf %s "$environment"); planned_hash'],
        env={"PATH": "/usr/bin:/bin", **variables}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert permission(one, plan) == HASH[:32] + done.stdout.strip()[:32]
