"""Cards shared on purpose: one stack, two pools, and what happens on one of them when the other changes."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from .stage import Stage, eventually, stack_config, stage

RTX, A100 = "gpu-1", "gpu-2"
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

SHARER = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "sharer", "namespace": "default"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "sharer"}},
        "template": {
            "metadata": {"labels": {"app": "sharer"}},
            "spec": {
                "nodeSelector": {"kubernetes.io/hostname": RTX},
                "containers": [
                    {"name": "main", "image": "none", "resources": {"limits": {"nvidia.com/gpu": "1"}}},
                ],
            },
        },
    },
}
BUDGET = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "sharer", "namespace": "default"},
    "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "sharer"}}},
}


def slices(*of: tuple[str, int], **more: Any) -> dict[str, Any]:
    return {"resources": [{"name": name, "replicas": count} for name, count in of], **more}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server with a card of its own, and an A100 that is cut into partitions."""
    config = stack_config("single")
    config["pools"]["box"]["hosts"] = {RTX: "10.77.0.201"}
    config["pools"]["a100"] = {
        "role": "agent",
        "hosts": {A100: "10.77.0.202"},
        "gpu": {
            "product": "NVIDIA-A100-SXM4-40GB",
            "count": 1,
            "memoryMiB": 40960,
            "profile": "a100-40gb",
            "mig": {"1g.5gb": 2, "2g.10gb": 1, "3g.20gb": 1},
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
    config["k3s"]["drainTimeoutSeconds"] = 20
    with stage("lab", tmp_path_factory.mktemp("lab"), config) as one:
        yield one


def offered(lab: Stage, node: str) -> dict[str, str]:
    """What of a node's resources is NVIDIA's and not 0."""
    allocatable = lab.get("node", node)["status"]["allocatable"]
    return {
        name: count for name, count in allocatable.items() if name.startswith("nvidia.com/") and count != "0"
    }


def label(lab: Stage, node: str, name: str) -> str | None:
    return lab.get("node", node)["metadata"]["labels"].get(f"nvidia.com/{name}")


def untouched(lab: Stage, node: str) -> dict[str, Any]:
    """What changes when a node's plugin or feature discovery starts or reads its file again."""
    pods = lab.get("pods", "--namespace", "gpu-operator", "--field-selector", f"spec.nodeName={node}")[
        "items"
    ]
    starts = {
        pod["metadata"]["uid"]: [c["restartCount"] for c in pod["status"].get("containerStatuses", [])]
        for pod in pods
    }
    return {"starts": starts, "read": label(lab, node, "gfd.timestamp")}


def profile(lab: Stage, pool: str, name: str) -> None:
    lab.config["pools"][pool]["gpu"]["profile"] = name


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


def test_sharing_is_switched_off_for_one_pool_and_the_other_does_not_notice(lab: Stage):
    before = untouched(lab, A100)
    profile(lab, "box", "none")
    assert lab.up()["update"] == 3  # the node's label, the gate, who has to be moved (nobody)
    assert offered(lab, RTX) == {"nvidia.com/gpu": "1"}
    assert label(lab, RTX, "gpu.sharing-strategy") == "none"
    assert label(lab, RTX, "gpu.product") == "NVIDIA-GeForce-RTX-2080-Ti"
    assert untouched(lab, A100) == before


def sharers(lab: Stage) -> dict[str, str]:
    """By uid: the phase of each."""
    pods = lab.get("pods", "--selector", "app=sharer")["items"]
    return {pod["metadata"]["uid"]: pod["status"]["phase"] for pod in pods}


def test_a_pod_that_may_not_go_keeps_its_node_as_it_is(lab: Stage):
    for one in (BUDGET, SHARER):
        lab.kubectl("apply", "--filename", "-", stdin=json.dumps(one))
    eventually("a pod with a GPU", lambda: list(sharers(lab).values()) == ["Running"])
    healthy = "jsonpath={.status.currentHealthy}"
    eventually("a budget that counts it", lambda: lab.kubectl("get", "pdb", "sharer", "-o", healthy) == "1")
    before = untouched(lab, RTX), untouched(lab, A100), sharers(lab)
    lab.config["sharing"]["profiles"]["clients"] = {"mps": slices(("nvidia.com/gpu", 4))}
    profile(lab, "box", "clients")
    said = lab.refused(lab.up)
    assert f"{RTX}: pod default/sharer-" in said and "disruption budget" in said
    assert "their nodes are in use as before" in said
    assert not lab.get("node", RTX)["spec"].get("unschedulable")
    assert (untouched(lab, RTX), untouched(lab, A100), sharers(lab)) == before
    assert label(lab, RTX, "device-plugin.config") == "none"


def test_mps_takes_its_place_after_gpu_pods_have_gone_and_fails_greater_requests(lab: Stage):
    before, old = untouched(lab, A100), sharers(lab)
    lab.kubectl("delete", "pdb", "sharer")
    lab.up()
    assert offered(lab, RTX) == {"nvidia.com/gpu": "4"}
    assert label(lab, RTX, "gpu.sharing-strategy") == "mps"
    assert untouched(lab, A100) == before
    node = lab.get("node", RTX)
    assert not node["spec"].get("unschedulable")
    assert "k3s-gpu-sharing/vacated" not in node["metadata"].get("annotations", {})

    def another() -> bool:
        now = sharers(lab)
        return "Running" in now.values() and not old.keys() & now.keys()

    eventually("the pod that was moved away to run again", another)
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
