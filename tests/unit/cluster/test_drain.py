"""Drain and uncordon, against a cluster in memory."""

import contextlib
from typing import Any

import httpx2
import pytest
from lightkube.core.exceptions import ApiError

from k3sgpu import timeouts
from k3sgpu.cluster import client, drain
from k3sgpu.handoff.expected_state import ExpectedState
from tests.data.gpu_pods import expecting, node, pod

CONFIG: Any = None
"""No kubeconfig: the client is replaced."""


class Cluster:
    """Nodes and pods in memory, in the place of an API client. `budget` refuses every eviction."""

    def __init__(self, nodes: list[dict], pods: list[dict], budget: bool = False):
        self.nodes, self.pods, self.budget, self.cordons = nodes, pods, budget, []

    async def list(self, kind: Any, namespace: str | None = None):
        for item in self.pods if namespace else self.nodes:
            yield item

    async def patch(self, kind: Any, name: str, body: dict, **_: Any) -> None:
        one = next(node for node in self.nodes if node["metadata"]["name"] == name)
        one["spec"] |= body["spec"]
        self.cordons.append((name, body["spec"]["unschedulable"]))
        for key, value in body["metadata"]["annotations"].items():
            one["metadata"]["annotations"].pop(key, None)
            if value:
                one["metadata"]["annotations"][key] = value

    async def create(self, body: Any, name: str, namespace: str) -> None:
        if self.budget:
            answer = {
                "message": "Cannot evict pod",
                "code": 429,
                "details": {"causes": [{"message": "x needs 1"}]},
            }
            request = httpx2.Request("POST", "http://x")
            raise ApiError(request=request, response=httpx2.Response(429, json=answer, request=request))
        self.pods = [pod for pod in self.pods if pod["metadata"]["name"] != name]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch):
    def serve(*arguments: Any, **options: Any) -> Cluster:
        cluster = Cluster(*arguments, **options)

        @contextlib.asynccontextmanager
        async def connect(_: Any):
            yield cluster

        monkeypatch.setattr(drain, "client", connect)
        monkeypatch.setattr(client, "api_address", lambda _: "the API server https://10.0.0.1:6443")
        monkeypatch.setattr(timeouts, "DRAIN_INTERVAL_SECONDS", 0.01)
        monkeypatch.setattr(timeouts, "API_RETRY_INTERVAL_SECONDS", 0.01)
        return cluster

    return serve


TO_MPS: ExpectedState = {**expecting(config="four", mps=True), "drainTimeoutSeconds": 5}


def test_gpu_pods_are_evicted_and_the_node_is_uncordoned_later(served):
    cluster = served([node(config="none"), node("gpu-2", config="none")], [pod("a"), pod("b", on="gpu-2")])
    drained = drain.drain_changing_nodes(TO_MPS, CONFIG, print)
    assert drained.startswith("gpu-1: cordoned since ")
    assert [one["metadata"]["name"] for one in cluster.pods] == ["b"]
    assert drain.uncordon_drained_nodes(CONFIG) == "uncordoned: gpu-1"
    assert cluster.cordons == [("gpu-1", True), ("gpu-1", None)]
    assert drain.uncordon_drained_nodes(CONFIG) == "no node to uncordon"


def test_node_that_somebody_else_cordoned_stays_cordoned(served):
    cluster = served([node(config="none") | {"spec": {"unschedulable": True}}], [pod("a")])
    assert drain.drain_changing_nodes(TO_MPS, CONFIG, print) == ""
    assert drain.uncordon_drained_nodes(CONFIG) == "no node to uncordon"
    assert (cluster.pods, cluster.cordons) == ([], [])


def test_deadline_uncordons_the_node_and_names_the_pods(served):
    cluster = served([node(config="none")], [pod("a")], budget=True)
    with pytest.raises(
        drain.DrainFailed, match=r"gpu-1: pod default/a: Cannot evict pod x needs 1"
    ) as blocked:
        drain.drain_changing_nodes({**TO_MPS, "drainTimeoutSeconds": 0}, CONFIG, print)
    assert "after 0 s these pods still hold GPUs; their nodes are uncordoned again" in str(blocked.value)
    assert cluster.cordons == [("gpu-1", True), ("gpu-1", None)]


@pytest.mark.parametrize(
    ("owner", "why"),
    [
        (None, "no controller would make it again: delete it yourself"),
        ("DaemonSet", "keep DaemonSet a-owner off this node"),
    ],
)
def test_pod_that_cannot_be_evicted_stops_the_drain_before_it_begins(served, owner, why):
    cluster = served([node(config="none")], [pod("a", owner=owner), pod("b")])
    with pytest.raises(drain.DrainFailed, match=f"no node was cordoned(?s:.*){why}"):
        drain.drain_changing_nodes(TO_MPS, CONFIG, print)
    assert (len(cluster.pods), cluster.cordons) == (2, [])


def test_request_is_repeated_while_the_api_is_away(served, monkeypatch):
    cluster = served([node(config="none")], [])
    answers = iter([httpx2.ConnectError("refused"), None])
    patch = cluster.patch

    async def flaky(*arguments: Any, **options: Any) -> None:
        if trouble := next(answers, None):
            raise trouble
        await patch(*arguments, **options)

    cluster.patch = flaky
    assert "gpu-1: cordoned since" in drain.drain_changing_nodes(TO_MPS, CONFIG, print)


def test_api_that_stays_away_leaves_everything_as_it_is(served, monkeypatch):
    monkeypatch.setattr(timeouts, "API_RETRY_SECONDS", 0)
    cluster = served([node(config="none")], [pod("a")])

    async def refuse(*_: Any, **__: Any):
        raise httpx2.ConnectError("connection refused")
        yield

    cluster.list = refuse
    with pytest.raises(
        drain.DrainFailed,
        match=r"https://10\.0\.0\.1:6443: connection refused; asked for 0 s",
    ):
        drain.drain_changing_nodes(TO_MPS, CONFIG, print)
    assert (len(cluster.pods), cluster.cordons) == (1, [])
