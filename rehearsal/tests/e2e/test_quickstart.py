"""A cluster from the first preview to destroy, on one stack: each test continues where the last one ended."""

import json
import time
from collections.abc import Iterator

import pytest

from rehearsal.faults import leaks
from rehearsal.lab import network, traces
from rehearsal.lab.fixture import StackFixture, stack_config, stack_fixture, wait_until
from rehearsal.lab.machine_records import RunningMachine
from rehearsal.lab.objects import deployment, label, offered, phases, unscheduled
from rehearsal.lab.trace import logins
from rehearsal.process import run

AGENT, SERVER = "gpu-1", "server-1"
ONE_GPU_POD = json.dumps(
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "gpu-operator-test", "namespace": "default"},
        "spec": {
            "restartPolicy": "OnFailure",
            "containers": [
                {
                    "name": "cuda-vector-add",
                    "image": "nvcr.io/nvidia/cloud-native/gpu-operator-validator:v22.9.0",
                    "resources": {"limits": {"nvidia.com/gpu": "1"}},
                }
            ],
        },
    }
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    config = stack_config("dev")
    config["pools"]["control"]["hosts"] = {SERVER: "10.77.0.111"}
    config["pools"]["rtx"]["hosts"] = {AGENT: "10.77.0.121"}
    with stack_fixture("quickstart", tmp_path_factory.mktemp("quickstart"), config) as one:
        yield one


@pytest.fixture(scope="module", autouse=True)
def sampler(cluster: StackFixture) -> Iterator[leaks.Sampler]:
    """Samples process lists and temporary files during all tests of this file."""
    with leaks.sampling(cluster.stack.state / "temporary") as one:
        yield one


@pytest.fixture(scope="module")
def machines(cluster: StackFixture) -> dict[str, RunningMachine]:
    return cluster.start_machines()


@pytest.fixture(scope="module")
def before(machines: dict[str, RunningMachine]) -> dict[str, set[str]]:
    """What is on each machine before the first `up`."""
    return {name: traces.snapshot(machine) for name, machine in machines.items()}


def test_first_preview_shows_everything(cluster: StackFixture, before):
    assert cluster.preview() == {"create": 29}
    assert "4 of 6 slices taken" in "\n".join(cluster.output)


def test_a_gpu_pod_is_pending_without_the_operator(cluster: StackFixture, machines):
    began = time.time()
    cluster.up_k3s_only()
    # doctor's look, staging and the join; for the server converge, tokens, kubeconfig and nodes in its place.
    assert logins(machines, began, time.time()) == {AGENT: 3, SERVER: 6}
    cluster.kubectl("apply", "--filename", "-", stdin=ONE_GPU_POD)

    def message() -> str:
        pod = cluster.get("pod", "gpu-operator-test")
        conditions = {c["type"]: c for c in pod["status"].get("conditions", [])}
        return conditions.get("PodScheduled", {}).get("message", "")

    wanted = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu"
    wait_until(f"a message that begins {wanted!r}", lambda: message().startswith(wanted))
    cluster.kubectl("delete", "pod", "gpu-operator-test")


def test_an_unshared_card_runs_one_pod_of_two(cluster: StackFixture, machines):
    """Two pods on one unshared card; the fit predicts the scheduler's message."""
    gpu, workloads = cluster.config["pools"]["rtx"]["gpu"], cluster.config["workloads"]
    shared, gpu["profile"] = gpu["profile"], "none"
    words = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
    cluster.config["workloads"] = {"nvidia-plugin-test": {"replicas": 2}}
    assert f"1 of 2 pods stays Pending: {words}" in cluster.expect_failure(cluster.preview)
    cluster.config["workloads"] = {}
    cluster.up()
    assert offered(cluster, AGENT) == {"nvidia.com/gpu": "1"}
    assert label(cluster, AGENT, "gpu.product") == "NVIDIA-GeForce-RTX-2080-Ti"
    cluster.kubectl("apply", "--filename", "-", stdin=deployment("two", replicas=2))
    wait_until("one pod of two to run", lambda: phases(cluster, "two") == ["Pending", "Running"])
    wait_until(f"a message with {words!r}", lambda: words in unscheduled(cluster, "two"))
    cluster.kubectl("delete", "deployment", "two")
    gpu["profile"], cluster.config["workloads"] = shared, workloads


