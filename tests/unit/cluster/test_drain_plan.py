"""Which nodes must be drained, and which pods hold GPUs."""

import pytest

from k3sgpu.cluster.drain_plan import nodes_to_drain, pods_holding_gpus
from tests.data.gpu_pods import expecting, node, pod


@pytest.mark.parametrize(
    ("before", "after", "drained"),
    [
        ({"config": "none"}, {"config": "six"}, False),
        ({"config": "six"}, {"config": "eight"}, False),
        ({"config": "none"}, {"config": "four", "mps": True}, True),
        ({"config": "four", "mps": True}, {"config": "none"}, True),
        ({"config": "four", "mps": True}, {"config": "eight", "mps": True}, True),
        ({"config": "four", "mps": True}, {"config": "four", "mps": True}, False),
        ({"config": "none"}, {"config": "cut", "mig": "mixed"}, True),
        ({"config": "cut", "mig": "single"}, {"config": "cut", "mig": "single"}, False),
        ({"config": "cut", "mig": "single"}, {"config": "cut-2", "mig": "mixed"}, True),
        ({"config": "cut", "mig": "mixed"}, {"config": "cut-2", "mig": "mixed"}, False),
        (
            {"config": None},
            {"config": "four", "mps": True},
            False,
        ),  # no pod shares it yet
    ],
)
def test_changes_that_need_free_gpus(before: dict, after: dict, drained: bool):
    assert nodes_to_drain(expecting(**after), {"gpu-1": node(**before)}) == (["gpu-1"] if drained else [])


def test_missing_node_is_not_drained():
    assert nodes_to_drain(expecting(config="four", mps=True), {}) == []


def test_pods_that_hold_a_gpu_or_a_slice():
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
    assert [one["metadata"]["name"] for one in pods_holding_gpus(["gpu-1"], pods)] == [
        "slice",
        "partition",
        "initial",
    ]
