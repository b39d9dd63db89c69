"""What `parse` refuses, with path, found, expected and remedy; what it accepts; what it warns of."""

from typing import Any

import pytest

from k3sgpu import settings as s
from tests.data.accepted import ACCEPTED
from tests.data.broken_files import REFUSALS, SECRET_REFUSALS
from tests.data.stack_files import REMOVE, RESOURCES, SLICING, problems, the_problem, with_


def check(problem: s.Problem, path: str, found: str, expected: str, remedy: str) -> None:
    assert problem.where == path
    assert found in problem.found
    assert expected in problem.expected
    assert remedy in problem.remedy
    assert problem.severity == "error"
    assert "hidden" not in str(problem)


@pytest.mark.parametrize("case", REFUSALS)
def test_refused_with_its_one_problem(case: str) -> None:
    change, *pieces = REFUSALS[case]
    check(the_problem(change), *pieces)


@pytest.mark.parametrize("case", SECRET_REFUSALS)
def test_secret_without_its_setting_is_refused(case: str) -> None:
    change, secret, *pieces = SECRET_REFUSALS[case]
    check(the_problem(change, (secret,)), *pieces)


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted_change_that_resembles_a_refused_one(case: str) -> None:
    s.parse(with_(ACCEPTED[case]))


OLD_DRIVER = {"pools/rtx/gpu/driverVersion": "535.309.01"}
NEW_CUDA = "nvcr.io/nvidia/cuda:13.0.1-base-ubuntu24.04"


def test_image_of_newer_cuda_than_the_driver_gets_a_warning() -> None:
    (problem,) = s.parse(with_({**OLD_DRIVER, "workloads/w/image": NEW_CUDA})).warnings
    assert (problem.where, problem.severity) == ("workloads.w.image", "warning")
    assert problem.found == f"{NEW_CUDA}, of CUDA 13, on pool rtx with driver 535.309.01"
    assert problem.expected.startswith("driver 580 or newer")


@pytest.mark.parametrize(
    "changes",
    [
        {**OLD_DRIVER, "workloads/w/kind": "Job", "workloads/w/replicas": REMOVE},  # the program's own image
        {**OLD_DRIVER, "verify": True},
        {**OLD_DRIVER, "workloads/w/command": ["dcgmproftester12"]},
        {"workloads/w/image": NEW_CUDA},
        {"pools/rtx/gpu/driverVersion": "580", "workloads/w/image": NEW_CUDA},
        {**OLD_DRIVER, "workloads/w": {"image": NEW_CUDA, "nodeSelector": {"accelerator": "other"}}},
    ],
)
def test_image_that_suits_its_driver_gets_no_warning(changes: dict[str, Any]) -> None:
    assert s.parse(with_(changes)).warnings == ()


def test_shared_resource_that_no_card_provides_gets_a_warning() -> None:
    """NVIDIA's plugin skips it; the article's profile for an A100 names five resources."""
    more = {"name": "nvidia.com/mig-1g.18gb", "replicas": 2}
    (problem,) = s.parse(with_({f"{RESOURCES}/1": more})).warnings
    assert problem.severity == "warning"
    assert problem.where == f"{SLICING}.resources[1].name"
    assert problem.found == "nvidia.com/mig-1g.18gb, which no card of pool rtx provides"
    assert "nvidia.com/gpu" in problem.expected and "pools.rtx.gpu.mig" in problem.remedy


def test_unknown_values_of_another_chart_release_get_a_warning() -> None:
    """The table is of one release; a newer chart may know more."""
    values = {"gpuOperator/version": "v26.10.0", "gpuOperator/values": {"newPart": {"enabled": True}}}
    (problem,) = s.parse(with_(values)).warnings
    assert problem.where == "gpuOperator.values.newPart" and problem.severity == "warning"


@pytest.mark.parametrize("values", [{}, {"cdi": {"enabled": False}}])
def test_operator_that_gives_cards_to_slices_alone_gets_no_warning(values) -> None:
    assert s.parse(with_({"gpuOperator/toolkit": "operator", "gpuOperator/values": values})).warnings == ()


def test_warnings_are_reported_beside_errors() -> None:
    more = {"name": "nvidia.com/mig-1g.18gb", "replicas": 2}
    found = problems({f"{RESOURCES}/1": more, "fit": "strict"})
    assert {path: one.severity for path, one in found.items()} == {
        "fit": "error",
        f"{SLICING}.resources[1].name": "warning",
    }


def test_profile_that_no_pool_uses_gets_no_warning() -> None:
    assert (
        s.parse(with_({f"{RESOURCES}/0/name": "mig-1g.5gb", "pools/rtx/gpu/profile": "none"})).warnings == ()
    )
