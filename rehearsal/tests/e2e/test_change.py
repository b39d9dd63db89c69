"""Upgrades, rollback and another profile, on one stack: each test continues where the last one ended."""

import json
import re
from collections.abc import Iterator

import pytest

from rehearsal.lab.fixture import StackFixture, stack_config, stack_fixture, wait_until
from rehearsal.lab.machine_records import RunningMachine
from rehearsal.lab.objects import k3s_starts, label, offered, plugin_state
from rehearsal.toolchain.golang import K3S_RELEASES

OLDER, OURS, PATCH, MINOR = K3S_RELEASES
SERVER = "server-1"
AGENTS = {f"gpu-{n}": f"10.77.0.{170 + n}" for n in range(1, 5)}
WORKLOAD = "nvidia-plugin-test-2"
BUDGET = json.dumps(
    {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "all-of-them", "namespace": "default"},
        "spec": {"minAvailable": "100%", "selector": {"matchLabels": {"app": WORKLOAD}}},
    }
)

Machines = dict[str, RunningMachine]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    config = stack_config("dev")
    config["pools"]["control"]["hosts"] = {SERVER: "10.77.0.170"}
    config["pools"]["rtx"]["hosts"] = AGENTS
    config["k3s"].update(version=OLDER, maxUnavailable=2)
    with stack_fixture("upgrade", tmp_path_factory.mktemp("upgrade"), config) as one:
        yield one


@pytest.fixture(scope="module")
def machines(cluster: StackFixture) -> Machines:
    """The machines, with the oldest release installed."""
    machines = cluster.start_machines()
    cluster.up()
    return machines


def versions(cluster: StackFixture) -> dict[str, str]:
    """The kubelet's version by node."""
    nodes = cluster.get("nodes")["items"]
    return {n["metadata"]["name"]: n["status"]["nodeInfo"]["kubeletVersion"] for n in nodes}


def pods(cluster: StackFixture) -> set[str]:
    """The uids of the workload's pods."""
    return {pod["metadata"]["uid"] for pod in cluster.get("pods", "-l", f"app={WORKLOAD}")["items"]}


def update_events(lines: list[str], command: str) -> list[tuple[str, bool]]:
    """(host, True) when the update of the Command began, (host, False) when it ended, in the engine's
    order.
    """
    events = (re.search(rf" cluster-{command}-(\S+) (updating|updated)", line) for line in lines)
    each = [(found[1], found[2] == "updating") for found in events if found]
    return list(dict.fromkeys(each))  # the engine repeats itself with every line of a Command


def test_upgrade_that_skips_a_minor_version_is_refused(cluster: StackFixture, machines: Machines):
    before = k3s_starts(cluster, machines)
    cluster.config["k3s"]["version"] = MINOR
    said = cluster.expect_failure(cluster.up)
    assert f"found:    k3s {OLDER} is installed, and the stack file says {MINOR}" in said
    assert "expected: a release of v1.36" in said
    assert k3s_starts(cluster, machines) == before
    assert set(versions(cluster).values()) == {OLDER}


def test_upgrade_runs_server_first_then_two_agents_at_a_time(cluster: StackFixture, machines: Machines):
    cluster.config["k3s"]["version"] = OURS
    begin, pods_before = len(cluster.output), pods(cluster)
    cluster.up()
    said = cluster.output[begin:]
    assert set(versions(cluster).values()) == {OURS}

    upkeeps = update_events(said, "upkeep")
    assert {host for host, _ in upkeeps} == set(AGENTS) and len(upkeeps) == 2 * len(AGENTS)
    working, most = set(), 0
    for host, began in upkeeps:
        (working.add if began else working.discard)(host)
        most = max(most, len(working))
    assert most == 2
    milestones = re.compile(r"cluster-server-\S+ updated|cluster-upkeep-\S+ updating")
    lines = [line for line in said if milestones.search(line)]
    assert f"cluster-server-{SERVER} updated" in lines[0] and f"cluster-server-{SERVER}" not in lines[1]

    # The pods were moved off each node, none was left cordoned_by_drain, and the old database is at hand.
    assert not pods_before & pods(cluster)
    assert not [n for n in cluster.get("nodes")["items"] if n["spec"].get("unschedulable")]
    snapshot = f"/var/lib/rancher/k3s/server/snapshots/{OLDER}.tar"
    assert "db/state.db" in cluster.run_on(machines[SERVER], f"tar -tf {snapshot}")
    assert cluster.run_on(machines[SERVER], f"stat -c %a {snapshot}") == "600"


