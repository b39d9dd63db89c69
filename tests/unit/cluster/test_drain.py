"""Nodes out of use while their cards change hands: who has to go, and what when somebody stays."""

import contextlib
from typing import Any

import httpx2
import pytest
from lightkube.core.exceptions import ApiError

from k3sgpu.cluster import drain, drain_plan

FILE, MPS, MIG = "nvidia.com/device-plugin.config", "nvidia.com/mps.capable", "nvidia.com/mig.strategy"


def labels(file: str | None, mps: bool = False, mig: str | None = None) -> dict[str, str]:
    given = {FILE: file, MPS: "true" if mps else "false", MIG: mig}
    return {key: value for key, value in given.items() if value is not None}


def node(name: str = "gpu-1", **given: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels(**given), "annotations": {}}, "spec": {}}


def expecting(**given: Any) -> dict[str, Any]:
    return {
        "drainTimeoutSeconds": 0,
        "nodes": [{"name": "gpu-1", "resources": {}, "labels": labels(**given)}],
    }


def pod(
    name: str, on: str = "gpu-1", owner: str | None = "ReplicaSet", resource: str = "nvidia.com/gpu"
) -> dict:
    owners = [{"kind": owner, "name": f"{name}-owner", "controller": True}] if owner else []
    return {
        "metadata": {"name": name, "namespace": "default", "ownerReferences": owners},
        "spec": {"nodeName": on, "containers": [{"name": "main", "resources": {"limits": {resource: "1"}}}]},
        "status": {"phase": "Running"},
    }


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        ({"file": "none"}, {"file": "six"}, False),
        ({"file": "six"}, {"file": "eight"}, False),
        ({"file": "none"}, {"file": "four", "mps": True}, True),
        ({"file": "four", "mps": True}, {"file": "none"}, True),
        ({"file": "four", "mps": True}, {"file": "eight", "mps": True}, True),
        ({"file": "four", "mps": True}, {"file": "four", "mps": True}, False),
        ({"file": "none"}, {"file": "cut", "mig": "mixed"}, True),
        ({"file": "cut", "mig": "single"}, {"file": "cut", "mig": "single"}, False),
        ({"file": "cut", "mig": "single"}, {"file": "cut-2", "mig": "mixed"}, True),
        ({"file": "cut", "mig": "mixed"}, {"file": "cut-2", "mig": "mixed"}, False),
        ({"file": None}, {"file": "four", "mps": True}, False),  # its first file: nobody shares it yet
    ],
)
def test_which_changes_need_free_cards(before: dict, after: dict, moved: bool):
    assert drain_plan.nodes_to_drain(expecting(**after), {"gpu-1": node(**before)}) == (
        ["gpu-1"] if moved else []
    )


def test_a_node_that_is_not_there_has_nobody_to_move():
    assert drain_plan.nodes_to_drain(expecting(file="four", mps=True), {}) == []


def test_who_holds_a_gpu():
    ended = pod("ended") | {"status": {"phase": "Succeeded"}}
    initial = pod("initial", resource="cpu")
    initial["spec"]["initContainers"] = [
        {"name": "i", "resources": {"limits": {"nvidia.com/gpu.shared": "1"}}}
    ]
    pods = [
        pod("slice"),
        pod("partition", resource="nvidia.com/mig-1g.5gb"),
        pod("elsewhere", on="gpu-2"),
        pod("other", resource="cpu"),
        pod("nic", resource="nvidia.com/hostdev"),
        ended,
        initial,
    ]
    assert [one["metadata"]["name"] for one in drain_plan.pods_holding_gpus(["gpu-1"], pods)] == [
        "slice",
        "partition",
        "initial",
    ]


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
            said = {
                "message": "Cannot evict pod",
                "code": 429,
                "details": {"causes": [{"message": "x needs 1"}]},
            }
            request = httpx2.Request("POST", "http://x")
            raise ApiError(request=request, response=httpx2.Response(429, json=said, request=request))
        self.pods = [pod for pod in self.pods if pod["metadata"]["name"] != name]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch):
    def serve(*arguments: Any, **options: Any) -> Cluster:
        cluster = Cluster(*arguments, **options)

        @contextlib.asynccontextmanager
        async def client(_: Any):
            yield cluster

        monkeypatch.setattr(drain, "client", client)
        monkeypatch.setattr(drain, "api_address", lambda _: "the API server https://10.0.0.1:6443")
        monkeypatch.setattr(drain, "EVERY_S", 0.01)
        return cluster

    return serve


