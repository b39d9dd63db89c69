"""The stand-in for k3s without this project's program: k3s's interface, as far as it is imitated."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rehearsal.lab import machines, ssh
from rehearsal.lab.fixture import wait_until
from rehearsal.lab.machine_records import Machine, RunningMachine
from rehearsal.progress import Progress
from rehearsal.toolchain import golang, toolbox

STACK = f"k{os.getpid()}"
ADDRESSES = {
    "server-1": "10.77.0.241",
    "server-2": "10.77.0.242",
    "server-3": "10.77.0.243",
    "agent-1": "10.77.0.244",
}
OLDER, OURS, PATCH, MINOR = golang.K3S_RELEASES
START_SECONDS = 180
SECRETS = {"token": "servers only", "agent-token": "agents only"}


@dataclass(frozen=True)
class Host:
    """A machine, and what an installer does with k3s on it."""

    machine: RunningMachine
    role: str = "server"

    @property
    def unit(self) -> str:
        """The systemd unit of k3s."""
        return "k3s" if self.role == "server" else "k3s-agent"

    @property
    def url(self) -> str:
        """The address at which others join a server."""
        return f"https://{self.machine.address}:6443"

    def on(self, command: str, stdin: str | None = None) -> str:
        """Runs a shell command as root; its stdout."""
        return ssh.run(self.machine, command, stdin=stdin).strip()

    def tries(self, command: str) -> str:
        """What a command says that may fail."""
        return self.on(f"({command}) 2>&1 || :")

    def put(self, path: str, content: str) -> None:
        """Writes a file for root alone."""
        self.on(f"umask 077; mkdir -p {Path(path).parent}; cat >{path}", content)

    def install(self, version: str, **config: object) -> None:
        """Binary, configuration and unit; nothing is started."""
        self.put("/etc/rancher/k3s/config.yaml", json.dumps(config))
        self.replace(version)
        self.on(
            "INSTALL_K3S_SKIP_DOWNLOAD=true INSTALL_K3S_SKIP_START=true"
            f" sh /opt/standin/release/{version}/install.sh {self.role} >/dev/null 2>&1"
        )

    def replace(self, version: str) -> None:
        """Puts another release's binary in place."""
        self.on(
            f"cd /opt/standin/release/{version} && sha256sum --quiet -c sha256sum-*.txt"
            " && cp k3s /usr/local/bin/k3s.new && mv /usr/local/bin/k3s.new /usr/local/bin/k3s"
        )

    def start(self) -> None:
        """Starts or restarts k3s without waiting for it."""
        self.on(f"systemctl restart --no-block {self.unit}")

    def started(self) -> Host:
        """Starts k3s and waits until it says that it is up."""
        self.start()
        wait_until(
            f"{self.unit} on {self.machine.host}",
            lambda: self.tries(f"systemctl is-active {self.unit}") == "active",
            START_SECONDS,
        )
        return self

    def journal(self) -> str:
        """What k3s said."""
        return self.on(f"journalctl --unit {self.unit} --output cat --no-pager")

    def says(self, text: str) -> None:
        """Waits until the journal has `text`."""
        what = f"{text!r} in the journal of {self.machine.host}"
        wait_until(what, lambda: text in self.journal(), START_SECONDS)

    def kubectl(self, arguments: str) -> str:
        """k3s's own kubectl: its stdout, or what it says where it fails."""
        return self.tries(f"k3s kubectl --request-timeout=10s {arguments}")


def version_of(server: Host, node: str) -> str:
    """The version that a node's kubelet reports."""
    return server.kubectl(
        f"get node {node} --ignore-not-found -o jsonpath={{.status.nodeInfo.kubeletVersion}}"
    )


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RunningMachine]]:
    """Empty machines."""
    tools = toolbox.prepare(Progress())
    state = tmp_path_factory.mktemp("standin")
    try:
        yield machines.up(STACK, [Machine(*each) for each in ADDRESSES.items()], state, tools)
    finally:
        machines.down(STACK, state)
    assert machines.leftovers(STACK) == []


@pytest.fixture(scope="module")
def server(booted: dict[str, RunningMachine]) -> Host:
    """The first server, running."""
    host = Host(booted["server-1"])
    host.install(OURS, **{"cluster-init": True}, **SECRETS)
    return host.started()


@pytest.fixture(scope="module")
def others(server: Host, booted: dict[str, RunningMachine]) -> list[Host]:
    """Two more servers, which joined one after the other."""
    hosts = [Host(booted["server-2"]), Host(booted["server-3"])]
    for host in hosts:
        host.install(MINOR, server=server.url, **SECRETS)
    return [host.started() for host in hosts]


@pytest.fixture(scope="module")
def agent(booted: dict[str, RunningMachine]) -> Host:
    """An empty machine for an agent."""
    return Host(booted["agent-1"], "agent")


