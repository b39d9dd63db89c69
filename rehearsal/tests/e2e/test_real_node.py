"""Real kubelets with containerd and runc, on a server and an agent: what kwok cannot show."""

import json
from collections.abc import Iterator

import pytest

from rehearsal.lab import ssh
from rehearsal.lab.fixture import StackFixture, stack_config, stack_fixture, wait_until
from rehearsal.lab.machine_records import RunningMachine
from rehearsal.process import RehearsalError
from rehearsal.toolchain import images

SERVER, AGENT = "box-1", "box-2"
ADDRESSES = {SERVER: "10.77.0.231", AGENT: "10.77.0.232"}

Machines = dict[str, RunningMachine]


@pytest.fixture(scope="module")
def cluster(real_kubelets: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    config = stack_config("single")
    config["pools"] = {
        "control": {"role": "server", "hosts": {SERVER: ADDRESSES[SERVER]}},
        "workers": {"role": "agent", "hosts": {AGENT: ADDRESSES[AGENT]}},
    }
    config["gpuOperator"] = {"enabled": False}
    del config["sharing"], config["workloads"]
    with stack_fixture("real", tmp_path_factory.mktemp("real"), config, kubelets="real") as one:
        yield one


@pytest.fixture(scope="module")
def machines(cluster: StackFixture) -> Machines:
    """The machines, with a pod on each that prints one line and sleeps."""
    machines = cluster.start_machines()
    cluster.up()
    for node in ADDRESSES:
        cluster.kubectl("apply", "--filename", "-", stdin=json.dumps(sleeper(node)))
        wait_until(f"a pod on {node}", lambda node=node: status(cluster, node)["phase"] == "Running")
    return machines


def sleeper(node: str) -> dict:
    """A pod on `node`, named after it."""
    container = {
        "name": "main",
        "image": images.CARD_TEST[0],
        "command": ["sh", "-c", "echo awake; exec sleep 3600"],
        "resources": {"limits": {"memory": "32Mi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"on-{node}", "namespace": "default"},
        "spec": {"nodeName": node, "containers": [container], "terminationGracePeriodSeconds": 0},
    }


def status(cluster: StackFixture, node: str) -> dict:
    """The status of the pod on `node`."""
    return cluster.get("pod", f"on-{node}")["status"]


def container(cluster: StackFixture, node: str) -> str:
    """The id of the container of the pod on `node` while it runs, else ""."""
    found = status(cluster, node)["containerStatuses"][0]
    return found["containerID"] if "running" in found["state"] else ""


def runs_commands(cluster: StackFixture, node: str) -> bool:
    """Whether the API can run a command in the pod on `node`."""
    try:
        cluster.kubectl("exec", f"on-{node}", "--", "ls")
    except RehearsalError:
        return False
    return True


def test_api_gives_logs_and_runs_commands(cluster: StackFixture, machines: Machines) -> None:
    for node in ADDRESSES:
        assert cluster.kubectl("logs", f"on-{node}") == "awake"
        # One of the two files is there, by the version of cgroups; cat fails for the other one.
        limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null"
        assert cluster.kubectl("exec", f"on-{node}", "--", "sh", "-c", f"{limit} || true") == str(32 << 20)


def test_service_and_pods_are_reached_from_other_node(cluster: StackFixture, machines: Machines) -> None:
    answer = cluster.run_on(machines[AGENT], "curl --silent --insecure --max-time 10 https://10.43.0.1/ping")
    assert answer == "pong"
    other = status(cluster, SERVER)["podIP"]
    refused = f"curl --silent --max-time 5 http://{other}:1/ || echo $?"
    assert cluster.run_on(machines[AGENT], refused) == "7", "expected the pod itself to refuse"


def test_containers_outlive_restart_of_unit(cluster: StackFixture, machines: Machines) -> None:
    before = container(cluster, AGENT)
    cluster.run_on(machines[AGENT], "systemctl restart k3s-agent")
    wait_until("the new kubelet to know its pods", lambda: runs_commands(cluster, AGENT))
    assert container(cluster, AGENT) == before


def test_reboot_brings_pods_back(cluster: StackFixture, machines: Machines) -> None:
    before, boot = container(cluster, AGENT), ssh.boot_id(machines[AGENT])
    cluster.run_on(machines[AGENT], "systemd-run --on-active=0.2 --quiet systemctl reboot")

    def rebooted() -> bool:
        try:
            return ssh.boot_id(machines[AGENT]) != boot
        except RehearsalError:
            return False

    wait_until("another boot", rebooted)
    wait_until("another container", lambda: container(cluster, AGENT) not in ("", before))


def test_destroy_ends_containers_and_network(cluster: StackFixture, machines: Machines) -> None:
    cluster.destroy()
    left = "pgrep -l 'containerd|pause|sleep'; ip -brief link show type bridge; ls /var/lib/rancher"
    for machine in machines.values():
        assert cluster.run_on(machine, left) == ""
