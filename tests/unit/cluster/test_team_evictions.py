"""Evictions above the teams' shares, against a cluster in memory."""

import contextlib
from typing import Any

import httpx2
import pytest
from lightkube.core.exceptions import ApiError

from k3sgpu import timeouts
from k3sgpu.cluster import team_evictions
from k3sgpu.cluster.team_evictions import EvictionsFailed, evict_excess_pods, planned_evictions
from tests.data.team_pods import quota, share, team_pod

CONFIG: Any = None


class Cluster:
    """Pods and quotas in memory. `budget` refuses every eviction; without `kubelet` no pod ends."""

    def __init__(self, pods: list[dict], quotas: list[dict], budget: bool = False, kubelet: bool = True):
        self.pods, self.quotas, self.budget, self.kubelet = pods, quotas, budget, kubelet
        self.deleted: list[str] = []

    async def list(self, kind: Any, namespace: str):
        for item in self.quotas if kind is team_evictions.ResourceQuota else self.pods:
            yield item

    async def create(self, body: Any, name: str, namespace: str) -> None:
        if self.budget:
            answer = {"message": "Cannot evict pod", "code": 429}
            answer["details"] = {"causes": [{"reason": "DisruptionBudget", "message": "needs 1"}]}
            request = httpx2.Request("POST", "http://x")
            raise ApiError(request=request, response=httpx2.Response(429, json=answer, request=request))
        self.end(name)

    async def delete(self, kind: Any, name: str, namespace: str) -> None:
        self.deleted.append(name)
        self.end(name)

    def end(self, name: str) -> None:
        if self.kubelet:
            self.pods = [pod for pod in self.pods if pod["metadata"]["name"] != name]
        for pod in self.pods:
            if pod["metadata"]["name"] == name:
                pod["metadata"]["deletionTimestamp"] = "2026-12-01T12:00:00Z"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch):
    def serve(*arguments: Any, **options: Any) -> Cluster:
        cluster = Cluster(*arguments, **options)

        @contextlib.asynccontextmanager
        async def connect(_: Any):
            yield cluster

        monkeypatch.setattr(team_evictions, "client", connect)
        for name in ("DRAIN_INTERVAL_SECONDS", "TEAM_INTERVAL_SECONDS"):
            monkeypatch.setattr(timeouts, name, 0.01)
        for name in ("TEAM_QUOTAS_SECONDS", "TEAM_EVICTION_SECONDS"):
            monkeypatch.setattr(timeouts, name, 0.2)
        return cluster

    return serve


TEAMS = ["vision"]
NUMBERS = [quota("guaranteed-rtx", 2), quota("burst-rtx", 2)]
THREE = (("a", 2), ("b", 1), ("c", 0))


def three_pods() -> list[dict]:
    return [team_pod(name, age=age) for name, age in THREE]


def test_pods_above_the_share_are_evicted(served) -> None:
    cluster = served(three_pods(), NUMBERS)
    assert [one.pod.name for one in planned_evictions(CONFIG, TEAMS, [share()])] == ["c"]
    assert len(cluster.pods) == 3
    lines = evict_excess_pods(TEAMS, [share()], CONFIG, print)
    assert len(lines) == 1
    assert lines[0].startswith("evicted vision/c: team vision may have 2 nvidia.com/gpu in pool rtx for guar")
    assert [pod["metadata"]["name"] for pod in cluster.pods] == ["a", "b"] and not cluster.deleted
    assert evict_excess_pods(TEAMS, [share()], CONFIG, print) == []


def test_pod_that_a_budget_keeps_is_deleted(served) -> None:
    cluster = served(three_pods(), NUMBERS, budget=True)
    evict_excess_pods(TEAMS, [share()], CONFIG, print)
    assert cluster.deleted == ["c"]


def test_no_pod_is_evicted_before_quotas_have_the_numbers(served) -> None:
    cluster = served(three_pods(), [quota("guaranteed-rtx", 3), NUMBERS[1]])
    with pytest.raises(EvictionsFailed) as failed:
        evict_excess_pods(TEAMS, [share()], CONFIG, print)
    assert "ResourceQuota vision/guaranteed-rtx: requests.nvidia.com/gpu 2, now 3" in str(failed.value)
    assert len(cluster.pods) == 3


def test_pod_that_does_not_end_is_named(served) -> None:
    served(three_pods(), NUMBERS, kubelet=False)
    with pytest.raises(EvictionsFailed, match="vision/c is terminating"):
        evict_excess_pods(TEAMS, [share()], CONFIG, print)


def test_team_without_any_share_may_hold_nothing(served) -> None:
    served(three_pods(), [])
    assert {one.pod.name for one in planned_evictions(CONFIG, TEAMS, [])} == {"a", "b", "c"}