TO_MPS = {**expecting(file="four", mps=True), "drainTimeoutSeconds": 5}


def test_gpu_pods_leave_and_the_node_comes_back(served):
    cluster = served([node(file="none"), node("gpu-2", file="none")], [pod("a"), pod("b", on="gpu-2")])
    said = drain.drain_changing_nodes(TO_MPS, None, print)  # pyright: ignore[reportArgumentType]
    assert said.startswith("gpu-1: out of use since ")
    assert [one["metadata"]["name"] for one in cluster.pods] == ["b"]
    assert drain.uncordon_drained_nodes(None) == "in use again: gpu-1"  # pyright: ignore[reportArgumentType]
    assert cluster.cordons == [("gpu-1", True), ("gpu-1", None)]
    assert drain.uncordon_drained_nodes(None) == "no node was out of use"  # pyright: ignore[reportArgumentType]


def test_a_node_that_somebody_else_cordoned_stays_so(served):
    cluster = served([node(file="none") | {"spec": {"unschedulable": True}}], [pod("a")])
    assert drain.drain_changing_nodes(TO_MPS, None, print) == ""  # pyright: ignore[reportArgumentType]
    assert drain.uncordon_drained_nodes(None) == "no node was out of use"  # pyright: ignore[reportArgumentType]
    assert (cluster.pods, cluster.cordons) == ([], [])


def test_at_the_deadline_the_node_is_in_use_again_and_the_pods_are_named(served):
    cluster = served([node(file="none")], [pod("a")], budget=True)
    with pytest.raises(
        drain.DrainBlocked, match=r"gpu-1: pod default/a: Cannot evict pod x needs 1"
    ) as stayed:
        drain.drain_changing_nodes({**TO_MPS, "drainTimeoutSeconds": 0}, None, print)  # pyright: ignore[reportArgumentType]
    assert "after 0 s these pods still hold GPUs; their nodes are in use as before" in str(stayed.value)
    assert cluster.cordons == [("gpu-1", True), ("gpu-1", None)]


@pytest.mark.parametrize(
    ("owner", "why"),
    [(None, "would not come again: delete it yourself"), ("DaemonSet", "take DaemonSet a-owner")],
)
def test_what_cannot_be_moved_is_said_before_anything_is_touched(served, owner, why):
    cluster = served([node(file="none")], [pod("a", owner=owner), pod("b")])
    with pytest.raises(drain.DrainBlocked, match=f"no node was touched(?s:.*){why}"):
        drain.drain_changing_nodes(TO_MPS, None, print)  # pyright: ignore[reportArgumentType]
    assert (len(cluster.pods), cluster.cordons) == (2, [])


def test_an_api_that_is_away_for_a_moment(served, monkeypatch):
    cluster = served([node(file="none")], [])
    answers = iter([httpx2.ConnectError("refused"), None])
    patch = cluster.patch

    async def flaky(*arguments: Any, **options: Any) -> None:
        if trouble := next(answers, None):
            raise trouble
        await patch(*arguments, **options)

    cluster.patch = flaky
    assert "gpu-1: out of use" in drain.drain_changing_nodes(TO_MPS, None, print)  # pyright: ignore[reportArgumentType]


def test_an_api_that_stays_away_leaves_all_as_it_is(served, monkeypatch):
    monkeypatch.setattr(drain, "CALL_S", 0)
    cluster = served([node(file="none")], [pod("a")])

    async def refuse(*_: Any, **__: Any):
        raise httpx2.ConnectError("connection refused")
        yield

    cluster.list = refuse
    with pytest.raises(
        drain.DrainBlocked,
        match=r"https://10\.0\.0\.1:6443 is unreachable, asked for 0 s: connection refused",
    ):
        drain.drain_changing_nodes(TO_MPS, None, print)  # pyright: ignore[reportArgumentType]
    assert (len(cluster.pods), cluster.cordons) == (1, [])
