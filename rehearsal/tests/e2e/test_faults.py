"""The catalogue of faults (a sample, or what FAULTS=… selects), and failures with checks of their own."""

import os
from collections.abc import Iterator

import pytest

from rehearsal.faults.catalogue import CATALOGUE, SAMPLE
from rehearsal.faults.context import K3S_CONFIG, STALE_LOCK_MESSAGE, FaultContext
from rehearsal.faults.fault import Fault
from rehearsal.faults.run import Runner, runner
from rehearsal.faults.selection import select
from rehearsal.lab.fixture import StackFixture, stack_config, stack_fixture, wait_until
from rehearsal.lab.machine_records import RunningMachine

AGENT, SERVER = "gpu-1", "server-1"


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with runner(tmp_path_factory.mktemp("faults"), print) as one:
        yield one


@pytest.mark.parametrize(
    "fault", select(os.environ.get("FAULTS", ""), CATALOGUE, SAMPLE), ids=lambda fault: fault.name
)
def test_a_fault_is_reported_in_time_and_remedied(faults: Runner, fault: Fault):
    result = faults.run(fault)
    assert result.passed, result.failure


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    """The stack of the tests below: each starts from where the one before it ended."""
    config = stack_config("dev")
    config["pools"]["control"]["hosts"] = {SERVER: "10.77.0.131"}
    config["pools"]["rtx"]["hosts"] = {AGENT: "10.77.0.141", "gpu-2": "10.77.0.142", "gpu-3": "10.77.0.143"}
    with stack_fixture("failures", tmp_path_factory.mktemp("failures"), config) as one:
        yield one


@pytest.fixture(scope="module")
def machines(cluster: StackFixture) -> dict[str, RunningMachine]:
    """The machines. One of them has a foreign file next to the operator's."""
    machines = cluster.start_machines()
    theirs = "/etc/containerd/conf.d/99-nvidia.toml"
    cluster.run_on(machines[AGENT], f"mkdir -p $(dirname {theirs}) && echo theirs >{theirs}")
    return machines


def exists(cluster: StackFixture, machine: RunningMachine, path: str) -> bool:
    return cluster.run_on(machine, f"test -e {path} && echo yes || echo no") == "yes"


def test_a_change_after_a_half_failed_install_reaches_every_agent(
    cluster: StackFixture, machines: dict[str, RunningMachine]
):
    cluster.config["k3s"]["startTimeoutSeconds"] = 20
    failing = machines["gpu-2"]
    reject = f"OUTPUT -d {machines[SERVER].address} -p tcp --dport 6443 -j REJECT"
    cluster.run_on(failing, f"iptables -A {reject}")
    cluster.expect_failure(cluster.up)
    cluster.run_on(failing, "iptables -F OUTPUT")
    cluster.config["k3s"]["kubeletArgs"] = {"max-pods": 200}
    cluster.up()
    for name in (AGENT, "gpu-2", "gpu-3"):
        assert "max-pods=200" in cluster.run_on(machines[name], "cat /etc/rancher/k3s/config.yaml")


def test_removed_agents_are_drained_uninstalled_and_deleted(
    cluster: StackFixture, machines: dict[str, RunningMachine]
):
    assert len(cluster.get("nodes")["items"]) == 4
    for name in ("gpu-2", "gpu-3"):
        del cluster.config["pools"]["rtx"]["hosts"][name]
    cluster.up()
    assert {node["metadata"]["name"] for node in cluster.get("nodes")["items"]} == {AGENT, SERVER}
    for name in ("gpu-2", "gpu-3"):
        assert not exists(cluster, machines[name], "/usr/local/bin/k3s")

    def nodes_of_pods() -> set[str]:
        pods = cluster.get("pods", "--selector", "app=nvidia-plugin-test-2")["items"]
        return {pod["spec"].get("nodeName") for pod in pods}

    wait_until("both pods on the remaining node", lambda: nodes_of_pods() == {AGENT})


def test_destroy_removes_operator_files_and_keeps_others(
    cluster: StackFixture, machines: dict[str, RunningMachine]
):
    """The operator's driver mounts the host's own folders below /run/nvidia: nothing is deleted through
    them.
    """
    agent = machines[AGENT]
    cluster.run_on(
        agent,
        "mkdir -p /usr/local/nvidia/toolkit /run/nvidia/driver/var/log && echo kept >/var/log/kept"
        " && mount --bind /var/log /run/nvidia/driver/var/log",
    )
    cluster.destroy()
    assert not exists(cluster, agent, "/usr/local/nvidia") and not exists(cluster, agent, "/run/nvidia")
    assert cluster.run_on(agent, "cat /var/log/kept /etc/containerd/conf.d/99-nvidia.toml") == "kept\ntheirs"


def test_the_next_up_completes_a_killed_one(cluster: StackFixture, machines: dict[str, RunningMachine]):
    server = machines[SERVER]
    context = FaultContext(cluster, machines)
    context.kill_run_when("the server's configuration", context.file_exists(SERVER, K3S_CONFIG))
    # The script on the machine continues when the connection is lost.
    ready = "k3s kubectl get --raw /readyz >/dev/null 2>&1 && echo ready || :"
    wait_until("the server to become ready by itself", lambda: cluster.run_on(server, ready))
    start = cluster.run_on(server, "systemctl show --property InvocationID --value k3s")
    cluster.up()
    assert STALE_LOCK_MESSAGE in cluster.output
    assert cluster.run_on(server, "systemctl show --property InvocationID --value k3s") == start
    assert cluster.get("node", AGENT)["status"]["allocatable"]["nvidia.com/gpu"] == "6"
    assert set(cluster.up()) == {"same"}
