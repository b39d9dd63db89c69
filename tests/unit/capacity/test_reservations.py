"""What is reserved for pods outside the stack."""

from typing import Any

import pytest

from tests.unit.capacity.fits import fit_of, the_problem


def test_reserved_slices_are_not_free() -> None:
    assert fit_of({"pools/rtx/reserved": {"nvidia.com/gpu": 2}}).fits is True
    fit = fit_of({"pools/rtx/reserved": {"nvidia.com/gpu": 3}})
    assert fit.fits is False and "the nodes offer 6, of which others leave 3" in the_problem(fit).expected
    assert "sharing.profiles.six: replicas: 7 instead of 6" in the_problem(fit).remedy
    host = {"pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "reserved": {}}}
    assert fit_of({"pools/rtx/reserved": {"nvidia.com/gpu": 3}, **host}).fits is True


@pytest.mark.parametrize(
    ("changes", "path", "expected"),
    [
        ({"pools/rtx/reserved": {"nvidia.com/gpu": 7}}, "pools.rtx.reserved.nvidia.com/gpu", "6 nvidia"),
        ({"pools/control/reserved": {"a.b/c": 1}}, "pools.control.reserved.a.b/c", "nothing"),
        (
            {"pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "reserved": {"nvidia.com/gpu.shared": 1}}},
            "pools.rtx.hosts.gpu-1.reserved.nvidia.com/gpu.shared",
            "6 nvidia.com/gpu (on gpu-1)",
        ),
    ],
)  # fmt: skip
def test_reservation_of_more_than_offered_is_a_problem(
    changes: dict[str, Any], path: str, expected: str
) -> None:
    found = {problem.where: problem for problem in fit_of(changes).problems}
    assert expected in found[path].expected
