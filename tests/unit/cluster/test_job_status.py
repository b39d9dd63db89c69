"""The state of Jobs and pods in one line each."""

from typing import Any

import pytest

from k3sgpu.cluster.job_status import describe_pod, job_outcome, last_failed_pod
from tests.data.jobs import EXITED, FULL, PULLING, job, pod, unschedulable


@pytest.mark.parametrize(
    ("one", "line"),
    [
        (pod(), "pod p on gpu-1: Running"),
        (EXITED, "pod p2 on gpu-1: exit code 244 (Error)"),
        (pod(phase="Pending", **PULLING), 'pod p on gpu-1: ImagePullBackOff: Back-off pulling image "i:1"'),
        (unschedulable(FULL), f"pod p: {FULL}"),
        (
            pod(phase="Failed", reason="UnexpectedAdmissionError", message="found 2"),
            "pod p on gpu-1: UnexpectedAdmissionError: found 2",
        ),
        (
            pod(phase="Failed", reason="Evicted", message="\x1b[2J\n::error::no" + "x" * 5000),
            "pod p on gpu-1: Evicted: \\x1b[2J\\n::error::no" + "x" * 975 + "… (5025 characters)",
        ),
    ],
)
def test_pod_is_described_in_one_line(one: dict[str, Any], line: str) -> None:
    assert describe_pod(one) == line


def test_job_outcome_follows_its_conditions() -> None:
    assert job_outcome(job()) is None
    assert job_outcome(job("SuccessCriteriaMet")) is None
    assert job_outcome(job("Complete")) == "Complete"
    assert (
        job_outcome(job("Failed", reason="DeadlineExceeded", message="too long"))
        == "DeadlineExceeded: too long"
    )


def test_last_failed_pod_is_the_one_that_was_created_last() -> None:
    assert last_failed_pod([pod("p1", phase="Failed"), EXITED, pod("p3")]) is EXITED
