"""The look at a cluster: rules over plain dictionaries."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from k3sgpu.cluster.client import Snapshot
from k3sgpu.cluster.diagnosis import explain_unmet, notes
from k3sgpu.cluster.expected_state import MPS_DAEMON_SET, UnmetExpectation, unmet_expectations
from tests.data.expected_states import (
    DISCOVERY,
    EXPECTED,
    NO_GPU,
    OPERATOR,
    PLUGIN,
    cluster,
    conditions,
    daemon_set,
    fewer,
    gpu_1,
    pod,
)


def seen(state: dict[str, Any]) -> Snapshot:
    return Snapshot(
        nodes={item["metadata"]["name"]: item for item in state["nodes"]},
        policies=state["clusterpolicies"],
        daemon_sets={item["metadata"]["name"]: item for item in state["daemonsets"]},
        pods=state["pods"],
    )


def broken(change: Callable[[dict[str, Any]], object], expected: dict[str, Any] = EXPECTED) -> list[str]:
    state = cluster()
    change(state)
    return [str(one) for one in unmet_expectations(expected, seen(state))]


def test_a_cluster_that_keeps_its_promise():
    assert broken(lambda state: None) == []


def test_under_mps_its_control_daemon_runs_too():
    expected = copy.deepcopy(EXPECTED)
    expected["nodes"][0]["labels"]["nvidia.com/mps.capable"] = "true"
    state = cluster()
    gpu_1(state)["metadata"]["labels"]["nvidia.com/mps.capable"] = "true"
    told = [str(one) for one in unmet_expectations(expected, seen(state))]
    assert told == [f"gpu-1 DaemonSet {MPS_DAEMON_SET} found not there, want its pod Ready"]
    state["daemonsets"].append(daemon_set(MPS_DAEMON_SET))
    state["pods"].append(pod(MPS_DAEMON_SET))
    assert unmet_expectations(expected, seen(state)) == []


def test_a_card_that_nobody_declared_is_nobodys_business():
    assert broken(lambda s: s["nodes"][1]["status"]["allocatable"].update({"nvidia.com/gpu": "1"})) == []


def test_without_gpus_only_nodes_count():
    state = cluster()
    state.update(clusterpolicies=[], daemonsets=[], pods=[])
    assert unmet_expectations(NO_GPU, seen(state)) == []


def plugin_pod(**status: Any) -> Callable[[dict[str, Any]], object]:
    return lambda state: state["pods"].__setitem__(0, pod(PLUGIN, **status))


def waiting(
    reason: str, message: str = "", last: str = "", container: str = "nvidia-device-plugin"
) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    ended = {"terminated": {"exitCode": 1, "message": last}} if last else {}
    return {
        "conditions": [],
        "containerStatuses": [{"name": container, "state": state, "lastState": ended}],
    }


def in_init(container: str) -> dict[str, Any]:
    running = [{"name": container, "state": {"running": {}}}]
    return {"phase": "Pending", "conditions": [], "initContainerStatuses": running}


def operator_says(state: str, ready: tuple[str, str]) -> Callable[[dict[str, Any]], object]:
    return lambda s: s["clusterpolicies"][0]["status"].update(state=state, conditions=conditions(Ready=ready))


def plugin(found: str) -> str:
    return f"gpu-1 DaemonSet {PLUGIN} found {found}, want its newest pod Ready, no other"


def discovery(found: str) -> str:
    return f"gpu-1 DaemonSet {DISCOVERY} found {found}, want its pod Ready"


def operator(found: str) -> str:
    return f"ClusterPolicy status found {found}, want ready, Ready=True (Reconciled)"


CASES = [
    (lambda s: s["nodes"].pop(0), "gpu-1 node found not in the cluster (there: server-1), want Ready"),
    (
        lambda s: gpu_1(s)["status"].update(conditions=conditions(Ready=("False", "KubeletNotReady"))),
        "gpu-1 node found not Ready: about Ready, want Ready",
    ),
    (
        lambda s: (
            gpu_1(s)["status"].update(conditions=conditions(Ready=("Unknown", "NodeStatusUnknown"))),
            *(pod["status"].update(conditions=conditions(Ready=("False", ""))) for pod in s["pods"]),
        ),
        "gpu-1 node found not Ready: about Ready, want Ready",
    ),
    (
        lambda s: s["nodes"][1]["status"].update(conditions=[]),
        "server-1 node found not Ready: no condition, want Ready",
    ),
    (
        lambda s: gpu_1(s)["status"]["allocatable"].update({"nvidia.com/gpu": "1"}),
        "gpu-1 nvidia.com/gpu found 1, want 6",
    ),
    (
        lambda s: gpu_1(s)["status"]["allocatable"].update(
            {"nvidia.com/gpu.shared": "6", "nvidia.com/mig-1g.5gb": "0", "nvidia.com/hostdev": "2"}
        ),
        "gpu-1 nvidia.com/gpu.shared found 6, want 0, the cards go by another name",
    ),
    (lambda s: gpu_1(s)["status"].update(allocatable={}), "gpu-1 nvidia.com/gpu found 0, want 6"),
    (
        lambda s: gpu_1(s)["metadata"]["labels"].pop("nvidia.com/gpu.replicas"),
        "gpu-1 label nvidia.com/gpu.replicas found not set, want 6",
    ),
    (
        lambda s: gpu_1(s)["metadata"]["labels"].update({"nvidia.com/gpu.product": "NVIDIA-H200"}),
        "gpu-1 label nvidia.com/gpu.product found NVIDIA-H200, want NVIDIA-H200-SHARED",
    ),
    (
        lambda s: s["clusterpolicies"].clear(),
        "ClusterPolicy status found none in the cluster, want one that is ready",
    ),
    (
        lambda s: (s["clusterpolicies"].clear(), s["pods"].append(OPERATOR)),
        "ClusterPolicy status found none in the cluster, though the operator runs, want one that is ready",
    ),
    (lambda s: s["clusterpolicies"][0].pop("status"), operator("not set, Ready=not set (no reason)")),
    (operator_says("ready", ("True", "NoGPUNodes")), operator("ready, Ready=True (NoGPUNodes)")),
    (operator_says("notReady", ("False", "Error")), operator("notReady, Ready=False (Error)")),
    (lambda s: s["daemonsets"].pop(), discovery("not there")),
    (lambda s: s["pods"].pop(), discovery("no pod on this node")),
    (lambda s: s["pods"][1]["spec"].update(nodeName="server-1"), discovery("no pod on this node")),
    (
        lambda s: s["daemonsets"][0]["status"].update(observedGeneration=1),
        plugin("a change that has not begun to roll out"),
    ),
    (
        lambda s: s["pods"][0]["metadata"]["labels"].update({"pod-template-generation": "1"}),
        plugin("a pod of the form before the last change"),
    ),
    (
        lambda s: s["pods"][0]["metadata"].update(deletionTimestamp="2026-11-23T12:00:00Z"),
        plugin("a pod that is leaving"),
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
def test_a_promise_that_is_not_kept(change, expected):
    assert broken(change) == [expected]


def test_an_ignored_policy_beside_the_active_one():
    ignored = {"metadata": {"name": "second"}, "status": {"state": "ignored"}}
    assert broken(lambda s: s["clusterpolicies"].insert(0, ignored)) == []


@pytest.mark.parametrize(
    ("allocatable", "expected"),
    [
        ({"nvidia.com/gpu.shared": "6"}, []),
        ({"nvidia.com/gpu.shared": "6", "nvidia.com/gpu": "0"}, []),
        ({"nvidia.com/gpu.shared": "6", "nvidia.com/gpu": "1"}, ["gpu-1 nvidia.com/gpu found 1, want 0"]),
    ],
)
def test_a_renamed_resource_leaves_its_old_name_at_0(allocatable, expected):
    renamed = copy.deepcopy(EXPECTED)
    renamed["nodes"][0]["resources"] = {"nvidia.com/gpu.shared": 6, "nvidia.com/gpu": 0}
    assert broken(lambda s: gpu_1(s)["status"].update(allocatable=allocatable), renamed) == expected


# ---- why


def remedies(change: Callable[[dict[str, Any]], object], events: tuple[str, ...] = ()) -> dict[str, str]:
    state = cluster()
    change(state)
    told = explain_unmet(EXPECTED, seen(state), unmet_expectations(EXPECTED, seen(state)), events)
    return {finding.check: finding.remedy for finding in told}


def none_and(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], None]:
    def both(state: dict[str, Any]) -> None:
        gpu_1(state)["status"]["allocatable"].clear()
        change(state)

    return both


@pytest.mark.parametrize(
    ("change", "events", "expected"),
    [
        (fewer, (), "rollout restart ds/nvidia-device-plugin-daemonset ds/gpu-feature-discovery"),
        (none_and(lambda s: None), (), "kubectl -n gpu-operator logs ds/nvidia-device-plugin-daemonset"),
        (
            none_and(lambda s: None),
            ('x: FailedCreatePodSandBox: no runtime for "nvidia" is configured',),
            "sudo systemctl restart k3s-agent",
        ),
        (none_and(plugin_pod(**waiting("ImagePullBackOff"))), (), "cannot pull an image"),
        (none_and(plugin_pod(**waiting("CrashLoopBackOff"))), (), "does not start with its sharing file"),
        (
            none_and(plugin_pod(**waiting("CrashLoopBackOff", container="config-manager-init"))),
            (),
            "names a sharing file that the ConfigMap does not have",
        ),
        (
            none_and(plugin_pod(phase="Pending", conditions=[])),
            ('x: FailedMount: configmap "time-slicing-config" not found',),
            "the ConfigMap is missing",
        ),
        (
            none_and(plugin_pod(**in_init("driver-validation"))),
            (),
            "nvidia-smi must end with status 0",
        ),
        (
            none_and(operator_says("ready", ("True", "NFDLabelsMissing"))),
            (),
            "sees no NVIDIA card anywhere",
        ),
        (none_and(lambda s: s["clusterpolicies"].clear()), (), "see ClusterPolicy: without one"),
        (none_and(lambda s: s["daemonsets"].clear()), (), "logs deploy/gpu-operator"),
        (none_and(lambda s: s["pods"].clear()), (), "kubectl get node gpu-1 -L nvidia.com/gpu.present"),
    ],
)  # fmt: skip
def test_what_people_do_about_it(change, events, expected):
    assert expected in remedies(change, events)["nvidia.com/gpu"]


def test_a_missing_policy_is_either_an_operator_that_was_never_installed_or_one_that_somebody_deleted():
    never = remedies(lambda s: s["clusterpolicies"].clear())
    deleted = remedies(lambda s: (s["clusterpolicies"].clear(), s["pods"].append(OPERATOR)))
    assert "operator is not installed" in never["status"]
    assert deleted["status"].endswith(
        "kubectl -n gpu-operator delete secret -l owner=helm,name=gpu-operator\nthen pulumi up --refresh"
    )


@pytest.mark.parametrize("found", ["0", "4"])
def test_partitions_other_than_promised_are_looked_at_on_the_card(found: str):
    expected = copy.deepcopy(EXPECTED)
    expected["nodes"][0]["resources"] = {"nvidia.com/mig-1g.5gb": 7}
    state = cluster()
    gpu_1(state)["status"]["allocatable"] = {"nvidia.com/mig-1g.5gb": found}
    told = explain_unmet(expected, seen(state), unmet_expectations(expected, seen(state)), ())
    remedy = next(one.remedy for one in told if one.check == "nvidia.com/mig-1g.5gb")
    assert "on gpu-1: nvidia-smi -L shows how its cards are cut" in remedy and "rollout restart" in remedy


def test_a_missing_node_sends_to_its_journal_and_one_that_is_not_ready_says_what_a_dead_one_takes():
    missing = remedies(lambda s: s["nodes"].pop(0))["node"]
    stopped = remedies(lambda s: gpu_1(s)["status"].update(conditions=[]))["node"]
    for remedy in (missing, stopped):
        assert remedy.startswith('on gpu-1: sudo systemctl status "k3s*"; sudo journalctl -n 50 -u "k3s*"')
    assert "gone: true" in stopped and "gone: true" not in missing


def test_labels_of_a_node_share_one_finding():
    told = remedies(lambda s: gpu_1(s)["metadata"].update(labels={}))
    assert list(told) == ["labels"]


def test_another_nodes_trouble_is_not_this_nodes_evidence():
    expected = copy.deepcopy(EXPECTED)
    expected["nodes"].append({**copy.deepcopy(EXPECTED["nodes"][0]), "name": "gpu-2"})
    state = cluster()
    fewer(state)
    told = explain_unmet(
        expected,
        seen(state),
        [*unmet_expectations(expected, seen(state)), UnmetExpectation("gpu-2", "x", "ErrImagePull", "y")],
        (),
    )
    assert "rollout restart" in next(f.remedy for f in told if f.where == "gpu-1")


def test_notes_say_what_the_operator_and_the_pods_say():
    state = cluster()
    plugin_pod(**waiting("CrashLoopBackOff"))(state)
    state["pods"].append(pod("cuda-validator", phase="Succeeded", conditions=[]))
    assert notes(seen(state), ["gpu-1"], ["pod-x: Failed: why"]) == [
        "operator, Ready=True: about Ready",
        f"pod {PLUGIN}-abcde on gpu-1: nvidia-device-plugin CrashLoopBackOff",
        "event: pod-x: Failed: why",
    ]
