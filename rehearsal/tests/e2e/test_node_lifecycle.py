"""Servers and nodes change, die and are restored, on one stack: each test continues where the last one
ended.
"""

import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest

from k3sgpu.hosts import scripts
from rehearsal.lab import identity, nspawn, ssh
from rehearsal.lab.engine import ROOT
from rehearsal.lab.fixture import StackFixture, stack_config, stack_fixture, wait_until
from rehearsal.lab.machine_records import RunningMachine
from rehearsal.lab.objects import k3s_starts
from rehearsal.progress import Progress

ADDRESSES = {
    **{f"server-{n}": f"10.77.0.{50 + n}" for n in range(1, 5)},
    "gpu-1": "10.77.0.55",
    "server-5": "10.77.0.58",
    "server-6": "10.77.0.59",
}
OURS = "k3s-gpu-sharing/"
BOUNDED_SECONDS = 300
START_SECONDS = 240

Machines = dict[str, RunningMachine]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    config = stack_config("dev")
    config["gpuOperator"] = {"enabled": False}
    config["workloads"] = {}
    config["k3s"].update(initialServer="server-1", registrationAddress=ADDRESSES["server-1"])
    # Kubernetes marks a silent node NotReady after 50 seconds by default.
    config["k3s"]["config"] = {"kube-controller-manager-arg": ["node-monitor-grace-period=25s"]}
    control, rtx = config["pools"]["control"], config["pools"]["rtx"]
    control["hosts"] = {"server-1": ADDRESSES["server-1"]}
    control["labels"] = {"node-role.kubernetes.io/boss": "true"}
    rtx.update(hosts={"gpu-1": ADDRESSES["gpu-1"]}, labels={"zone": "a", "team": "red"})
    rtx["taints"] = ["team=red:NoSchedule"]
    with stack_fixture("lifecycle", tmp_path_factory.mktemp("lifecycle"), config) as one:
        yield one


@pytest.fixture(scope="module")
def machines(cluster: StackFixture) -> Machines:
    """All machines; only one of the servers is a host of the stack at first."""
    more = {name: ADDRESSES[name] for name in ("server-2", "server-3", "server-4")}
    cluster.config["pools"]["spare"] = {"role": "agent", "hosts": more}
    machines = cluster.start_machines()
    del cluster.config["pools"]["spare"]
    cluster.up()
    return machines


def node_metadata(cluster: StackFixture, name: str) -> tuple[dict[str, str], set[str], set[str]]:
    """A node's labels, its taints, and the names of our annotations on it."""
    node = cluster.get("node", name)
    taints = {f"{t['key']}={t.get('value', '')}:{t['effect']}" for t in node["spec"].get("taints", [])}
    notes = {key for key in node["metadata"]["annotations"] if key.startswith(OURS)}
    return node["metadata"]["labels"], taints, notes


def nodes(cluster: StackFixture) -> dict[str, tuple[bool, str]]:
    """By node: whether it is Ready, and its machine-id."""
    return {
        node["metadata"]["name"]: (
            any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"]),
            node["status"]["nodeInfo"]["machineID"],
        )
        for node in cluster.get("nodes")["items"]
    }


def members(cluster: StackFixture) -> set[str]:
    """The servers that are members of etcd."""
    prefix = "etcd.k3s.cattle.io/node-name"
    items = cluster.get("nodes", "--selector", "node-role.kubernetes.io/etcd")["items"]
    return {node["metadata"]["name"] for node in items if prefix in node["metadata"]["annotations"]}


def documented(heading: str) -> list[str]:
    """The shell blocks under a heading of docs/guides/operations.md."""
    (part,) = re.findall(
        rf"^### {heading}\n(.*?)^##",
        (ROOT / "docs/guides/operations.md").read_text(),
        re.DOTALL | re.MULTILINE,
    )
    return re.findall(r"^```sh\n(.*?)^```", part, re.DOTALL | re.MULTILINE)


def all_ready(cluster: StackFixture) -> bool:
    """Whether all nodes are Ready; False while the API server does not answer."""
    try:
        return all(ready for ready, _ in nodes(cluster).values())
    except subprocess.CalledProcessError:
        return False


def configmaps(cluster: StackFixture) -> set[str]:
    return {one["metadata"]["name"] for one in cluster.get("configmaps")["items"]}


def test_documented_restore_of_a_copy_of_one_server(cluster: StackFixture, machines: Machines):
    copy, back, _ = documented("The copy of one server")
    cluster.kubectl("create", "configmap", "made-before-the-copy")
    ssh.run(machines["server-1"], copy, START_SECONDS)
    wait_until("the API after the copy", lambda: all_ready(cluster), 180)
    cluster.kubectl("create", "configmap", "made-after-the-copy")
    ssh.run(machines["server-1"], back, START_SECONDS)
    wait_until("the API with the copy", lambda: all_ready(cluster), 180)
    assert "made-before-the-copy" in configmaps(cluster) and "made-after-the-copy" not in configmaps(cluster)
    assert cluster.run_on(machines["server-1"], "stat -c %a /root/k3s-server.tar") == "600"
    assert set(cluster.up()) == {"same"}


