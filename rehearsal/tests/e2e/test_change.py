"""A cluster over time, on one stack: each test starts from where the one before it ended."""

import json
import re
from collections.abc import Iterator

import pytest

from rehearsal.lab import machines
from rehearsal.lab.fixture import Stage, eventually, stack_config, stage
from rehearsal.tests.e2e.objects import label, offered, untouched
from rehearsal.toolchain.golang import K3S_RELEASES

OLDER, OURS, PATCH, MINOR = K3S_RELEASES
SERVER = "server-1"
AGENTS = {f"gpu-{n}": f"10.77.0.{170 + n}" for n in range(1, 5)}
CLUSTER_ONLY = "urn:pulumi:years::k3s-gpu-sharing::k3sgpu:index:K3sCluster**"
WORKLOAD = "nvidia-plugin-test-2"
BUDGET = json.dumps(
    {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "all-of-them", "namespace": "default"},
        "spec": {"minAvailable": "100%", "selector": {"matchLabels": {"app": WORKLOAD}}},
    }
)

Booted = dict[str, machines.Booted]


@pytest.fixture(scope="module")
def years(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    config = stack_config("dev")
    config["pools"]["control"]["hosts"] = {SERVER: "10.77.0.170"}
    config["pools"]["rtx"]["hosts"] = AGENTS
    config["k3s"].update(version=OLDER, maxUnavailable=2)
    with stage("years", tmp_path_factory.mktemp("years"), config) as one:
        yield one


@pytest.fixture(scope="module")
def booted(years: Stage) -> Booted:
    """The machines, with the oldest release on them."""
    booted = years.machines_up()
    years.up()
    return booted


def versions(years: Stage) -> dict[str, str]:
    """By node: what its kubelet says it is."""
    nodes = years.get("nodes")["items"]
    return {n["metadata"]["name"]: n["status"]["nodeInfo"]["kubeletVersion"] for n in nodes}


def starts(years: Stage, booted: Booted) -> dict[str, str]:
    """By machine: which start of k3s is running."""
    return {
        name: years.on(machine, "systemctl show --property InvocationID --value 'k3s*'")
        for name, machine in booted.items()
    }


def pods(years: Stage) -> set[str]:
    """The workload's pods, each by an identity that no other ever has."""
    return {pod["metadata"]["uid"] for pod in years.get("pods", "-l", f"app={WORKLOAD}")["items"]}


def told(lines: list[str], what: str) -> list[tuple[str, bool]]:
    """In the engine's order: which Command `what`-HOST began (True) or ended (False)."""
    events = (re.search(rf" cluster-{what}-(\S+) (updating|updated)", line) for line in lines)
    each = [(found[1], found[2] == "updating") for found in events if found]
    return list(dict.fromkeys(each))  # the engine repeats itself with every line of a Command


def test_a_skipped_minor_version_is_refused_before_anything_is_touched(years: Stage, booted: Booted):
    before = starts(years, booted)
    years.config["k3s"]["version"] = MINOR
    said = years.refused(years.up)
    assert f"found:    k3s {OLDER} is installed, and the stack file says {MINOR}" in said
    assert "expected: a release of v1.36" in said
    assert starts(years, booted) == before
    assert set(versions(years).values()) == {OLDER}


def test_an_upgrade_is_server_first_then_agents_two_at_a_time(years: Stage, booted: Booted):
    years.config["k3s"]["version"] = OURS
    begin, pods_before = len(years.said), pods(years)
    years.up()
    said = years.said[begin:]
    assert set(versions(years).values()) == {OURS}

    upkeeps = told(said, "upkeep")
    assert {host for host, _ in upkeeps} == set(AGENTS) and len(upkeeps) == 2 * len(AGENTS)
    working, most = set(), 0
    for host, began in upkeeps:
        (working.add if began else working.discard)(host)
        most = max(most, len(working))
    assert most == 2
    milestones = re.compile(r"cluster-server-\S+ updated|cluster-upkeep-\S+ updating")
    lines = [line for line in said if milestones.search(line)]
    assert f"cluster-server-{SERVER} updated" in lines[0] and f"cluster-server-{SERVER}" not in lines[1]

    # The pods were moved off each node, none was left cordoned, and the old database is at hand.
    assert not pods_before & pods(years)
    assert not [n for n in years.get("nodes")["items"] if n["spec"].get("unschedulable")]
    snapshot = f"/var/lib/rancher/k3s/server/snapshots/{OLDER}.tar"
    assert "db/state.db" in years.on(booted[SERVER], f"tar -tf {snapshot}")
    assert years.on(booted[SERVER], f"stat -c %a {snapshot}") == "600"


def test_a_toolkit_that_appeared_restarts_k3s_once_and_nothing_else_restarts_any(
    years: Stage, booted: Booted
):
    years.on(
        booted[SERVER],
        "mkdir -p /usr/local/nvidia/toolkit; cd /usr/local/nvidia/toolkit;"
        " printf '#!/bin/sh\n' >nvidia-container-runtime; chmod +x nvidia-container-runtime",
    )
    for generation, restarted in ((1, {SERVER}), (2, set())):  # every converge runs again
        before = starts(years, booted)
        years.config["k3s"]["generation"] = generation
        years.up(CLUSTER_ONLY)
        after = starts(years, booted)
        assert {name for name in after if after[name] != before[name]} == restarted


def test_an_upgrade_ends_where_pods_may_not_go_and_goes_on_later(years: Stage, booted: Booted):
    years.kubectl("apply", "--filename", "-", stdin=BUDGET)
    status = ("get", "pdb", "all-of-them", "--output", "jsonpath={.status.currentHealthy}")
    eventually("the budget to know its pods", lambda: years.kubectl(*status) == "2")
    years.config["k3s"].update(version=PATCH, drainOnPatch=True, drainTimeoutSeconds=3)
    said = years.refused(years.up)
    assert re.search(
        rf"gpu-\d: still here after 3 s: default/{WORKLOAD}-\S+ ?; the upgrade did not begin", said
    )
    assert "disruption budget" in said
    assert versions(years)[SERVER] == PATCH
    with_pods = {pod["spec"]["nodeName"] for pod in years.get("pods", "-l", f"app={WORKLOAD}")["items"]}
    assert {versions(years)[node] for node in with_pods} == {OURS}
    assert not [n for n in years.get("nodes")["items"] if n["spec"].get("unschedulable")]

    years.kubectl("delete", "pdb", "all-of-them")
    years.up()
    assert set(versions(years).values()) == {PATCH}


def test_back_to_a_snapshot_and_its_version(years: Stage, booted: Booted):
    """As docs/guides/operations.md says it."""
    years.kubectl("create", "configmap", "made-after-the-snapshot")
    years.config["k3s"].update(version=OURS, drainOnPatch=False)
    said = years.refused(years.up)
    assert "k3s cannot go back in place" in said

    for machine in [*(booted[name] for name in AGENTS), booted[SERVER]]:
        years.on(machine, "systemctl stop k3s-agent k3s 2>/dev/null || :; rm /usr/local/bin/k3s")
    years.on(
        booted[SERVER],
        f"cd /var/lib/rancher/k3s/server && mv db db.after && tar -xf snapshots/{OURS}.tar",
    )
    years.up()
    assert set(versions(years).values()) == {OURS}
    names = [one["metadata"]["name"] for one in years.get("configmaps")["items"]]
    assert "made-after-the-snapshot" not in names
    assert len(years.get("pods", "-l", f"app={WORKLOAD}")["items"]) == 2


def test_one_node_gets_another_profile_and_the_others_do_not_notice(years: Stage, booted: Booted):
    """It goes to another pool; and the workload stays where it is from now on, in its own."""
    pools, (*others, moved) = years.config["pools"], AGENTS
    pools["rtx"]["hosts"] = {name: AGENTS[name] for name in others}
    gpu = {**pools["rtx"]["gpu"], "profile": "none"}
    pools["whole"] = {**pools["rtx"], "hosts": {moved: AGENTS[moved]}, "gpu": gpu}
    years.config["workloads"][WORKLOAD]["pool"] = "rtx"
    before, k3s = {name: untouched(years, name) for name in others}, starts(years, booted)
    # The nodes' labels, the gate, who has to be moved (nobody), the workload.
    assert years.up()["update"] == len(AGENTS) + 3
    assert offered(years, moved) == {"nvidia.com/gpu": "1"}
    assert label(years, moved, "gpu.product") == "NVIDIA-GeForce-RTX-2080-Ti"
    assert {name: untouched(years, name) for name in others} == before
    assert starts(years, booted) == k3s
    with_pods = {pod["spec"]["nodeName"] for pod in years.get("pods", "-l", f"app={WORKLOAD}")["items"]}
    assert with_pods <= set(others)
    labelled = years.get("nodes", "--selector", "k3s-gpu-sharing/pool=rtx")["items"]
    assert {node["metadata"]["name"] for node in labelled} == set(others)
