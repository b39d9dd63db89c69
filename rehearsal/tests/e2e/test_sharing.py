"""Sharing strategies: one stack with two pools; a change of one pool leaves the other alone."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from k3sgpu.timeouts import SNAPSHOT_SECONDS
from rehearsal import __main__ as command
from rehearsal.faults.context import FaultContext
from rehearsal.faults.sharing import break_config_map
from rehearsal.lab import machine_records
from rehearsal.lab.fixture import StackFixture, stack_config, stack_fixture, wait_until
from rehearsal.lab.objects import (
    cordoned_by_drain,
    deployment,
    forbid_eviction,
    label,
    offered,
    phases,
    plugin_state,
    pods,
    unscheduled,
)
from rehearsal.progress import Progress

RTX, A100 = "gpu-1", "gpu-2"
CUT = {"1g.5gb": 2, "2g.10gb": 1, "3g.20gb": 1}
TWO_SLICES = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "two-slices", "namespace": "default"},
    "spec": {
        "nodeName": RTX,
        "containers": [
            {"name": "main", "image": "none", "resources": {"limits": {"nvidia.com/gpu": "2"}}},
        ],
    },
}
GATE_SECONDS = 5  # timeout of the readiness gate when it must fail


def slices(*of: tuple[str, int], **more: Any) -> dict[str, Any]:
    return {"resources": [{"name": name, "replicas": count} for name, count in of], **more}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    """A server with a card, and an agent with an A100 that is cut into partitions."""
    config = stack_config("single")
    config["pools"]["box"]["hosts"] = {RTX: "10.77.0.201"}
    config["pools"]["box"]["gpu"]["driverVersion"] = "580"
    config["pools"]["a100"] = {
        "role": "agent",
        "hosts": {A100: "10.77.0.202"},
        "gpu": {
            "product": "NVIDIA-A100-SXM4-40GB",
            "count": 1,
            "memoryMiB": 40960,
            "profile": "a100-40gb",
            "driverVersion": "535.183.01",
            "mig": CUT,
        },
    }
    config["sharing"]["profiles"]["a100-40gb"] = {
        "migStrategy": "mixed",
        "timeSlicing": slices(
            ("nvidia.com/gpu", 8),
            ("nvidia.com/mig-1g.5gb", 2),
            ("nvidia.com/mig-2g.10gb", 2),
            ("nvidia.com/mig-3g.20gb", 3),
            ("nvidia.com/mig-7g.40gb", 7),
        ),
    }
    config["workloads"] = {}
    config["k3s"]["drainTimeoutSeconds"] = 8
    # Kubernetes misses a node after 50 seconds; one renews its lease every ten.
    config["k3s"]["config"] = {"kube-controller-manager-arg": ["node-monitor-grace-period=25s"]}
    with stack_fixture("sharing", tmp_path_factory.mktemp("sharing"), config) as one:
        yield one


def profile(cluster: StackFixture, pool: str, name: str) -> None:
    cluster.config["pools"][pool]["gpu"]["profile"] = name


def replicas(cluster: StackFixture, count: int) -> None:
    cluster.config["sharing"]["profiles"]["2080ti-12gb"]["timeSlicing"]["resources"][0]["replicas"] = count


def fail_at_the_gate(cluster: StackFixture, seconds: int = GATE_SECONDS) -> str:
    """Runs an `up` whose readiness gate times out after `seconds`; returns the output."""
    cluster.config["gpuOperator"]["readyTimeoutSeconds"] = seconds
    said = cluster.expect_failure(cluster.up)
    del cluster.config["gpuOperator"]["readyTimeoutSeconds"]
    waited = re.search(r"doctor cluster after (\d+) s: ", said)
    assert waited and seconds <= int(waited[1]) <= seconds + SNAPSHOT_SECONDS, said
    return said


def both_verdicts(
    cluster: StackFixture, capfd: pytest.CaptureFixture[str], seconds: int = GATE_SECONDS
) -> tuple[str, str]:
    """The output of an `up` that fails at the gate, and of `make doctor` afterwards."""
    said = fail_at_the_gate(cluster, seconds)
    capfd.readouterr()
    assert command.doctor(cluster.stack, Progress()) == 1
    return said, capfd.readouterr().out


def ready(cluster: StackFixture, node: str) -> bool:
    conditions = {one["type"]: one["status"] for one in cluster.get("node", node)["status"]["conditions"]}
    return conditions["Ready"] == "True"


def hold(cluster: StackFixture, name: str, *, on: str, resource: str = "nvidia.com/gpu") -> None:
    """Creates a Deployment with one pod that holds a slice, a card or a partition."""
    cluster.kubectl("apply", "--filename", "-", stdin=deployment(name, resource=resource, on=on))
    wait_until("a pod with a GPU", lambda: phases(cluster, name) == ["Running"])


def test_each_pool_gets_its_own_sharing_strategy(cluster: StackFixture):
    cluster.start_machines()
    cluster.up()
    assert offered(cluster, RTX) == {"nvidia.com/gpu": "6"}
    assert offered(cluster, A100) == {
        "nvidia.com/mig-1g.5gb": "4",
        "nvidia.com/mig-2g.10gb": "2",
        "nvidia.com/mig-3g.20gb": "3",
    }
    assert label(cluster, RTX, "gpu.product") == "NVIDIA-GeForce-RTX-2080-Ti-SHARED"
    assert label(cluster, A100, "gpu.product") == "NVIDIA-A100-SXM4-40GB"
    assert label(cluster, A100, "mig-3g.20gb.product") == "NVIDIA-A100-SXM4-40GB-MIG-3g.20gb-SHARED"
    said = "\n".join(cluster.output)
    assert "nvidia.com/mig-7g.40gb, which no card of pool a100 provides" in said


def test_a_profile_that_the_plugin_rejects_is_refused(cluster: StackFixture):
    before = plugin_state(cluster, RTX), plugin_state(cluster, A100)
    replicas(cluster, 1)
    said = cluster.expect_failure(cluster.up)
    replicas(cluster, 6)
    assert 'NVIDIA\'s plugin stops with "number of replicas must be >= 2"' in said
    assert (plugin_state(cluster, RTX), plugin_state(cluster, A100)) == before


def test_another_driver_than_declared_is_refused(cluster: StackFixture):
    """A workload's image is checked against the declared driver; the machines have the one of the first
    `up`.
    """
    before = plugin_state(cluster, RTX), plugin_state(cluster, A100)
    gpu, image = cluster.config["pools"]["box"]["gpu"], "nvcr.io/nvidia/cuda:13.0.1-base-ubuntu24.04"
    declared, gpu["driverVersion"] = gpu["driverVersion"], "550"
    cluster.config["workloads"] = {"newer": {"replicas": 1, "gpus": 1, "pool": "box", "image": image}}
    said = cluster.expect_failure(cluster.up)
    gpu["driverVersion"], cluster.config["workloads"] = declared, {}
    for words in (
        f"{image}, of CUDA 13, on pool box with driver 550",
        "found:    NVIDIA's driver 580.126.20",
        "expected: 550, as declared: what runs on the cards was checked against it",
        'remedy:   driverVersion: "580.126.20" in the pool, if that is right; else install driver 550',
    ):
        assert words in said, words
    assert re.search(rf"^\W*{RTX}  .*\n\W*error: driver", said, re.MULTILINE), "the host is named"
    assert (plugin_state(cluster, RTX), plugin_state(cluster, A100)) == before


def test_readiness_gate_names_the_cause_on_each_node(cluster: StackFixture):
    """One device plugin does not start with its file; the other node is excluded by a label."""
    cluster.kubectl("label", "node", A100, "nvidia.com/gpu.deploy.operands=false")
    break_config_map(FaultContext(cluster, {}))
    said = fail_at_the_gate(cluster)
    for words in (
        "found:    0",
        "the device plugin does not start with its configuration",
        "found:    nvidia-device-plugin CrashLoopBackOff",
        "number of replicas must be >= 2",
        "found:    no pod on this node",
        f"the operator does not count {A100} among the GPU nodes, or its operands are switched off there",
        f"kubectl get node {A100} -L nvidia.com/gpu.present,nvidia.com/gpu.deploy.operands",
    ):
        assert words in said, words
    cluster.kubectl("label", "node", A100, "nvidia.com/gpu.deploy.operands-")
    replicas(cluster, 5)
    cluster.up()
    assert offered(cluster, RTX) == {"nvidia.com/gpu": "5"}
    assert offered(cluster, A100)["nvidia.com/mig-3g.20gb"] == "3"


def test_a_node_that_is_not_ready_is_reported_alone(cluster: StackFixture, capfd: pytest.CaptureFixture[str]):
    (agent,) = (one for one in machine_records.recorded("sharing") if one.host == A100)
    cluster.run_on(agent, "systemctl stop k3s-agent")
    wait_until(f"{A100} to be missed", lambda: not ready(cluster, A100))
    replicas(cluster, 6)
    try:
        # Long enough for the other node, so that this one is the only problem.
        verdicts = both_verdicts(cluster, capfd, seconds=15)
    finally:
        cluster.run_on(agent, "systemctl start k3s-agent")
    for verdict in verdicts:
        for words in (
            ": 1 error",
            f"{A100}  expected: Ready, ",
            "found:    not Ready: Kubelet stopped posting node status.",
            "expected: Ready",
            f'on {A100}: sudo systemctl status "k3s*"; sudo journalctl -n 50 -u "k3s*" --no-pager',
            "is its machine lost for good? Then set gone: true on the host in the stack file",
        ):
            assert words in verdict, words
    cluster.up()
    assert ready(cluster, A100) and offered(cluster, RTX) == {"nvidia.com/gpu": "6"}


def test_printed_remedy_restores_a_deleted_cluster_policy(
    cluster: StackFixture, capfd: pytest.CaptureFixture[str]
):
    others = offered(cluster, A100)
    cluster.kubectl("delete", "clusterpolicy", "cluster-policy")
    replicas(cluster, 5)
    told, by_hand = both_verdicts(cluster, capfd)
    for said in (told, by_hand):
        for words in (
            f"{RTX}  expected: Ready, nvidia.com/gpu 5",
            "found:    no such DaemonSet",
            "see ClusterPolicy: without one the operator makes nothing on a node",
            "found:    none in the cluster, though the operator runs",
            "expected: one that is ready",
            "then pulumi up --refresh",
        ):
            assert words in said, words
    forget = re.search(r"kubectl (-n gpu-operator delete secret -l \S+)", told)
    assert forget
    cluster.kubectl(*forget[1].split())
    cluster.refresh()
    cluster.up()
    assert offered(cluster, RTX) == {"nvidia.com/gpu": "5"} and offered(cluster, A100) == others


def test_sharing_is_switched_off_for_one_pool_only(cluster: StackFixture):
    before = plugin_state(cluster, A100)
    profile(cluster, "box", "none")
    assert cluster.up()["update"] == 3  # the node's label, the gate, who has to be moved (nobody)
    assert offered(cluster, RTX) == {"nvidia.com/gpu": "1"}
    assert label(cluster, RTX, "gpu.sharing-strategy") == "none"
    assert label(cluster, RTX, "gpu.product") == "NVIDIA-GeForce-RTX-2080-Ti"
    assert plugin_state(cluster, A100) == before


def test_a_disruption_budget_blocks_a_change_of_strategy(cluster: StackFixture):
    hold(cluster, "sharer", on=RTX)
    forbid_eviction(cluster, "sharer")
    before = plugin_state(cluster, RTX), plugin_state(cluster, A100), pods(cluster, "sharer").keys()
    cluster.config["sharing"]["profiles"]["clients"] = {"mps": slices(("nvidia.com/gpu", 4))}
    profile(cluster, "box", "clients")
    said = cluster.expect_failure(cluster.up)
    assert f"{RTX}: pod default/sharer-" in said and "disruption budget" in said
    assert "their nodes are uncordoned again" in said
    assert not cordoned_by_drain(cluster, RTX)
    assert (
        plugin_state(cluster, RTX),
        plugin_state(cluster, A100),
        pods(cluster, "sharer").keys(),
    ) == before
    assert label(cluster, RTX, "device-plugin.config") == "none"


def test_mps_starts_after_a_drain_and_rejects_larger_requests(cluster: StackFixture):
    before, old = offered(cluster, A100), pods(cluster, "sharer")
    cluster.kubectl("delete", "pdb", "sharer")
    cluster.up()
    assert offered(cluster, RTX) == {"nvidia.com/gpu": "4"}
    assert label(cluster, RTX, "gpu.sharing-strategy") == "mps"
    assert offered(cluster, A100) == before
    assert not cordoned_by_drain(cluster, RTX)
    wait_until("the pod that was moved away to run again", lambda: phases(cluster, "sharer") == ["Running"])
    assert not old.keys() & pods(cluster, "sharer").keys()
    cluster.kubectl("delete", "deployment", "sharer")
    cluster.kubectl("apply", "--filename", "-", stdin=json.dumps(TWO_SLICES))

    def refusal() -> str:
        status = cluster.get("pod", "two-slices")["status"]
        return status.get("message", "") if status.get("reason") == "UnexpectedAdmissionError" else ""

    words = "maximum request size for shared resources is 1; found 2"
    wait_until(f"a refusal: {words}", lambda: words in refusal())
    cluster.kubectl("delete", "pod", "two-slices", "--force")


def test_a_deployment_whose_pods_are_rejected_is_reported(
    cluster: StackFixture, capfd: pytest.CaptureFixture[str]
):
    """Its ReplicaSet makes pods without a pause, none of which ever runs."""
    cluster.kubectl("apply", "--filename", "-", stdin=deployment("greedy", count=2, on=RTX))
    wait_until("five rejected pods", lambda: phases(cluster, "greedy").count("Failed") >= 5)
    capfd.readouterr()
    assert command.doctor(cluster.stack, Progress()) == 0
    said = capfd.readouterr().out
    for words in (
        "warning: rejected-pods",
        "pods rejected by the kubelet in ",
        "maximum request size for shared resources is 1; found 2, which is unexpected",
        "ask for one slice",
        "failRequestsGreaterThanOne from the profile",
    ):
        assert words in said, words
    stop = re.search(r"kubectl (-n default scale deployment/greedy --replicas=0)", said)
    clean = re.search(r"kubectl (-n default delete pods --field-selector status.phase=Failed -l \S+)", said)
    assert stop and clean
    cluster.kubectl(*stop[1].split())
    wait_until("no more pods", lambda: set(phases(cluster, "greedy")) == {"Failed"})
    seen = pods(cluster, "greedy").values()
    assert not any(pod["status"].get("containerStatuses") for pod in seen)
    cluster.kubectl(*clean[1].split())
    assert not pods(cluster, "greedy")
    cluster.kubectl("delete", "deployment", "greedy")


def test_a_renamed_profile_with_renamed_slices_leaves_nothing_behind(cluster: StackFixture):
    before = plugin_state(cluster, RTX)
    profiles = cluster.config["sharing"]["profiles"]
    slicing = slices(("nvidia.com/mig-1g.5gb", 3), renameByDefault=True)
    del profiles["a100-40gb"]
    profiles["cut"] = {"migStrategy": "mixed", "timeSlicing": slicing}
    profile(cluster, "a100", "cut")
    cluster.up()
    assert offered(cluster, A100) == {
        "nvidia.com/mig-1g.5gb.shared": "6",
        "nvidia.com/mig-2g.10gb": "1",
        "nvidia.com/mig-3g.20gb": "1",
    }
    assert label(cluster, A100, "mig-1g.5gb.product") == "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb"
    data = cluster.get("configmap", "time-slicing-config", "--namespace", "gpu-operator")["data"]
    assert not any(key.startswith("a100-40gb") for key in data)
    assert plugin_state(cluster, RTX) == before


def partition(cluster: StackFixture) -> None:
    """Gives the A100 the partitions that are declared, as its administrator does; the plugin starts anew."""
    machine = cluster.start_machines()[A100]
    cluster.run_on(machine, "systemctl restart k3s-agent")


def test_a_partitioned_card_becomes_whole_after_a_drain(cluster: StackFixture):
    hold(cluster, "holder", on=A100, resource="nvidia.com/mig-3g.20gb")
    forbid_eviction(cluster, "holder")
    before = offered(cluster, A100), plugin_state(cluster, A100), plugin_state(cluster, RTX)
    del cluster.config["pools"]["a100"]["gpu"]["mig"]
    profile(cluster, "a100", "none")
    said = cluster.expect_failure(cluster.up)
    assert "after 8 s these pods still hold GPUs; their nodes are uncordoned again" in said
    assert f"{A100}: pod default/holder-" in said and "disruption budget" in said
    assert not cordoned_by_drain(cluster, A100)
    assert (
        offered(cluster, A100),
        plugin_state(cluster, A100),
        plugin_state(cluster, RTX),
    ) == before

    cluster.kubectl("delete", "pdb", "holder")
    old = pods(cluster, "holder")
    partition(cluster)
    cluster.up()
    assert offered(cluster, A100) == {"nvidia.com/gpu": "1"}
    assert label(cluster, A100, "gpu.product") == "NVIDIA-A100-SXM4-40GB"
    assert not cordoned_by_drain(cluster, A100) and plugin_state(cluster, RTX) == before[2]
    # Nobody offers what it asks for any more; nothing else keeps it from running.
    wanted = "1 Insufficient nvidia.com/mig-3g.20gb"
    wait_until(f"a pod of which is said: {wanted}", lambda: wanted in unscheduled(cluster, "holder"))
    assert not old.keys() & pods(cluster, "holder").keys()
    cluster.kubectl("delete", "deployment", "holder")


def test_missing_partitions_keep_their_node_cordoned(cluster: StackFixture):
    hold(cluster, "holder", on=A100)
    before = plugin_state(cluster, RTX)
    gpu = cluster.config["pools"]["a100"]["gpu"]
    gpu["mig"] = CUT
    profile(cluster, "a100", "cut")
    partition(cluster)
    gpu["mig"] = {"1g.5gb": 7}
    said = fail_at_the_gate(cluster)
    for words in (
        "found:    6",
        "expected: 21",
        f"on {A100}: nvidia-smi -L lists the partitions of its cards",
        "found:    1",
        "expected: 0: its GPUs go by another name",
    ):
        assert words in said, words
    assert cordoned_by_drain(cluster, A100)
    wait_until("the pod to wait", lambda: "1 node(s) were unschedulable" in unscheduled(cluster, "holder"))

    gpu["mig"] = CUT
    cluster.up()
    assert offered(cluster, A100)["nvidia.com/mig-1g.5gb.shared"] == "6"
    assert not cordoned_by_drain(cluster, A100) and plugin_state(cluster, RTX) == before
    cluster.kubectl("delete", "deployment", "holder")


def deleted(said: list[str]) -> list[str]:
    """The kinds in the order in which the engine deleted them."""
    found = [re.search(r"- +kubernetes:\S+:(\w+) .* deleted \(", line) for line in said]
    return [match[1] for match in found if match]


def test_the_operator_is_removed_and_installed_again(cluster: StackFixture):
    promised = {node: offered(cluster, node) for node in (RTX, A100)}
    cluster.config["gpuOperator"]["enabled"] = False
    began = len(cluster.output)
    cluster.up()
    # What uses before what is used: the hooks find a living node, the plugin never loses its file.
    gone = deleted(cluster.output[began:])
    assert gone[-3:] == ["Release", "ConfigMap", "Namespace"]
    assert gone.index("ClusterPolicyPatch") > gone.index("NodePatch")
    assert cluster.kubectl("get", "namespace", "gpu-operator", "--ignore-not-found") == ""
    assert cluster.get("clusterpolicies.nvidia.com")["items"] == []
    for node in (RTX, A100):
        assert label(cluster, node, "device-plugin.config") is None
        wait_until(f"{node} to offer no GPU", lambda node=node: offered(cluster, node) == {})
    cluster.config["gpuOperator"]["enabled"] = True
    cluster.up()
    assert {node: offered(cluster, node) for node in (RTX, A100)} == promised


def test_a_node_in_maintenance_does_not_block_an_up(cluster: StackFixture):
    """Its plugin does not start; the readiness gate checks the other nodes only."""
    a100 = cluster.config["pools"]["a100"]
    a100["hosts"][A100] = {"address": a100["hosts"][A100], "maintenance": True}
    a100["gpu"]["count"] = 2  # one card is out
    cluster.up()
    assert cluster.get("node", A100)["metadata"]["labels"]["accelerator"] == "NVIDIA-A100-SXM4-40GB"