def test_an_agent_newer_than_its_server_waits_for_it(server: Host, agent: Host) -> None:
    assert version_of(server, "server-1") == OURS
    agent.put("/etc/rancher/k3s/agent-token", server.on("cat /var/lib/rancher/k3s/server/agent-token"))
    agent.install(PATCH, server=server.url, **{"token-file": "/etc/rancher/k3s/agent-token"})
    agent.start()
    agent.says(f"servers must be upgraded to at least {PATCH}")
    assert server.kubectl("get node agent-1").endswith("not found")


def test_another_release_is_another_binary_and_a_restart(server: Host, agent: Host) -> None:
    server.replace(MINOR)
    assert version_of(server, "server-1") == OURS  # nothing but the restart changes what runs
    server.started()
    wait_until("server-1's new release", lambda: version_of(server, "server-1") == MINOR)
    assert server.on("k3s --version").startswith(f"k3s version {MINOR} ")
    assert json.loads(server.kubectl("get --raw /version"))["gitVersion"] == MINOR
    wait_until("agent-1", lambda: version_of(server, "agent-1") == PATCH, START_SECONDS)


def etcd(server: Host, action: str, what: object) -> Any:
    """Changes etcd's membership without k3s."""
    tls = "/var/lib/rancher/k3s/server/tls/etcd"
    keys = f"--cacert {tls}/server-ca.crt --cert {tls}/client.crt --key {tls}/client.key"
    url = f"https://127.0.0.1:2379/v3/cluster/member/{action}"
    return json.loads(server.on(f"curl --silent --show-error --data @- {keys} {url}", json.dumps(what)))


def test_servers_that_do_not_fit_are_refused(server: Host, booted: dict[str, RunningMachine]) -> None:
    host = Host(booted["server-2"])
    host.install(MINOR, server=server.url, **{**SECRETS, "cluster-cidr": "10.99.0.0/16"})
    host.start()
    host.says("critical configuration mismatched: cluster-cidr: 10.99.0.0/16 != 10.42.0.0/16")
    host.says("critical configuration value mismatch between servers")
    host.on("systemctl stop k3s")
    host.install(MINOR, server=server.url, **{**SECRETS, "token": "agents only"})
    host.start()
    host.says("/v1-k3s/server-bootstrap: 401 Unauthorized")
    host.on("systemctl stop k3s")
    # Somebody else is joining just now: it waits for that.
    learner = {"peerURLs": ["https://10.77.0.2:2380"], "isLearner": True}
    learner_id = etcd(server, "add", learner)["member"]["ID"]
    host.install(MINOR, server=server.url, **SECRETS)
    host.start()
    host.says("finish joining etcd cluster: etcdserver: too many learner members in cluster")
    etcd(server, "remove", {"ID": learner_id})
    host.says("Adding member server-2-")


def members(server: Host) -> list[str]:
    """The servers that are members of etcd, by the labels of their Nodes."""
    label = "node-role.kubernetes.io/etcd=true"
    return server.kubectl(f"get nodes -l {label} -o jsonpath={{.items[*].metadata.name}}").split()


def test_the_cluster_lives_without_one_of_three_servers(
    server: Host, others: list[Host], agent: Host
) -> None:
    assert members(others[1]) == ["server-1", "server-2", "server-3"]
    known = "/var/lib/rancher/k3s/agent/etc/k3s-agent-load-balancer.json"
    wait_until("all servers known to the agent", lambda: agent.on(f"cat {known}").count(':6443"') >= 3)
    server.on("systemctl stop k3s")
    wait_until("the API", lambda: others[0].kubectl("get --raw /readyz") == "ok", START_SECONDS)
    agent.started()  # its server is down: it starts by way of another
    own = "k3s kubectl --kubeconfig /var/lib/rancher/k3s/agent/kubelet.kubeconfig --request-timeout=10s"
    wait_until("agent-1's own API", lambda: agent.tries(f"{own} get node agent-1 -o name") == "node/agent-1")
    server.started()


def test_a_node_reads_its_files_at_its_start_only(server: Host, agent: Host) -> None:
    config = "/var/lib/rancher/k3s/agent/etc/containerd/config.toml"
    mirror = {"mirrors": {"docker.io": {"endpoint": ["https://mirror.example"]}}}
    agent.put("/etc/rancher/k3s/registries.yaml", json.dumps(mirror))
    agent.put("/var/lib/rancher/k3s/agent/images/k3s-airgap-images-amd64.tar.zst", "")
    agent.on("install -m 755 /dev/null /usr/bin/nvidia-container-runtime")
    agent.on("echo HTTPS_PROXY=http://proxy.example:3128 >>/etc/systemd/system/k3s-agent.service.env")
    assert "nvidia" not in agent.on(f"cat {config}")
    agent.started()
    assert 'BinaryName = "/usr/bin/nvidia-container-runtime"' in agent.on(f"cat {config}")
    hosts = agent.on("cat /var/lib/rancher/k3s/agent/etc/containerd/certs.d/docker.io/hosts.toml")
    assert "https://mirror.example/v2" in hosts
    assert "Importing images from" in agent.journal()
    environment = "/proc/$(systemctl show --property MainPID --value k3s-agent)/environ"
    assert "HTTPS_PROXY=http://proxy.example:3128" in agent.on(f"tr '\\0' '\\n' <{environment}")