def test_one_server_becomes_three(cluster: StackFixture, machines: Machines):
    cluster.kubectl("create", "configmap", "made-by-one")
    were, before = nodes(cluster), k3s_starts(cluster, machines)
    for name in ("server-2", "server-3"):
        cluster.config["pools"]["control"]["hosts"][name] = ADDRESSES[name]
    cluster.up()
    assert members(cluster) == {"server-1", "server-2", "server-3"}
    are = nodes(cluster)
    assert all(ready for ready, _ in are.values()) and {name: are[name] for name in were} == were
    assert k3s_starts(cluster, machines)["gpu-1"] == before["gpu-1"]
    assert "made-by-one" in configmaps(cluster)
    assert cluster.run_on(machines["server-1"], "ls /var/lib/rancher/k3s/server/db/state.db*").endswith(
        ".migrated"
    )


def test_own_labels_and_taints_change_and_foreign_ones_stay(cluster: StackFixture, machines: Machines):
    labels, taints, _ = node_metadata(cluster, "gpu-1")
    assert (labels["zone"], labels["team"], taints) == ("a", "red", {"team=red:NoSchedule"})
    assert node_metadata(cluster, "server-2")[0]["node-role.kubernetes.io/boss"] == "true"
    cluster.kubectl("label", "node", "gpu-1", "server-2", "theirs=1")
    cluster.kubectl("taint", "node", "gpu-1", "theirs=1:NoSchedule")
    before = k3s_starts(cluster, machines)

    pools = cluster.config["pools"]
    pools["rtx"].update(labels={"zone": "b", "rack": "7"}, taints=["spot:NoSchedule"])
    pools["rtx"]["hosts"]["gpu-1"] = {"address": ADDRESSES["gpu-1"], "labels": {"disk": "ssd"}}
    del pools["control"]["labels"]
    cluster.up()
    labels, taints, _ = node_metadata(cluster, "gpu-1")
    assert {key: labels.get(key) for key in ("zone", "rack", "disk", "team", "theirs")} == {
        "zone": "b",
        "rack": "7",
        "disk": "ssd",
        "team": None,
        "theirs": "1",
    }
    assert taints == {"spot=:NoSchedule", "theirs=1:NoSchedule"}
    labels, _, notes = node_metadata(cluster, "server-2")
    assert "node-role.kubernetes.io/boss" not in labels and labels["theirs"] == "1"
    assert notes == {f"{OURS}host-key"}

    for key in ("labels", "taints"):
        del pools["rtx"][key]
    pools["rtx"]["hosts"]["gpu-1"] = ADDRESSES["gpu-1"]
    cluster.up()
    labels, taints, notes = node_metadata(cluster, "gpu-1")
    assert not labels.keys() & {"zone", "rack", "disk"} and labels["theirs"] == "1"
    assert (taints, notes) == ({"theirs=1:NoSchedule"}, {f"{OURS}host-key"})
    assert k3s_starts(cluster, machines) == before


def empty(cluster: StackFixture, *gone: RunningMachine) -> None:
    """Removes machines with their disks and host keys."""
    nspawn.power_off(gone)
    for machine in gone:
        nspawn.remove(machine)
    identity.update_known_hosts(cluster.stack.state, {machine.address: None for machine in gone})


def test_reinstalled_machines_rejoin_under_their_names(cluster: StackFixture, machines: Machines):
    """A server and an agent are reinstalled; another server only gets a new host key."""
    before, were = k3s_starts(cluster, machines), nodes(cluster)
    empty(cluster, machines["server-3"], machines["gpu-1"])
    cluster.run_on(
        machines["server-2"],
        "rm /etc/ssh/ssh_host_ed25519_key*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; "
        "systemctl restart ssh",
    )
    identity.update_known_hosts(
        cluster.stack.state, {ADDRESSES["server-2"]: identity.host_key(machines["server-2"].root)}
    )
    cluster.start_machines()
    cluster.up()
    assert "server-2: another host key, and the same node" in "\n".join(cluster.output)
    are = nodes(cluster)
    assert are.keys() == were.keys() and all(ready for ready, _ in are.values())
    assert {name for name in are if are[name] != were[name]} == {"server-3", "gpu-1"}
    assert members(cluster) == {"server-1", "server-2", "server-3"}
    after = k3s_starts(cluster, machines)
    assert {name for name in before if after[name] != before[name]} == {"server-3", "gpu-1"}
    assert set(cluster.up()) == {"same"}


def test_a_deleted_node_registers_again(cluster: StackFixture, machines: Machines):
    cluster.kubectl("delete", "node", "gpu-1")
    cluster.config["k3s"]["generation"] = 1
    cluster.up()
    assert nodes(cluster)["gpu-1"][0]


