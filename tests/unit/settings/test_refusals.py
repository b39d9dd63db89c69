"""Every refusal of a stack file: where, what was found, what was expected, what to write instead."""

from typing import Any

import pytest

from k3sgpu import settings as s
from tests.data import refused_sharing, refused_together, refused_values
from tests.data.stack_files import MIXED, MPS, REMOVE, RESOURCES, SLICING, problems, the_problem, with_

REFUSALS = refused_values.REFUSALS | refused_sharing.REFUSALS | refused_together.REFUSALS


@pytest.mark.parametrize("case", REFUSALS)
def test_refused(case: str) -> None:
    change, path, found, expected, remedy = REFUSALS[case]
    problem = the_problem(change)
    assert problem.where == path
    assert found in problem.found
    assert expected in problem.expected
    assert remedy in problem.remedy
    assert problem.severity == "error"


# What looks like a refusal and is none

ACCEPTED = {
    "k3s keys that begin like an owned one": {
        "k3s/config": {"disable-network-policy": True, "tls-san-security": True}
    },
    "a request of one where greater ones fail": {
        "sharing/profiles/six/timeSlicing/failRequestsGreaterThanOne": True,
        "workloads/w/gpus": 1,
    },
    "a greater request that goes elsewhere": {
        "sharing/profiles/six/timeSlicing/failRequestsGreaterThanOne": True,
        "pools/other": {
            "role": "agent",
            "hosts": {"gpu-2": "10.0.0.22"},
            "gpu": {"product": "A", "count": 2, "memoryMiB": 1},
        },
        "workloads/w/nodeSelector": {"accelerator": "A"},
    },
    "a containerd configuration that is no template": {
        "gpuOperator/values": {
            "toolkit": {"env": [{"name": "CONTAINERD_CONFIG", "value": "/etc/containerd/config.toml"}]}
        }
    },
    "keys of hosts alone": {
        "ssh/privateKeyFile": REMOVE,
        "pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "privateKeyFile": "a"},
        "pools/control/hosts/server-1": {"address": "10.0.0.11", "privateKeyFile": "b"},
    },
    "partitions under their own names": {**MIXED, "pools/rtx/gpu/mig": {"3g.71gb": 1, "1g.18gb+me": 1}},
    "partitions under one name": {
        "sharing/profiles/six/migStrategy": "single",
        "pools/rtx/gpu/mig": {"1g.18gb": 7},
    },
    "a strategy for cards that are whole": {"sharing/profiles/six/migStrategy": "mixed"},
    "a request of one by MPS": {"sharing/profiles/six": {"mps": MPS}, "workloads/w/gpus": 1},
    "a chart from a registry": {"gpuOperator/chart": "oci://registry.example/charts/gpu-operator"},
    "a bare cluster": {"gpuOperator/enabled": False, "workloads": {}},
    "values of another chart inside the chart": {
        "gpuOperator/values": {"node-feature-discovery": {"worker": {"tolerations": []}}}
    },
    "no runtimes without a GPU": {"k3s/disable": ["runtimes"], "pools/rtx/gpu": REMOVE},
    "no pods at all": {"workloads/w/replicas": 0},
    "the profile none": {"pools/rtx/gpu/profile": "none", "sharing": REMOVE},
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted(case: str) -> None:
    s.parse(with_(ACCEPTED[case]))


OLD_DRIVER = {"pools/rtx/gpu/driverVersion": "535.309.01"}
NEW_CUDA = "nvcr.io/nvidia/cuda:13.0.1-base-ubuntu24.04"


def test_an_image_of_a_newer_cuda_than_the_driver_runs_gets_a_warning() -> None:
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
def test_what_suits_its_driver_gets_none(changes: dict[str, Any]) -> None:
    assert s.parse(with_(changes)).warnings == ()


def test_what_no_card_of_a_pool_is_gets_a_warning() -> None:
    """NVIDIA's plugin skips it; the article's profile for an A100 names five resources."""
    more = {"name": "nvidia.com/mig-1g.18gb", "replicas": 2}
    (problem,) = s.parse(with_({f"{RESOURCES}/1": more})).warnings
    assert problem.severity == "warning"
    assert problem.where == f"{SLICING}.resources[1].name"
    assert problem.found == "nvidia.com/mig-1g.18gb, which no card of pool rtx provides"
    assert "nvidia.com/gpu" in problem.expected and "pools.rtx.gpu.mig" in problem.remedy


def test_values_of_another_release_are_doubted_only() -> None:
    """The table is of one release; a newer chart may know more."""
    values = {"gpuOperator/version": "v26.7.0", "gpuOperator/values": {"gpuCluster": {"deployCR": False}}}
    (problem,) = s.parse(with_(values)).warnings
    assert problem.where == "gpuOperator.values.gpuCluster" and problem.severity == "warning"


def test_warnings_stand_beside_errors() -> None:
    more = {"name": "nvidia.com/mig-1g.18gb", "replicas": 2}
    found = problems({f"{RESOURCES}/1": more, "fit": "strict"})
    assert {path: one.severity for path, one in found.items()} == {
        "fit": "error",
        f"{SLICING}.resources[1].name": "warning",
    }


def test_a_profile_that_no_pool_uses_warns_of_nothing() -> None:
    assert (
        s.parse(with_({f"{RESOURCES}/0/name": "mig-1g.5gb", "pools/rtx/gpu/profile": "none"})).warnings == ()
    )