def test_an_agent_says_why_it_does_not_start(agent: Host, server: Host) -> None:
    agent.on("cp /etc/rancher/k3s/config.yaml /root/config.yaml")
    label = '"node-label": ["node-role.kubernetes.io/gpu=true"]'
    agent.on(f"sed -i 's|{{|{{{label}, |' /etc/rancher/k3s/config.yaml")
    agent.start()
    agent.says("unknown 'kubernetes.io' or 'k8s.io' labels specified with --node-labels")
    agent.on("cp /root/config.yaml /etc/rancher/k3s/config.yaml")
    # The same name on another disk: its password is another one, until the Node is deleted.
    agent.on("rm /etc/rancher/node/password")
    agent.start()
    agent.says("Node password rejected")
    unit = "/etc/systemd/system/k3s-agent.service.d/v1.conf"
    agent.put(unit, "[Service]\nTemporaryFileSystem=/sys/fs/cgroup\n")
    agent.on("systemctl daemon-reload")
    agent.start()
    agent.says("kubelet is configured to not run on a host using cgroup v1")
    agent.on(f"rm {unit}; systemctl daemon-reload")
    server.kubectl("delete node agent-1 --timeout=60s")
    agent.started()
    assert version_of(server, "agent-1") == PATCH


def test_deleting_a_servers_node_removes_its_member(server: Host, others: list[Host]) -> None:
    others[1].on("systemctl stop k3s")
    server.kubectl("delete node server-3 --timeout=60s")
    assert members(server) == ["server-1", "server-2"]
    said = server.journal() + others[0].journal()  # either may have done it
    assert "Removing name=server-3-" in said


def test_a_snapshot_brings_back_what_it_saw(server: Host, others: list[Host], agent: Host) -> None:
    server.kubectl("create configmap seen")
    server.on("k3s etcd-snapshot save --name mine")
    name, location, size, _ = server.on("k3s etcd-snapshot ls").splitlines()[1].split()
    assert name.startswith("mine-server-1-")
    assert int(size) > 0
    server.kubectl("create configmap unseen")
    for host in [*others, server]:
        host.on("systemctl stop k3s")
    # As on a new machine: the snapshot and the token in config.yaml are all there is.
    server.on(f"mv {location.removeprefix('file://')} /root/snapshot; rm -rf /var/lib/rancher/k3s/server")
    restore = "k3s server --cluster-reset --cluster-reset-restore-path=/root/snapshot"
    assert "restart without --cluster-reset flag now" in server.tries(restore)
    assert "remove the cluster-reset flag" in server.tries(restore)
    server.started()
    found = server.kubectl("get configmaps -o name").split()
    assert "configmap/seen" in found
    assert "configmap/unseen" not in found
    own = "k3s kubectl --kubeconfig /var/lib/rancher/k3s/agent/kubelet.kubeconfig --request-timeout=10s"
    wait_until("agent-1's own API", lambda: agent.tries(f"{own} get node agent-1 -o name") == "node/agent-1")
    # The other servers' data are those of the cluster that was: without them, they join the new one.
    others[0].on("rm -rf /var/lib/rancher/k3s/server/db")
    others[0].started()
    wait_until("server-2", lambda: version_of(server, "server-2") == MINOR)
    assert others[0].kubectl("get configmap seen -o name") == "configmap/seen"


def test_snapshots_are_of_etcd_only(booted: dict[str, RunningMachine]) -> None:
    host = Host(booted["server-3"])
    host.on("k3s-uninstall.sh >/dev/null 2>&1")
    assert (
        host.tries("ls -d /etc/rancher/k3s /var/lib/rancher/k3s /usr/local/bin/k3s*").count("No such file")
        == 3
    )
    host.install(OURS, **{"secrets-encryption": True})
    host.started()
    assert "etcd datastore disabled" in host.tries("k3s etcd-snapshot save")
    assert host.on("k3s secrets-encrypt status").startswith("Encryption Status: Enabled")
    host.kubectl("create configmap kept")
    # A consistent copy of the default database: its folder and the token, while k3s is stopped.
    data = "/var/lib/rancher/k3s/server"
    host.on(f"systemctl stop k3s; tar -C {data} -cf /root/copy.tar db token; rm -rf {data}/db")
    host.on(f"tar -C {data} -xf /root/copy.tar")
    host.started()
    assert host.kubectl("get configmap kept -o name") == "configmap/kept"
