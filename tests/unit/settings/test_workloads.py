"""Workloads: default images and commands, presets, and secrets that are not shown."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from k3sgpu import settings as s
from tests.data.stack_files import GOOD, problems, the_problem, with_

# The first line of /proc/driver/nvidia/version: an H100's as read there, and of the flavour that is not open.
OPEN_580 = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build  (nixbld@)  "
CLOSED_580 = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.126.20  Wed Jan  7 07:25:55 UTC 2026"
CLOSED_575 = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  575.57.08  Sat May 24 07:25:55 UTC 2025"
CLOSED_610 = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  610.12  Sat May 24 07:25:55 UTC 2026"


def workload(**keys: Any) -> s.Workload:
    return s.parse(with_({"workloads": {"w": keys}})).workloads["w"]


def test_load_test_runs_in_the_dcgm_image_only() -> None:
    default = s.parse(GOOD).workloads["w"]
    assert default.command == ("/bin/sh", "-c") and "dcgmproftester" in default.args[0]
    assert default.security_context.capabilities.add == ("SYS_ADMIN",)
    other = workload(image="mine:1")
    assert (other.command, other.args, other.security_context.capabilities.add) == ((), (), ())
    command = workload(command=["nvidia-smi"])
    assert (command.command, command.args) == (("nvidia-smi",), ())


@pytest.mark.parametrize(
    "image", ["registry.example:5000/nvidia/dcgm:4.6.0-1-ubuntu24.04", f"mirror/dcgm@sha256:{'a' * 64}"]
)
def test_dcgm_image_of_a_mirror_runs_the_load_test(image: str) -> None:
    assert workload(image=image).args == workload().args


def test_presets_apply_by_name() -> None:
    names = ("gpu-operator-test", "nvidia-plugin-test", "nvidia-plugin-test-2")
    read = s.parse(with_({"workloads": {name: {} for name in names}})).workloads
    assert [(one.kind, one.pods, one.gpus) for one in read.values()] == [
        ("Job", 1, 1),
        ("Deployment", 1, 1),
        ("Deployment", 2, 2),
    ]
    test, *testers = read.values()
    assert "vectoradd" in test.image and not test.command
    assert all("dcgm:" in one.image for one in testers)


def test_keys_of_the_stack_file_override_the_preset() -> None:
    name = "nvidia-plugin-test-2"
    assert s.parse(with_({"workloads": {name: {"replicas": 3}}})).workloads[name].gpus == 2
    assert s.parse(with_({"workloads": {name: {"kind": "Job"}}})).workloads[name].gpus == 1


@pytest.mark.parametrize(
    ("line", "capability", "generation"),
    [
        (OPEN_580, "9.0", 13),
        (CLOSED_575, "9.0", 12),
        (CLOSED_610, "10.0", 13),
        (CLOSED_580, "7.5", 13),
        (CLOSED_580, "7.0", 12),
        (CLOSED_580, "7.5\n6.1", 12),
        (OPEN_580, None, 13),
    ],
)
def test_load_test_selects_the_cuda_generation_of_driver_and_card(
    tmp_path: Path, line: str, capability: str | None, generation: int
) -> None:
    version = tmp_path / "version"
    version.write_text(f"{line}\nGCC version:  gcc version 15.3.0 (GCC) \n")
    if capability:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\necho '{capability}'\n")
        program.chmod(0o755)
    (script,) = workload().args
    head = script.partition("while true")[0].replace("/proc/driver/nvidia/version", str(version))
    result = subprocess.run(
        ["/bin/sh", "-c", f'{head}\necho "$generation"'],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )
    assert result.stdout == f"{generation}\n"


def test_parallel_pods_of_a_job() -> None:
    job = {"kind": "Job", "completions": 5}
    assert workload(**job).pods == 1
    assert workload(**job, parallelism=3).pods == 3
    assert workload(**job, parallelism=9).pods == 5


def test_value_of_a_secret_variable_is_not_shown() -> None:
    problem = problems({"workloads/w/env": {"DB_PASSWORD": "hunter2"}})["workloads.w.env.DB_PASSWORD"]
    assert "hunter2" not in s.render([problem])


def test_job_that_requests_several_slices_is_refused_where_that_fails() -> None:
    changes = {
        "workloads/w": {"kind": "Job", "gpus": 2},
        "sharing/profiles/six/timeSlicing/failRequestsGreaterThanOne": True,
    }
    assert "and with it the Job" in the_problem(changes).expected
