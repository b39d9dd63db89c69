"""Remedies for what is not as expected, from what the cluster says."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from k3sgpu.cluster.comparison import UnmetExpectation, unmet_expectations
from k3sgpu.cluster.diagnosis import explain_unmet, notes
from tests.data.expected_states import (
    EXPECTED,
    OPERATOR,
    PLUGIN,
    cluster,
    fewer,
    gpu_1,
    in_init,
    operator_says,
    plugin_pod,
    pod,
    snapshot,
    waiting,
)


def remedies(change: Callable[[dict[str, Any]], object], events: tuple[str, ...] = ()) -> dict[str, str]:
    state = cluster()
    change(state)
    problems = explain_unmet(
        EXPECTED, snapshot(state), unmet_expectations(EXPECTED, snapshot(state)), events, {}
    )
    return {problem.check: problem.remedy for problem in problems}


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
        (none_and(plugin_pod(**waiting("CrashLoopBackOff"))), (), "does not start with its configuration"),
        (
            none_and(
                plugin_pod(
                    **waiting("CrashLoopBackOff", last="failed to create FS watcher: too many open files")
                )
            ),
            (),
            "fs.inotify.max_user_instances",
        ),
        (
            none_and(plugin_pod(**waiting("CrashLoopBackOff"))),
            ("x: Failed: Error: failed to inject CDI devices: unresolvable CDI devices nvidia.com/gpu=all",),
            "sudo nvidia-ctk cdi generate",
        ),
        (
            none_and(plugin_pod(phase="Pending", conditions=[])),
            ('x: FailedCreatePodSandBox: rpc error: RuntimeHandler "nvidia" not supported',),
            "remove docker: true",
        ),
        (
            none_and(plugin_pod(**waiting("CrashLoopBackOff", container="config-manager-init"))),
            (),
            "names a configuration that the ConfigMap does not have",
        ),
        (
            none_and(plugin_pod(phase="Pending", conditions=[])),
            ('x: FailedMount: configmap "time-slicing-config" not found',),
            "configurations is missing",
        ),
        (
            none_and(plugin_pod(**in_init("driver-validation"))),
            (),
            "nvidia-smi must end with status 0",
        ),
        (
            none_and(operator_says("ready", ("True", "NFDLabelsMissing"))),
            (),
            "finds no NVIDIA card on any node",
        ),
        (none_and(lambda s: s["clusterpolicies"].clear()), (), "see ClusterPolicy: without one"),
        (none_and(lambda s: s["daemonsets"].clear()), (), "logs deploy/gpu-operator"),
        (none_and(lambda s: s["pods"].clear()), (), "kubectl get node gpu-1 -L nvidia.com/gpu.present"),
    ],
)  # fmt: skip
def test_remedy_follows_what_the_cluster_says(change, events, expected):
    assert expected in remedies(change, events)["nvidia.com/gpu"]


def test_log_of_a_crashed_container_decides_the_remedy():
    state = cluster()
    none_and(plugin_pod(**waiting("CrashLoopBackOff")))(state)
    unmet = unmet_expectations(EXPECTED, snapshot(state))
    logs = {"gpu-1": [f"{PLUGIN}-abcde: Error: failed to create FS watcher: too many open files"]}
    problems = explain_unmet(EXPECTED, snapshot(state), unmet, (), logs)
    assert "fs.inotify.max_user_instances" in problems[0].remedy


@pytest.mark.parametrize("daemon_sets", ["with", "without"])
@pytest.mark.parametrize(
    ("taint", "blamed"),
    [
        ({"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}, True),
        ({"key": "dedicated", "effect": "NoExecute"}, True),
        ({"key": "dedicated", "value": "gpu", "effect": "PreferNoSchedule"}, False),
        ({"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}, False),
        ({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}, False),
    ],
)
def test_taint_that_keeps_the_operators_pods_away_is_named(taint, blamed: bool, daemon_sets: str):
    def change(state: dict[str, Any]) -> None:
        gpu_1(state)["spec"] = {"taints": [taint]}
        state["pods"].clear()
        operator_says("ready", ("True", "NFDLabelsMissing"))(state)
        worker = {"metadata": {"name": "gpu-operator-node-feature-discovery-worker"}}
        state["daemonsets"].append(worker)
        tolerated = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
        for one in state["daemonsets"]:
            one["spec"] = {"template": {"spec": {"tolerations": tolerated}}}
        if daemon_sets == "without":
            state["daemonsets"].clear()

    found = remedies(none_and(change))
    for check in ("status", "nvidia.com/gpu"):
        assert ("do not tolerate a taint of gpu-1: dedicated=" in found[check]) == blamed
    if blamed:
        assert f"kubectl taint node gpu-1 dedicated:{taint['effect']}-" in found["status"]
        assert '"daemonsets": {"tolerations": [{"key": "nvidia.com/gpu"' in found["status"]


def test_missing_policy_differs_between_no_operator_and_deleted_policy():
    never = remedies(lambda s: s["clusterpolicies"].clear())
    deleted = remedies(lambda s: (s["clusterpolicies"].clear(), s["pods"].append(OPERATOR)))
    assert "operator is not installed" in never["status"]
    assert deleted["status"].endswith(
        "kubectl -n gpu-operator delete secret -l owner=helm,name=gpu-operator\nthen pulumi up --refresh"
    )


@pytest.mark.parametrize("found", ["0", "4"])
def test_unexpected_partitions_send_to_nvidia_smi(found: str):
    expected = copy.deepcopy(EXPECTED)
    expected["nodes"][0]["resources"] = {"nvidia.com/mig-1g.5gb": 7}
    state = cluster()
    gpu_1(state)["status"]["allocatable"] = {"nvidia.com/mig-1g.5gb": found}
    problems = explain_unmet(expected, snapshot(state), unmet_expectations(expected, snapshot(state)), (), {})
    remedy = next(one.remedy for one in problems if one.check == "nvidia.com/mig-1g.5gb")
    assert (
        "on gpu-1: nvidia-smi -L lists the partitions of its cards" in remedy and "rollout restart" in remedy
    )


def test_missing_node_sends_to_its_journal():
    missing = remedies(lambda s: s["nodes"].pop(0))["node"]
    stopped = remedies(lambda s: gpu_1(s)["status"].update(conditions=[]))["node"]
    for remedy in (missing, stopped):
        assert remedy.startswith('on gpu-1: sudo systemctl status "k3s*"; sudo journalctl -n 50 -u "k3s*"')
    assert "gone: true" in stopped and "gone: true" not in missing


def test_labels_of_a_node_share_one_problem():
    found = remedies(lambda s: gpu_1(s)["metadata"].update(labels={}))
    assert list(found) == ["labels"]


def test_remedy_ignores_what_other_nodes_say():
    expected = copy.deepcopy(EXPECTED)
    expected["nodes"].append({**copy.deepcopy(EXPECTED["nodes"][0]), "name": "gpu-2"})
    state = cluster()
    fewer(state)
    problems = explain_unmet(
        expected,
        snapshot(state),
        [*unmet_expectations(expected, snapshot(state)), UnmetExpectation("gpu-2", "x", "ErrImagePull", "y")],
        (),
        {},
    )
    assert "rollout restart" in next(f.remedy for f in problems if f.where == "gpu-1")


def test_notes_hold_operator_pods_and_events():
    state = cluster()
    plugin_pod(**waiting("CrashLoopBackOff"))(state)
    state["pods"].append(pod("cuda-validator", phase="Succeeded", conditions=[]))
    assert notes(snapshot(state), ["gpu-1"], ["pod-x: Failed: why"], {"gpu-1": ["pod-x: why"]}) == [
        "operator, Ready=True: about Ready",
        f"pod {PLUGIN}-abcde on gpu-1: nvidia-device-plugin CrashLoopBackOff",
        "log of pod-x: why",
        "event: pod-x: Failed: why",
    ]


def test_what_the_cluster_says_is_cut_and_printable():
    state, hostile = cluster(), "\x1b[2J" + "x" * 5000
    plugin_pod(**waiting("CrashLoopBackOff", last=hostile))(state)
    unmet = unmet_expectations(EXPECTED, snapshot(state))
    problems = explain_unmet(EXPECTED, snapshot(state), unmet, [hostile], {"gpu-1": [hostile]})
    texts = [*notes(snapshot(state), ["gpu-1"], [hostile], {"gpu-1": [hostile]}), *map(str, unmet)]
    texts += [problem.found for problem in problems]
    assert sum("\\x1b[2Jxx" in text for text in texts) >= 4
    assert not any("\x1b" in text for text in texts) and max(map(len, texts)) < 1100