def test_a_new_container_toolkit_restarts_k3s_once(cluster: StackFixture, machines: Machines):
    cluster.run_on(
        machines[SERVER],
        "mkdir -p /usr/local/nvidia/toolkit; cd /usr/local/nvidia/toolkit;"
        " printf '#!/bin/sh\n' >nvidia-container-runtime; chmod +x nvidia-container-runtime",
    )
    for generation, restarted in ((1, {SERVER}), (2, set())):  # every converge runs again
        before = k3s_starts(cluster, machines)
        cluster.config["k3s"]["generation"] = generation
        cluster.up_k3s_only()
        after = k3s_starts(cluster, machines)
        assert {name for name in after if after[name] != before[name]} == restarted


def test_upgrade_stops_at_a_blocked_drain_and_continues_later(cluster: StackFixture, machines: Machines):
    cluster.kubectl("apply", "--filename", "-", stdin=BUDGET)
    status = ("get", "pdb", "all-of-them", "--output", "jsonpath={.status.currentHealthy}")
    wait_until("the budget to know its pods", lambda: cluster.kubectl(*status) == "2")
    cluster.config["k3s"].update(version=PATCH, drainOnPatch=True, drainTimeoutSeconds=3)
    said = cluster.expect_failure(cluster.up)
    assert re.search(
        rf"gpu-\d: still here after 3 s: default/{WORKLOAD}-\S+ ?; the upgrade did not begin", said
    )
    assert "disruption budget" in said
    assert versions(cluster)[SERVER] == PATCH
    with_pods = {pod["spec"]["nodeName"] for pod in cluster.get("pods", "-l", f"app={WORKLOAD}")["items"]}
    assert {versions(cluster)[node] for node in with_pods} == {OURS}
    assert not [n for n in cluster.get("nodes")["items"] if n["spec"].get("unschedulable")]

    cluster.kubectl("delete", "pdb", "all-of-them")
    cluster.up()
    assert set(versions(cluster).values()) == {PATCH}


def test_documented_rollback_to_a_snapshot_and_its_version(cluster: StackFixture, machines: Machines):
    """Follows docs/guides/operations.md."""
    cluster.kubectl("create", "configmap", "made-after-the-snapshot")
    cluster.config["k3s"].update(version=OURS, drainOnPatch=False)
    said = cluster.expect_failure(cluster.up)
    assert "k3s cannot be downgraded in place" in said

    for machine in [*(machines[name] for name in AGENTS), machines[SERVER]]:
        cluster.run_on(machine, "systemctl stop k3s-agent k3s 2>/dev/null || :; rm /usr/local/bin/k3s")
    cluster.run_on(
        machines[SERVER],
        f"cd /var/lib/rancher/k3s/server && mv db db.after && tar -xf snapshots/{OURS}.tar",
    )
    cluster.up()
    assert set(versions(cluster).values()) == {OURS}
    names = [one["metadata"]["name"] for one in cluster.get("configmaps")["items"]]
    assert "made-after-the-snapshot" not in names
    assert len(cluster.get("pods", "-l", f"app={WORKLOAD}")["items"]) == 2


def test_another_profile_for_one_node_leaves_the_others_alone(cluster: StackFixture, machines: Machines):
    """The node moves to another pool; the workload is restricted to its own pool from now on."""
    pools, (*others, moved) = cluster.config["pools"], AGENTS
    pools["rtx"]["hosts"] = {name: AGENTS[name] for name in others}
    gpu = {**pools["rtx"]["gpu"], "profile": "none"}
    pools["whole"] = {**pools["rtx"], "hosts": {moved: AGENTS[moved]}, "gpu": gpu}
    cluster.config["workloads"][WORKLOAD]["pool"] = "rtx"
    before, k3s = {name: plugin_state(cluster, name) for name in others}, k3s_starts(cluster, machines)
    # The nodes' labels, the gate, who has to be moved (nobody), the workload.
    assert cluster.up()["update"] == len(AGENTS) + 3
    assert offered(cluster, moved) == {"nvidia.com/gpu": "1"}
    assert label(cluster, moved, "gpu.product") == "NVIDIA-GeForce-RTX-2080-Ti"
    assert {name: plugin_state(cluster, name) for name in others} == before
    assert k3s_starts(cluster, machines) == k3s
    with_pods = {pod["spec"]["nodeName"] for pod in cluster.get("pods", "-l", f"app={WORKLOAD}")["items"]}
    assert with_pods <= set(others)
    labelled = cluster.get("nodes", "--selector", "k3s-gpu-sharing/pool=rtx")["items"]
    assert {node["metadata"]["name"] for node in labelled} == set(others)
