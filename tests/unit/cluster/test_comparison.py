"""Comparison of snapshots of a cluster with the expected state."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from k3sgpu.cluster.comparison import MPS_DAEMON_SET, unmet_expectations
from k3sgpu.handoff.expected_state import ExpectedState
from tests.data.expected_states import (
    DISCOVERY,
    EXPECTED,
    NO_GPU,
    OPERATOR,
    PLUGIN,
    cluster,
    conditions,
    daemon_set,
    gpu_1,
    in_init,
    operator_says,
    plugin_pod,
    pod,
    snapshot,
    waiting,
)


def unmet(change: Callable[[dict[str, Any]], object], expected: ExpectedState = EXPECTED) -> list[str]:
    state = cluster()
    change(state)
    return [str(one) for one in unmet_expectations(expected, snapshot(state))]


def test_cluster_as_expected_has_nothing_unmet():
    assert unmet(lambda state: None) == []


def test_mps_needs_its_control_daemon():
    expected = copy.deepcopy(EXPECTED)
    expected["nodes"][0]["labels"]["nvidia.com/mps.capable"] = "true"
    state = cluster()
    gpu_1(state)["metadata"]["labels"]["nvidia.com/mps.capable"] = "true"
    found = [str(one) for one in unmet_expectations(expected, snapshot(state))]
    assert found == [f"gpu-1: DaemonSet {MPS_DAEMON_SET}: found no such DaemonSet, expected its pod Ready"]
    state["daemonsets"].append(daemon_set(MPS_DAEMON_SET))
    state["pods"].append(pod(MPS_DAEMON_SET))
    assert unmet_expectations(expected, snapshot(state)) == []


def test_undeclared_gpus_are_ignored():
    assert unmet(lambda s: s["nodes"][1]["status"]["allocatable"].update({"nvidia.com/gpu": "1"})) == []


def test_without_gpus_only_nodes_count():
    state = cluster()
    state.update(clusterpolicies=[], daemonsets=[], pods=[])
    assert unmet_expectations(NO_GPU, snapshot(state)) == []


def plugin(found: str) -> str:
    return f"gpu-1: DaemonSet {PLUGIN}: found {found}, expected only its newest pod, Ready"


def discovery(found: str) -> str:
    return f"gpu-1: DaemonSet {DISCOVERY}: found {found}, expected its pod Ready"


def operator(found: str) -> str:
    return f"ClusterPolicy: status: found {found}, expected ready, Ready=True (Reconciled)"


CASES = [
    (lambda s: s["nodes"].pop(0), "gpu-1: node: found not in the cluster (it has: server-1), expected Ready"),
    (
        lambda s: gpu_1(s)["status"].update(conditions=conditions(Ready=("False", "KubeletNotReady"))),
        "gpu-1: node: found not Ready: about Ready, expected Ready",
    ),
    (
        lambda s: (
            gpu_1(s)["status"].update(conditions=conditions(Ready=("Unknown", "NodeStatusUnknown"))),
            *(pod["status"].update(conditions=conditions(Ready=("False", ""))) for pod in s["pods"]),
        ),
        "gpu-1: node: found not Ready: about Ready, expected Ready",
    ),
    (
        lambda s: s["nodes"][1]["status"].update(conditions=[]),
        "server-1: node: found not Ready: no condition, expected Ready",
    ),
    (
        lambda s: gpu_1(s)["status"]["allocatable"].update({"nvidia.com/gpu": "1"}),
        "gpu-1: nvidia.com/gpu: found 1, expected 6",
    ),
    (
        lambda s: gpu_1(s)["status"]["allocatable"].update(
            {"nvidia.com/gpu.shared": "6", "nvidia.com/mig-1g.5gb": "0", "nvidia.com/hostdev": "2"}
        ),
        "gpu-1: nvidia.com/gpu.shared: found 6, expected 0: its GPUs go by another name",
    ),
    (lambda s: gpu_1(s)["status"].update(allocatable={}), "gpu-1: nvidia.com/gpu: found 0, expected 6"),
    (
        lambda s: gpu_1(s)["metadata"]["labels"].pop("nvidia.com/gpu.replicas"),
        "gpu-1: label nvidia.com/gpu.replicas: found not set, expected 6",
    ),
    (
        lambda s: gpu_1(s)["metadata"]["labels"].update({"nvidia.com/gpu.product": "NVIDIA-H200"}),
        "gpu-1: label nvidia.com/gpu.product: found NVIDIA-H200, expected NVIDIA-H200-SHARED",
    ),
    (
        lambda s: s["clusterpolicies"].clear(),
        "ClusterPolicy: status: found none in the cluster, expected one that is ready",
    ),
    (
        lambda s: (s["clusterpolicies"].clear(), s["pods"].append(OPERATOR)),
        (
            "ClusterPolicy: status: found none in the cluster, though the operator runs, "
            "expected one that is ready"
        ),
    ),
    (lambda s: s["clusterpolicies"][0].pop("status"), operator("not set, Ready=not set (no reason)")),
    (operator_says("ready", ("True", "NoGPUNodes")), operator("ready, Ready=True (NoGPUNodes)")),
    (operator_says("notReady", ("False", "Error")), operator("notReady, Ready=False (Error)")),
    (lambda s: s["daemonsets"].pop(), discovery("no such DaemonSet")),
    (lambda s: s["pods"].pop(), discovery("no pod on this node")),
    (lambda s: s["pods"][1]["spec"].update(nodeName="server-1"), discovery("no pod on this node")),
    (
        lambda s: s["daemonsets"][0]["status"].update(observedGeneration=1),
        plugin("a change whose rollout has not begun"),
    ),
    (
        lambda s: s["pods"][0]["metadata"]["labels"].update({"pod-template-generation": "1"}),
        plugin("a pod from before the last change"),
    ),
    (
        lambda s: s["pods"][0]["metadata"].update(deletionTimestamp="2026-11-23T12:00:00Z"),
        plugin("a pod that is terminating"),
    ),
    (
        plugin_pod(**waiting("CrashLoopBackOff", "back-off 10s")),
        plugin("nvidia-device-plugin CrashLoopBackOff: back-off 10s"),
    ),
    (
        plugin_pod(**waiting("CrashLoopBackOff", "back-off 10s", last="number of replicas must be >= 2")),
        plugin("nvidia-device-plugin CrashLoopBackOff: back-off 10s: number of replicas must be >= 2"),
    ),
    (
        plugin_pod(**waiting("CrashLoopBackOff", container="config-manager")),
        plugin("config-manager CrashLoopBackOff"),
    ),
    (plugin_pod(**in_init("toolkit-validation")), plugin("Pending, still in toolkit-validation")),
    (plugin_pod(phase="Pending", conditions=[]), plugin("Pending, not Ready")),
]


@pytest.mark.parametrize(("change", "expected"), CASES)
def test_whatever_differs_is_one_unmet_expectation(change, expected):
    assert unmet(change) == [expected]


def test_ignored_policy_beside_the_active_one_does_not_count():
    ignored = {"metadata": {"name": "second"}, "status": {"state": "ignored"}}
    assert unmet(lambda s: s["clusterpolicies"].insert(0, ignored)) == []


@pytest.mark.parametrize(
    ("allocatable", "expected"),
    [
        ({"nvidia.com/gpu.shared": "6"}, []),
        ({"nvidia.com/gpu.shared": "6", "nvidia.com/gpu": "0"}, []),
        (
            {"nvidia.com/gpu.shared": "6", "nvidia.com/gpu": "1"},
            ["gpu-1: nvidia.com/gpu: found 1, expected 0"],
        ),
    ],
)
def test_renamed_resource_must_leave_its_old_name_at_0(allocatable, expected):
    renamed = copy.deepcopy(EXPECTED)
    renamed["nodes"][0]["resources"] = {"nvidia.com/gpu.shared": 6, "nvidia.com/gpu": 0}
    assert unmet(lambda s: gpu_1(s)["status"].update(allocatable=allocatable), renamed) == expected
