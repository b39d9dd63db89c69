"""Cards shared on purpose: one stack, two pools, and what happens on one of them when the other changes."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from k3sgpu.cluster.client import LOOK_S
from rehearsal import __main__ as command
from rehearsal.faults.cluster import broken_by_hand
from rehearsal.faults.fault import Life
from rehearsal.lab import machines
from rehearsal.lab.fixture import Stage, eventually, stack_config, stage
from rehearsal.progress import Progress
from rehearsal.tests.e2e.objects import (
    deployment,
    label,
    may_not_go,
    offered,
    out_of_use,
    phases,
    pods,
    unscheduled,
    untouched,
)

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
SOON = 5  # seconds that slices get where they cannot come anyhow


def slices(*of: tuple[str, int], **more: Any) -> dict[str, Any]:
    return {"resources": [{"name": name, "replicas": count} for name, count in of], **more}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server with a card of its own, and an A100 that is cut into partitions."""
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
    with stage("lab", tmp_path_factory.mktemp("lab"), config) as one:
        yield one


def profile(lab: Stage, pool: str, name: str) -> None:
    lab.config["pools"][pool]["gpu"]["profile"] = name


def replicas(lab: Stage, count: int) -> None:
    lab.config["sharing"]["profiles"]["2080ti-12gb"]["timeSlicing"]["resources"][0]["replicas"] = count


def given_up(lab: Stage) -> str:
    """What an `up` says whose gate gives up when it is told to; its last look may take a while."""
    lab.config["gpuOperator"]["readyTimeoutSeconds"] = SOON
    said = lab.refused(lab.up)
    del lab.config["gpuOperator"]["readyTimeoutSeconds"]
    waited = re.search(r"doctor cluster after (\d+) s: ", said)
    assert waited and SOON <= int(waited[1]) <= SOON + LOOK_S, said
    return said