def test_three_servers_to_one_is_refused_before_any_change(cluster: StackFixture, machines: Machines):
    before, hosts = k3s_starts(cluster, machines), dict(cluster.config["pools"]["control"]["hosts"])
    cluster.config["pools"]["control"]["hosts"] = {"server-1": ADDRESSES["server-1"]}
    said = cluster.expect_failure(cluster.up)
    assert "the cluster also server-2 server-3 as servers: etcd cannot go from several members to one" in said
    assert k3s_starts(cluster, machines) == before and members(cluster) == set(hosts)
    cluster.config["pools"]["control"]["hosts"] = hosts


def test_a_dead_server_is_replaced(cluster: StackFixture, machines: Machines):
    nspawn.power_cut(machines["server-2"])
    wait_until("server-2 to be missed", lambda: not nodes(cluster)["server-2"][0], 180)
    # A second one may not leave now.
    leave = shlex.quote(scripts.render("drain", HOST="server-3"))
    said = cluster.run_on(machines["server-1"], f"sh -c {leave} 2>&1 || echo refused")
    assert "server-3: without it etcd would lose its majority" in said and said.endswith("refused")
    assert "server-2 Unknown;" in said and "expected more than half" in said
    assert "remedy: repair the others first, or keep server-3 in the stack file" in said

    hosts = cluster.config["pools"]["control"]["hosts"]
    hosts["server-2"] = {"address": ADDRESSES["server-2"], "gone": True}
    begin = time.monotonic()
    hosts["server-4"] = ADDRESSES["server-4"]
    cluster.up()
    assert members(cluster) == {"server-1", "server-3", "server-4"} and "server-2" not in nodes(cluster)
    del hosts["server-2"]
    cluster.up()
    assert time.monotonic() - begin < BOUNDED_SECONDS
    assert set(cluster.up()) == {"same"}


def test_back_to_a_snapshot_of_etcd_as_it_is_documented(cluster: StackFixture, machines: Machines):
    first, *others = (machines[name] for name in ("server-1", "server-3", "server-4"))
    cluster.run_on(first, "k3s etcd-snapshot save --name kept")
    cluster.kubectl("create", "configmap", "made-after-the-snapshot")
    stop, restore, rejoin = documented("From a snapshot of etcd")
    name = cluster.run_on(first, "ls /var/lib/rancher/k3s/server/db/snapshots | grep kept")
    for server in (first, *others):
        ssh.run(server, stop, START_SECONDS)
    ssh.run(first, restore.replace("NAME", name), START_SECONDS)
    for server in others:
        ssh.run(server, rejoin, START_SECONDS)
        wait_until(f"{server.host} to be Ready again", lambda: all_ready(cluster), 180)
    assert members(cluster) == {"server-1", "server-3", "server-4"}
    assert "made-after-the-snapshot" not in configmaps(cluster)
    assert set(cluster.up()) == {"same"}


def test_documented_recovery_from_a_lost_majority(cluster: StackFixture, machines: Machines):
    cluster.kubectl("create", "configmap", "made-by-three")
    hosts = cluster.config["pools"]["control"]["hosts"]
    before, (_, *dead) = k3s_starts(cluster, machines), sorted(hosts)
    for name in dead:
        nspawn.power_cut(machines[name])
    (commands,) = documented("A lost majority")
    ssh.run(machines["server-1"], commands.replace("DEAD-1 DEAD-2", " ".join(dead)), START_SECONDS)
    assert members(cluster) == {"server-1"} and "made-by-three" in configmaps(cluster)

    hosts |= {name: {"address": ADDRESSES[name], "gone": True} for name in dead}
    hosts |= {name: ADDRESSES[name] for name in ("server-5", "server-6")}
    cluster.start_machines()
    cluster.up()
    assert members(cluster) == {"server-1", "server-5", "server-6"} and not nodes(cluster).keys() & set(dead)
    for name in dead:
        del hosts[name]
    cluster.up()
    assert k3s_starts(cluster, machines)["gpu-1"] == before["gpu-1"]


def test_a_lost_state_restarts_nothing_and_knows_its_labels(cluster: StackFixture, machines: Machines):
    rtx = cluster.config["pools"]["rtx"]
    rtx["labels"] = {"zone": "c"}
    cluster.up()
    cluster.kubectl("label", "--overwrite", "node", "gpu-1", "theirs=2")
    before = k3s_starts(cluster, machines)
    shutil.rmtree(cluster.stack.folder / "engine")
    cluster.stack.install_plugins(cluster.tools, Progress())
    del rtx["labels"]
    assert set(cluster.up()) == {"create"}
    labels, _, _ = node_metadata(cluster, "gpu-1")
    assert "zone" not in labels and labels["theirs"] == "2"
    assert k3s_starts(cluster, machines) == before
