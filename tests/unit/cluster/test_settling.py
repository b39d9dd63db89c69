"""When a cluster that is as expected is believed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from k3sgpu.cluster.client import Snapshot
from k3sgpu.cluster.settling import Settling
from tests.data.expected_states import EXPECTED, OPERATOR, PLUGIN, cluster, snapshot

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def at(seconds_ago: float) -> str:
    return (NOW - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def seen(
    *,
    policy: float = 9000,
    rolled: float = 9000,
    operator: float = 9000,
    plugin: float = 9000,
    reported: float = 9000,
) -> Snapshot:
    """A cluster that meets EXPECTED; the arguments say how many seconds ago something happened."""
    state: dict[str, Any] = cluster()
    state["clusterpolicies"][0]["metadata"]["managedFields"] = [
        {"manager": "helm", "time": at(policy)},
        {"manager": "gpu-operator", "subresource": "status", "time": at(0)},
    ]
    for daemon_set in state["daemonsets"]:
        changed = rolled if daemon_set["metadata"]["name"] == PLUGIN else 0
        daemon_set["metadata"]["managedFields"] = [{"manager": "gpu-operator", "time": at(changed)}]
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": at(operator)}
    state["pods"].append({**OPERATOR, "spec": {}, "status": {"phase": "Running", "conditions": [ready]}})
    for pod in state["pods"]:
        if PLUGIN in pod["metadata"]["name"]:
            pod["status"]["conditions"][0]["lastTransitionTime"] = at(plugin)
    state["nodes"][0]["metadata"]["managedFields"] = [
        {"manager": "kubelet", "subresource": "status", "time": at(reported)},
        {"manager": "k3s-gpu-sharing", "time": at(0)},
    ]
    return snapshot(state)


@pytest.mark.parametrize(
    ("snapshot", "unsettled"),
    [
        (snapshot(cluster()), ""),  # no times at all
        (seen(), ""),
        (seen(policy=2), "ClusterPolicy: spec"),
        (seen(policy=2, rolled=2), ""),
        (seen(policy=2, rolled=1), ""),
        (seen(policy=11), ""),
        (seen(operator=15), "ClusterPolicy: operator"),
        (seen(operator=15, rolled=3), ""),
        (seen(operator=21), ""),
        (seen(plugin=3, reported=60), "gpu-1: DaemonSet nvidia-device-plugin-daemonset"),
        (seen(plugin=3, reported=3), ""),
        (seen(plugin=12, reported=60), ""),
    ],
)
def test_change_that_may_not_show_yet_is_waited_for(snapshot: Snapshot, unsettled: str):
    found = Settling(now=lambda: NOW).unsettled(EXPECTED, snapshot)
    assert "".join(f"{one.node}: {one.check}" for one in found) == unsettled


def test_clock_that_is_ahead_delays_no_longer_than_the_limit():
    clock = [100.0]
    settling = Settling(clock=lambda: clock[0], now=lambda: NOW)
    ahead = seen(plugin=-3600, reported=60)
    for passed, settled in ((0, False), (10, False), (1, True)):
        clock[0] += passed
        assert (settling.unsettled(EXPECTED, ahead) == []) is settled