def both_verdicts(lab: Stage, capfd: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What the gate of an `up` says, and what `make doctor` says of the same."""
    said = given_up(lab)
    capfd.readouterr()
    assert command.doctor(lab.site, Progress()) == 1
    return said, capfd.readouterr().out


def ready(lab: Stage, node: str) -> bool:
    conditions = {one["type"]: one["status"] for one in lab.get("node", node)["status"]["conditions"]}
    return conditions["Ready"] == "True"


def hold(lab: Stage, name: str, *, on: str, resource: str = "nvidia.com/gpu") -> None:
    """A pod of a Deployment that has a slice, a card or a partition."""
    lab.kubectl("apply", "--filename", "-", stdin=deployment(name, resource=resource, on=on))
    eventually("a pod with a GPU", lambda: phases(lab, name) == ["Running"])


def test_each_pool_gets_its_own_way_to_share(lab: Stage):
    lab.machines_up()
    lab.up()
    assert offered(lab, RTX) == {"nvidia.com/gpu": "6"}
    assert offered(lab, A100) == {
        "nvidia.com/mig-1g.5gb": "4",
        "nvidia.com/mig-2g.10gb": "2",
        "nvidia.com/mig-3g.20gb": "3",
    }
    assert label(lab, RTX, "gpu.product") == "NVIDIA-GeForce-RTX-2080-Ti-SHARED"
    assert label(lab, A100, "gpu.product") == "NVIDIA-A100-SXM4-40GB"
    assert label(lab, A100, "mig-3g.20gb.product") == "NVIDIA-A100-SXM4-40GB-MIG-3g.20gb-SHARED"
    said = "\n".join(lab.said)
    assert "nvidia.com/mig-7g.40gb, which no card of pool a100 is" in said


def test_a_profile_that_the_plugin_would_not_start_with_is_refused_and_touches_nothing(lab: Stage):
    before = untouched(lab, RTX), untouched(lab, A100)
    replicas(lab, 1)
    said = lab.refused(lab.up)
    replicas(lab, 6)
    assert 'NVIDIA\'s plugin stops with "number of replicas must be >= 2"' in said
    assert (untouched(lab, RTX), untouched(lab, A100)) == before


def test_another_driver_than_declared_is_refused_and_touches_nothing(lab: Stage):
    """An image was chosen by what is declared; the first `up` went through with what the machines have."""
    before = untouched(lab, RTX), untouched(lab, A100)
    gpu, image = lab.config["pools"]["box"]["gpu"], "nvcr.io/nvidia/cuda:13.0.1-base-ubuntu24.04"
    declared, gpu["driverVersion"] = gpu["driverVersion"], "550"
    lab.config["workloads"] = {"newer": {"replicas": 1, "gpus": 1, "pool": "box", "image": image}}
    said = lab.refused(lab.up)
    gpu["driverVersion"], lab.config["workloads"] = declared, {}
    for words in (
        f"{image}, of CUDA 13, on pool box with driver 550",
        "found:    NVIDIA's driver 580.126.20",
        "expected: 550, as declared: what runs on the cards was checked against it",
        'remedy:   driverVersion: "580.126.20" in the pool, if that is right; else install driver 550',
    ):
        assert words in said, words
    assert re.search(rf"^\W*{RTX}  .*\n\W*error: driver", said, re.MULTILINE), "the host is named"
    assert (untouched(lab, RTX), untouched(lab, A100)) == before


def test_the_gate_says_of_each_node_what_keeps_it_and_a_mended_profile_heals(lab: Stage):
    """One plugin does not start with its file, the other has been told to stay away."""
    lab.kubectl("label", "node", A100, "nvidia.com/gpu.deploy.operands=false")
    broken_by_hand(Life(lab, {}))
    said = given_up(lab)
    for words in (
        "found:    0",
        "the plugin does not start with its sharing file",
        "found:    nvidia-device-plugin CrashLoopBackOff",
        "number of replicas must be >= 2",
        "found:    no pod on this node",
        f"the operator does not count {A100} among the GPU nodes, or was told to leave it alone",
        f"kubectl get node {A100} -L nvidia.com/gpu.present,nvidia.com/gpu.deploy.operands",
    ):
        assert words in said, words
    lab.kubectl("label", "node", A100, "nvidia.com/gpu.deploy.operands-")
    replicas(lab, 5)
    lab.up()
    assert offered(lab, RTX) == {"nvidia.com/gpu": "5"}
    assert offered(lab, A100)["nvidia.com/mig-3g.20gb"] == "3"


def test_a_node_that_is_not_ready_is_told_alone_with_what_to_look_at(
    lab: Stage, capfd: pytest.CaptureFixture[str]
):
    (agent,) = (one for one in machines.status("lab") if one.host == A100)
    lab.on(agent, "systemctl stop k3s-agent")
    eventually(f"{A100} to be missed", lambda: not ready(lab, A100))
    replicas(lab, 6)
    for told in both_verdicts(lab, capfd):
        for words in (
            ": 1 error, 0 warnings",
            f"{A100}  expected: Ready, ",
            "found:    not Ready: Kubelet stopped posting node status.",
            "expected: Ready",
            f'on {A100}: sudo systemctl status "k3s*"; sudo journalctl -n 50 -u "k3s*" --no-pager',
            "its machine is dead for good? Then gone: true to it in the stack file",
        ):
            assert words in told, words
    lab.on(agent, "systemctl start k3s-agent")
    lab.up()
    assert ready(lab, A100) and offered(lab, RTX) == {"nvidia.com/gpu": "6"}


def test_a_deleted_cluster_policy_is_told_and_the_way_out_brings_everything_back(
    lab: Stage, capfd: pytest.CaptureFixture[str]
):
    others = offered(lab, A100)
    lab.kubectl("delete", "clusterpolicy", "cluster-policy")
    replicas(lab, 5)
    told, by_hand = both_verdicts(lab, capfd)
    for said in (told, by_hand):
        for words in (
            f"{RTX}  expected: Ready, nvidia.com/gpu 5",
            "found:    not there",
            "see ClusterPolicy: without one the operator makes nothing on a node",
            "found:    none in the cluster, though the operator runs",
            "expected: one that is ready",
            "then pulumi up --refresh",
        ):
            assert words in said, words
    forget = re.search(r"kubectl (-n gpu-operator delete secret -l \S+)", told)
    assert forget
    lab.kubectl(*forget[1].split())
    lab.refresh()
    lab.up()
    assert offered(lab, RTX) == {"nvidia.com/gpu": "5"} and offered(lab, A100) == others


def test_sharing_is_switched_off_for_one_pool_and_the_other_does_not_notice(lab: Stage):
    before = untouched(lab, A100)
    profile(lab, "box", "none")
    assert lab.up()["update"] == 3  # the node's label, the gate, who has to be moved (nobody)
    assert offered(lab, RTX) == {"nvidia.com/gpu": "1"}
    assert label(lab, RTX, "gpu.sharing-strategy") == "none"
    assert label(lab, RTX, "gpu.product") == "NVIDIA-GeForce-RTX-2080-Ti"
    assert untouched(lab, A100) == before


def test_a_pod_that_may_not_go_keeps_its_node_as_it_is(lab: Stage):
    hold(lab, "sharer", on=RTX)
    may_not_go(lab, "sharer")
    before = untouched(lab, RTX), untouched(lab, A100), pods(lab, "sharer").keys()
    lab.config["sharing"]["profiles"]["clients"] = {"mps": slices(("nvidia.com/gpu", 4))}
    profile(lab, "box", "clients")
    said = lab.refused(lab.up)
    assert f"{RTX}: pod default/sharer-" in said and "disruption budget" in said
    assert "their nodes are in use as before" in said
    assert not out_of_use(lab, RTX)
    assert (untouched(lab, RTX), untouched(lab, A100), pods(lab, "sharer").keys()) == before
    assert label(lab, RTX, "device-plugin.config") == "none"


def test_mps_takes_its_place_after_gpu_pods_have_gone_and_fails_greater_requests(lab: Stage):
    before, old = untouched(lab, A100), pods(lab, "sharer")
    lab.kubectl("delete", "pdb", "sharer")
    lab.up()
    assert offered(lab, RTX) == {"nvidia.com/gpu": "4"}
    assert label(lab, RTX, "gpu.sharing-strategy") == "mps"
    assert untouched(lab, A100) == before
    assert not out_of_use(lab, RTX)
    eventually("the pod that was moved away to run again", lambda: phases(lab, "sharer") == ["Running"])
    assert not old.keys() & pods(lab, "sharer").keys()
    lab.kubectl("delete", "deployment", "sharer")
    lab.kubectl("apply", "--filename", "-", stdin=json.dumps(TWO_SLICES))

    def refusal() -> str:
        status = lab.get("pod", "two-slices")["status"]
        return status.get("message", "") if status.get("reason") == "UnexpectedAdmissionError" else ""

    words = "maximum request size for shared resources is 1; found 2"
    eventually(f"a refusal: {words}", lambda: words in refusal())
    lab.kubectl("delete", "pod", "two-slices", "--force")


def test_a_renamed_profile_and_renamed_slices_leave_nothing_behind(lab: Stage):
    before = untouched(lab, RTX)
    profiles = lab.config["sharing"]["profiles"]
    slicing = slices(("nvidia.com/mig-1g.5gb", 3), renameByDefault=True)
    del profiles["a100-40gb"]
    profiles["cut"] = {"migStrategy": "mixed", "timeSlicing": slicing}
    profile(lab, "a100", "cut")
    lab.up()
    assert offered(lab, A100) == {
        "nvidia.com/mig-1g.5gb.shared": "6",
        "nvidia.com/mig-2g.10gb": "1",
        "nvidia.com/mig-3g.20gb": "1",
    }
    assert label(lab, A100, "mig-1g.5gb.product") == "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb"
    data = lab.get("configmap", "time-slicing-config", "--namespace", "gpu-operator")["data"]
    assert not any(key.startswith("a100-40gb") for key in data)
    assert untouched(lab, RTX) == before


def test_a_card_goes_from_partitions_to_whole_when_their_pods_have_gone(lab: Stage):
    hold(lab, "holder", on=A100, resource="nvidia.com/mig-3g.20gb")
    may_not_go(lab, "holder")
    before = offered(lab, A100), untouched(lab, A100), untouched(lab, RTX)
    del lab.config["pools"]["a100"]["gpu"]["mig"]
    profile(lab, "a100", "none")
    said = lab.refused(lab.up)
    assert "after 8 s these pods still hold GPUs; their nodes are in use as before" in said
    assert f"{A100}: pod default/holder-" in said and "disruption budget" in said
    assert not out_of_use(lab, A100)
    assert (offered(lab, A100), untouched(lab, A100), untouched(lab, RTX)) == before

    lab.kubectl("delete", "pdb", "holder")
    old = pods(lab, "holder")
    lab.up()
    assert offered(lab, A100) == {"nvidia.com/gpu": "1"}
    assert label(lab, A100, "gpu.product") == "NVIDIA-A100-SXM4-40GB"
    assert not out_of_use(lab, A100) and untouched(lab, RTX) == before[2]
    # Nobody offers what it asks for any more; nothing else keeps it from running.
    wanted = "1 Insufficient nvidia.com/mig-3g.20gb"
    eventually(f"a pod of which is said: {wanted}", lambda: wanted in unscheduled(lab, "holder"))
    assert not old.keys() & pods(lab, "holder").keys()
    lab.kubectl("delete", "deployment", "holder")


def test_partitions_that_never_come_keep_their_node_out_of_use_until_they_do(lab: Stage):
    hold(lab, "holder", on=A100)
    before = untouched(lab, RTX)
    gpu = lab.config["pools"]["a100"]["gpu"]
    gpu["mig"] = {"1g.5gb": 7}
    profile(lab, "a100", "cut")
    said = given_up(lab)
    for words in (
        "found:    6",
        "expected: 21",
        f"on {A100}: nvidia-smi -L shows how its cards are cut",
        "found:    1",
        "expected: 0, the cards go by another name",
    ):
        assert words in said, words
    assert out_of_use(lab, A100)
    eventually("the pod to wait", lambda: "1 node(s) were unschedulable" in unscheduled(lab, "holder"))

    gpu["mig"] = CUT
    lab.up()
    assert offered(lab, A100)["nvidia.com/mig-1g.5gb.shared"] == "6"
    assert not out_of_use(lab, A100) and untouched(lab, RTX) == before
    lab.kubectl("delete", "deployment", "holder")


def deleted(said: list[str]) -> list[str]:
    """Kinds in the order in which the engine took them away from the cluster."""
    found = [re.search(r"- +kubernetes:\S+:(\w+) .* deleted \(", line) for line in said]
    return [match[1] for match in found if match]


def test_the_operator_is_taken_away_and_comes_again(lab: Stage):
    promised = {node: offered(lab, node) for node in (RTX, A100)}
    lab.config["gpuOperator"]["enabled"] = False
    began = len(lab.said)
    lab.up()
    # What uses before what is used: the hooks find a living node, the plugin never loses its file.
    gone = deleted(lab.said[began:])
    assert gone[-3:] == ["Release", "ConfigMap", "Namespace"]
    assert gone.index("ClusterPolicyPatch") > gone.index("NodePatch")
    assert lab.kubectl("get", "namespace", "gpu-operator", "--ignore-not-found") == ""
    assert lab.get("clusterpolicies.nvidia.com")["items"] == []
    for node in (RTX, A100):
        assert label(lab, node, "device-plugin.config") is None
        eventually(f"{node} to offer no GPU", lambda node=node: offered(lab, node) == {})
    lab.config["gpuOperator"]["enabled"] = True
    lab.up()
    assert {node: offered(lab, node) for node in (RTX, A100)} == promised


def test_a_node_in_maintenance_blocks_nobody(lab: Stage):
    """Its plugin does not come up; the gate asks for the others alone."""
    a100 = lab.config["pools"]["a100"]
    a100["hosts"][A100] = {"address": a100["hosts"][A100], "maintenance": True}
    a100["gpu"]["count"] = 2  # one card is out
    lab.up()
    assert lab.get("node", A100)["metadata"]["labels"]["accelerator"] == "NVIDIA-A100-SXM4-40GB"
