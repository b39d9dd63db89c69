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


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    config = stack_config("dev")
    config["pools"]["control"]["hosts"] = {SERVER: "10.77.0.131"}
    config["pools"]["rtx"]["hosts"] = {AGENT: "10.77.0.141"}
    with stack_fixture("failures", tmp_path_factory.mktemp("failures"), config) as one:
        yield one


def is_there(cluster: StackFixture, machine: RunningMachine, path: str) -> bool:
    return cluster.run_on(machine, f"test -e {path} && echo yes || echo no") == "yes"


def test_the_next_up_completes_a_killed_one(cluster: StackFixture):
    machines = cluster.start_machines()
    server = machines[SERVER]
    context = FaultContext(cluster, machines)
    context.kill_run_when("the start of the server's unit", context.file_exists(SERVER, K3S_CONFIG))
    # The machine finishes what it had begun, deaf to the hang-up.
    ready = "k3s kubectl get --raw /readyz >/dev/null 2>&1 && echo ready || :"
    wait_until("the server to become ready by itself", lambda: cluster.run_on(server, ready))
    start = cluster.run_on(server, "systemctl show --property InvocationID --value k3s")
    cluster.up()
    assert STALE_LOCK_MESSAGE in cluster.output
    assert cluster.run_on(server, "systemctl show --property InvocationID --value k3s") == start
    assert cluster.get("node", AGENT)["status"]["allocatable"]["nvidia.com/gpu"] == "6"
    assert set(cluster.up()) == {"same"}


def test_destroy_removes_operator_files_and_keeps_others(cluster: StackFixture):
    """Its driver mounts the host's own folders below /run/nvidia: nothing may be deleted through them."""
    machines = cluster.start_machines()
    agent = machines[AGENT]
    cluster.run_on(
        agent, "mkdir -p /etc/containerd/conf.d && echo theirs >/etc/containerd/conf.d/99-nvidia.toml"
    )
    cluster.up()
    cluster.run_on(
        agent,
        "mkdir -p /usr/local/nvidia/toolkit /run/nvidia/driver/var/log && echo kept >/var/log/kept"
        " && mount --bind /var/log /run/nvidia/driver/var/log",
    )
    cluster.destroy()
    assert not is_there(cluster, agent, "/usr/local/nvidia") and not is_there(cluster, agent, "/run/nvidia")
    assert cluster.run_on(agent, "cat /var/log/kept /etc/containerd/conf.d/99-nvidia.toml") == "kept\ntheirs"


def test_a_change_after_a_half_failed_install_reaches_every_agent(cluster: StackFixture):
    cluster.config["pools"]["rtx"]["hosts"].update({"gpu-2": "10.77.0.142", "gpu-3": "10.77.0.143"})
    cluster.config["k3s"]["startTimeoutSeconds"] = 20
    machines = cluster.start_machines()
    cluster.run_on(
        machines["gpu-2"], f"iptables -A OUTPUT -d {machines[SERVER].address} -p tcp --dport 6443 -j REJECT"
    )
    cluster.expect_failure(cluster.up)
    cluster.run_on(machines["gpu-2"], "iptables -F OUTPUT")
    cluster.config["k3s"]["kubeletArgs"] = {"max-pods": 200}
    cluster.up()
    for name in (AGENT, "gpu-2", "gpu-3"):
        assert "max-pods=200" in cluster.run_on(machines[name], "cat /etc/rancher/k3s/config.yaml")


def test_a_removed_agent_is_drained_uninstalled_and_deleted(cluster: StackFixture):
    cluster.config["pools"]["rtx"]["hosts"]["gpu-2"] = "10.77.0.142"
    machines = cluster.start_machines()
    cluster.up()
    assert len(cluster.get("nodes")["items"]) == 3
    del cluster.config["pools"]["rtx"]["hosts"]["gpu-2"]
    cluster.up()
    assert {node["metadata"]["name"] for node in cluster.get("nodes")["items"]} == {AGENT, SERVER}
    assert not is_there(cluster, machines["gpu-2"], "/usr/local/bin/k3s")

    def nodes_of_pods() -> set[str]:
        pods = cluster.get("pods", "--selector", "app=nvidia-plugin-test-2")["items"]
        return {pod["spec"].get("nodeName") for pod in pods}

    wait_until("both pods on the remaining node", lambda: nodes_of_pods() == {AGENT})
