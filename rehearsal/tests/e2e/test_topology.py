"""Several servers, and added and removed hosts: each test continues where the last one ended."""

import re
import time
from collections.abc import Iterator

import pytest

from rehearsal.lab.fixture import StackFixture, stack_config, stack_fixture
from rehearsal.lab.machine_records import RunningMachine
from rehearsal.lab.objects import k3s_starts
from rehearsal.lab.trace import logins
from rehearsal.toolchain.golang import K3S_RELEASES

_, OURS, PATCH, _ = K3S_RELEASES
ADDRESSES = {
    **{f"server-{n}": f"10.77.0.{180 + n}" for n in range(1, 5)},
    **{f"gpu-{n}": f"10.77.0.{190 + n}" for n in (1, 2)},
}

Machines = dict[str, RunningMachine]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    config = stack_config("dev")
    config["k3s"].update(
        version=OURS, initialServer="server-1", registrationAddress=ADDRESSES["server-2"], maxUnavailable=2
    )
    with stack_fixture("topology", tmp_path_factory.mktemp("topology"), config) as one:
        yield one


@pytest.fixture(scope="module")
def machines(cluster: StackFixture) -> Machines:
    """All machines; some of them are not hosts of the stack at first."""
    set_hosts(cluster, "server-1", "server-2", "server-3", "server-4", "gpu-1", "gpu-2")
    # Only the machines are wanted here, for which an even number of servers is no obstacle.
    del cluster.config["pools"]["control"]["hosts"]["server-4"]
    cluster.config["pools"]["rtx"]["hosts"]["server-4"] = ADDRESSES["server-4"]
    machines = cluster.start_machines()
    set_hosts(cluster, "server-1", "server-2", "server-3", "gpu-1")
    cluster.up()  # what is inside the cluster waits for server-2, whose address its API has
    return machines


def set_hosts(cluster: StackFixture, *names: str) -> None:
    """Sets the hosts of the stack."""
    for pool, prefix in (("control", "server"), ("rtx", "gpu")):
        hosts = {name: ADDRESSES[name] for name in names if name.startswith(prefix)}
        cluster.config["pools"][pool]["hosts"] = hosts


def nodes(cluster: StackFixture) -> dict[str, bool]:
    """By node: whether it is a member of etcd."""
    items = cluster.get("nodes")["items"]
    etcd = "node-role.kubernetes.io/etcd"
    return {node["metadata"]["name"]: etcd in node["metadata"]["labels"] for node in items}


def converge_order(lines: list[str]) -> list[str]:
    """The hosts in the order in which converge ended on them. Fails if one overlapped with a server's."""
    working: set[str] = set()
    ended = []
    for line in lines:
        found = re.search(r" cluster-(server|upkeep|agent)-(\S+) (\w+) ", line)
        if found and found[3] in ("creating", "updating"):
            working.add(found[2])
            servers = {name for name in working if name.startswith("server")}
            assert len(servers) < 2 and (not servers or working == servers), line
        elif found and found[3] in ("created", "updated"):
            working.discard(found[2])
            ended.append(found[2])
    return list(dict.fromkeys(ended))


def test_servers_join_one_after_another(cluster: StackFixture, machines: Machines):
    assert nodes(cluster) == {"server-1": True, "server-2": True, "server-3": True, "gpu-1": False}
    assert converge_order(cluster.output) == ["server-1", "server-2", "server-3", "gpu-1"]
    for name in ("server-2", "server-3"):
        held = cluster.run_on(
            machines[name], "stat -c '%a %n' /etc/rancher/k3s/*token; cat /etc/rancher/k3s/config.yaml"
        )
        assert "600 /etc/rancher/k3s/server-token" in held and "server: https://10.77.0.181:6443" in held
    assert cluster.run_on(machines["gpu-1"], "ls /etc/rancher/k3s") == "agent-token\nconfig.yaml"


def test_an_added_or_removed_agent_restarts_no_other_node(cluster: StackFixture, machines: Machines):
    before = k3s_starts(cluster, machines)
    came = time.time()
    set_hosts(cluster, "server-1", "server-2", "server-3", "gpu-1", "gpu-2")
    cluster.up_k3s_only()
    assert logins(machines, came, time.time())["gpu-1"] == 0
    assert "gpu-2" in nodes(cluster)
    with_it = k3s_starts(cluster, machines)
    assert {name for name in before if with_it[name] != before[name]} == {"gpu-2"}
    went = time.time()
    set_hosts(cluster, "server-1", "server-2", "server-3", "gpu-1")
    cluster.up_k3s_only()
    assert logins(machines, went, time.time())["gpu-1"] == 0
    assert "gpu-2" not in nodes(cluster)
    assert k3s_starts(cluster, machines) == before


def test_upgrade_runs_one_server_at_a_time_then_agents(cluster: StackFixture, machines: Machines):
    cluster.config["k3s"]["version"] = PATCH
    begin = len(cluster.output)
    cluster.up_k3s_only()
    assert converge_order(cluster.output[begin:])[:3] == ["server-1", "server-2", "server-3"]
    versions = {n["status"]["nodeInfo"]["kubeletVersion"] for n in cluster.get("nodes")["items"]}
    assert versions == {PATCH}
    saved = cluster.run_on(machines["server-1"], "ls /var/lib/rancher/k3s/server/db/snapshots")
    assert f"before-{PATCH}" in saved


def test_another_initial_server_restarts_no_node(cluster: StackFixture, machines: Machines):
    before = k3s_starts(cluster, machines)
    cluster.config["k3s"]["initialServer"] = "server-2"
    cluster.up_k3s_only()
    assert k3s_starts(cluster, machines) == before


def test_a_server_is_replaced(cluster: StackFixture, machines: Machines):
    set_hosts(cluster, "server-1", "server-2", "server-4", "gpu-1")
    cluster.up()  # with targets, the engine keeps what others of the state depend on
    assert nodes(cluster) == {"server-1": True, "server-2": True, "server-4": True, "gpu-1": False}
    assert (
        cluster.run_on(machines["server-3"], "ls -d /etc/rancher /usr/local/bin/k3s 2>/dev/null || :") == ""
    )
