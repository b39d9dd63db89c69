"""The tolerations that the operator's pods get for the taints of GPU pools."""

from typing import Any

import pytest

from k3sgpu import settings as s
from tests.data.stack_files import with_

GPU = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
CONTROL_PLANE = {
    "key": "node-role.kubernetes.io/control-plane",
    "operator": "Equal",
    "value": "",
    "effect": "NoSchedule",
}


def toleration(key: str, value: str, effect: str) -> dict[str, str]:
    return {"key": key, "operator": "Equal", "value": value, "effect": effect}


def tolerations(taints: list[str], values: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the chart values get where the GPU pool has these taints."""
    changes = {"pools/rtx/taints": taints, "gpuOperator/values": values or {}, "workloads": {}}
    return s.tolerations_for_gpu_pools(s.parse(with_(changes)))


def test_operands_and_workers_tolerate_the_gpu_pools_taints() -> None:
    own = [toleration("dedicated", "gpu", "NoSchedule"), toleration("team", "", "NoExecute")]
    assert tolerations(["team:NoExecute", "dedicated=gpu:NoSchedule"]) == {
        "daemonsets": {"tolerations": [GPU, *own]},
        "node-feature-discovery": {"worker": {"tolerations": [CONTROL_PLANE, GPU, *own]}},
    }


@pytest.mark.parametrize("taint", ["nvidia.com/gpu=present:NoSchedule", "a=b:PreferNoSchedule"])
def test_taint_that_the_chart_tolerates_adds_nothing(taint: str) -> None:
    assert tolerations([taint]) == {}


def test_nvidias_taint_with_another_effect_is_tolerated() -> None:
    added = tolerations(["nvidia.com/gpu=present:NoExecute"])["daemonsets"]["tolerations"]
    assert added == [GPU, toleration("nvidia.com/gpu", "present", "NoExecute")]


def test_tolerations_of_the_values_are_kept() -> None:
    own = {"key": "x", "operator": "Exists"}
    values = {"daemonsets": {"tolerations": [own]}, "node-feature-discovery": {"worker": {"tolerations": []}}}
    added = toleration("a", "b", "NoSchedule")
    assert tolerations(["a=b:NoSchedule", "x=y:NoExecute"], values) == {
        "daemonsets": {"tolerations": [own, added]},
        "node-feature-discovery": {"worker": {"tolerations": [added, toleration("x", "y", "NoExecute")]}},
    }
    assert tolerations(
        ["a=b:NoSchedule"], {"daemonsets": {"tolerations": [{"operator": "Exists"}]}}
    ).keys() == {"node-feature-discovery"}


def test_taint_of_a_pool_without_cards_adds_nothing() -> None:
    changes = {"pools/control/taints": ["a=b:NoSchedule"]}
    assert s.tolerations_for_gpu_pools(s.parse(with_(changes))) == {}