def test_up_ends_with_six_slices_and_two_pods(cluster: StackFixture, machines):
    cluster.up()
    nodes = {node["metadata"]["name"]: node for node in cluster.get("nodes")["items"]}
    assert set(nodes) == {AGENT, SERVER}
    for node in nodes.values():
        ready = {c["type"]: c["status"] for c in node["status"]["conditions"]}["Ready"]
        assert ready == "True"
    gpu = nodes[AGENT]
    assert gpu["status"]["capacity"]["nvidia.com/gpu"] == "6"
    assert gpu["status"]["allocatable"]["nvidia.com/gpu"] == "6"
    assert gpu["metadata"]["labels"]["nvidia.com/gpu.product"] == "NVIDIA-GeForce-RTX-2080-Ti-SHARED"
    pods = cluster.get("pods", "--selector", "app=nvidia-plugin-test-2")["items"]
    assert [pod["status"]["phase"] for pod in pods] == ["Running", "Running"]
    assert {pod["spec"]["nodeName"] for pod in pods} == {AGENT}
    told = cluster.stack.describe_cluster(cluster.tools)
    assert "6 capacity, 6 allocatable, 4 allocated" in told
    assert "nvidia-plugin-test-2: 2 of 2 Running" in told
    assert "4 of 6 slices taken" in told


def test_a_second_up_changes_nothing(cluster: StackFixture, machines):
    before = [k3s_start(cluster, machine) for machine in machines.values()]
    assert cluster.up() == {"same": 29}
    assert before == [k3s_start(cluster, machine) for machine in machines.values()]


def test_preview_needs_neither_machines_nor_cluster(cluster: StackFixture, machines):
    links = [network.interface(machine.name) for machine in machines.values()]
    try:
        for link in links:
            run(["ip", "link", "set", link, "down"], timeout=10)
        assert cluster.preview() == {"same": 29}
        said = cluster.expect_failure(lambda: cluster.preview(refresh=True))
    finally:
        for link in links:
            run(["ip", "link", "set", link, "up"], timeout=10)
    wait_until("an API server that answers again", lambda: cluster.get("nodes")["items"])
    # A node that was away takes its pods' readiness along for a while.
    wait_until("pods that are ready again", lambda: available(cluster))
    assert "unreachable" in said and "10.77.0.111:6443" in said and "Traceback" not in said


def available(cluster: StackFixture) -> bool:
    """Whether the workload's Deployment is Available."""
    conditions = cluster.get("deployment", "nvidia-plugin-test-2")["status"]["conditions"]
    return any(one["type"] == "Available" and one["status"] == "True" for one in conditions)


def test_preview_with_refresh_shows_manual_changes(cluster: StackFixture, machines):
    """As the drift workflow runs it."""
    assert cluster.preview(refresh=True) == {"same": 29}
    cluster.kubectl("label", "--overwrite", "node", AGENT, "accelerator=by-hand")
    try:
        before = len(cluster.output)
        assert cluster.preview(refresh=True) == {"same": 28, "update": 1}
        assert "gpu-sharing-gpu-1" in "\n".join(cluster.output[before:])
    finally:
        cluster.kubectl("label", "--overwrite", "node", AGENT, "accelerator=NVIDIA-GeForce-RTX-2080-Ti")
    assert cluster.preview(refresh=True) == {"same": 29}


def test_stack_outputs(cluster: StackFixture, machines):
    told = cluster.stack.engine(cluster.tools).outputs()
    assert told["endpoint"] == "https://10.77.0.111:6443"
    assert told["nodes"][AGENT]["promised"] == {"nvidia.com/gpu": 6}
    assert f"{AGENT}  Ready, nvidia.com/gpu 6" in told["seen"]
    assert told["versions"] == {"k3s": "v1.36.2+k3s1", "gpuOperator": "v26.7.0"}


def test_a_protected_server_is_not_destroyed(cluster: StackFixture, machines):
    cluster.config["k3s"]["protect"] = True
    assert set(cluster.up()) <= {"same", "update"}
    assert "guard" in cluster.expect_failure(cluster.destroy)
    assert cluster.up() == {"same": 29}, "nothing was deleted before the engine came to the server"
    cluster.config["k3s"]["protect"] = False
    assert set(cluster.up()) <= {"same", "update"}


def without_readers_of_the_profile(cluster: StackFixture) -> set[str]:
    """The UIDs of the operator's pods, without those that start anew with a changed profile."""
    readers = ("nvidia-device-plugin-daemonset", "gpu-feature-discovery")
    found = cluster.get(
        "pods", "--namespace", "gpu-operator", "--selector", f"app notin ({','.join(readers)})"
    )["items"]
    return {pod["metadata"]["uid"] for pod in found}


def test_six_slices_become_eight_without_touching_workloads(cluster: StackFixture, machines):
    pods = {pod["metadata"]["uid"] for pod in cluster.get("pods")["items"]}
    operator = without_readers_of_the_profile(cluster)
    profile = cluster.config["sharing"]["profiles"]["2080ti-12gb"]
    profile["timeSlicing"]["resources"][0]["replicas"] = 8
    changes = cluster.up()
    # ConfigMap, the node's label, the gate, who has to be moved (nobody); and nothing else.
    assert changes == {"update": 4, "same": 25}
    assert cluster.get("node", AGENT)["status"]["allocatable"]["nvidia.com/gpu"] == "8"
    assert {pod["metadata"]["uid"] for pod in cluster.get("pods")["items"]} == pods
    assert without_readers_of_the_profile(cluster) == operator


def test_a_changed_k3s_setting_replaces_no_resource(cluster: StackFixture, machines):
    before, starts = cluster.resources(), {name: k3s_start(cluster, one) for name, one in machines.items()}
    cluster.config["k3s"]["kubeletArgs"] = {"max-pods": 200}
    # The server's converge, the agent's upkeep, and the gate.
    assert cluster.up() == {"update": 3, "same": 26}
    after = cluster.resources()
    assert {name: r["created"] for name, r in before.items()} == {n: r["created"] for n, r in after.items()}
    assert {name for name, one in machines.items() if k3s_start(cluster, one) != starts[name]} == {
        AGENT,
        SERVER,
    }
    assert "max-pods=200" in cluster.run_on(machines[AGENT], "cat /etc/rancher/k3s/config.yaml")


def k3s_start(cluster: StackFixture, machine: RunningMachine) -> str:
    return cluster.run_on(machine, "systemctl show --property InvocationID --value 'k3s*'")


def test_a_renamed_host_is_refused_and_its_machine_stays(cluster: StackFixture, machines):
    hosts = cluster.config["pools"]["rtx"]["hosts"]
    start = k3s_start(cluster, machines[AGENT])
    hosts["gpu-a"] = hosts.pop(AGENT)
    try:
        said = cluster.expect_failure(cluster.up)
    finally:
        hosts[AGENT] = hosts.pop("gpu-a")
    assert "gpu-1" in said and "keep" in said
    assert k3s_start(cluster, machines[AGENT]) == start
    assert cluster.run_on(machines[AGENT], "systemctl is-active k3s-agent") == "active"
    assert cluster.up().get("same", 0) >= 26


def test_no_secret_is_exposed_anywhere(cluster: StackFixture, machines, sampler: leaks.Sampler):
    names = {secret.name for secret in leaks.secrets_of(cluster, machines.values())}
    assert {"the private key", "the administrator's key", f"{SERVER}'s token"} < names
    assert leaks.scan(cluster, machines, sampler) == []


def test_destroy_leaves_clean_machines(cluster: StackFixture, machines, before):
    cluster.destroy()
    assert cluster.resources() == {}
    for name, machine in machines.items():
        assert traces.snapshot(machine) - before[name] == set(), name
        units = "systemctl list-units --all --no-legend 'k3s*'"
        assert cluster.run_on(machine, units) == ""
