"""Jobs: what they and their pods say, and the wait against a small API of our own."""

import asyncio
import io
import json
import sys
from typing import Any

import pytest

from k3sgpu.cli.main import main
from k3sgpu.cluster import client
from k3sgpu.cluster import jobs as run
from k3sgpu.cluster.client import ApiUnavailable
from k3sgpu.cluster.job_status import describe_pod, ended, failed_pod

PLAN = {"namespace": "n", "image": "i:1", "timeoutSeconds": 9, "strict": False, "nodes": []}
FULL = "0/2 nodes are available: 1 Insufficient nvidia.com/gpu, 1 node(s) were unschedulable."


def pod(name: str = "p", node: str | None = "gpu-1", phase: str = "Running", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "creationTimestamp": name},
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": phase, **status},
    }


def container(**state: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "main", "state": state}]}


def unschedulable(message: str) -> dict[str, Any]:
    return pod(
        node=None,
        phase="Pending",
        conditions=[
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        ],
    )


def job(kind: str | None = None, **more: str) -> dict[str, Any]:
    return {"status": {"conditions": [{"type": kind, "status": "True", **more}] if kind else []}}


EXITED = pod("p2", phase="Failed", **container(terminated={"exitCode": 244, "reason": "Error"}))
PULLING = container(waiting={"reason": "ImagePullBackOff", "message": 'Back-off pulling image "i:1"'})


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (pod(), "pod p on gpu-1: Running"),
        (EXITED, "pod p2 on gpu-1: exit code 244 (Error)"),
        (pod(phase="Pending", **PULLING), 'pod p on gpu-1: ImagePullBackOff: Back-off pulling image "i:1"'),
        (unschedulable(FULL), f"pod p: {FULL}"),
        (
            pod(phase="Failed", reason="UnexpectedAdmissionError", message="found 2"),
            "pod p on gpu-1: UnexpectedAdmissionError: found 2",
        ),
    ],
)
def test_a_pod_in_one_line(one: dict[str, Any], said: str) -> None:
    assert describe_pod(one) == said


def test_how_a_job_ended() -> None:
    assert ended(job()) is None
    assert ended(job("SuccessCriteriaMet")) is None
    assert ended(job("Complete")) == "Complete"
    assert ended(job("Failed", reason="DeadlineExceeded", message="too long")) == "DeadlineExceeded: too long"
    assert failed_pod([pod("p1", phase="Failed"), EXITED, pod("p3")]) is EXITED


class Jobs:
    """Answers in turn, the last one for ever; an error is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.deleted = list(answers), 0

    def _next(self) -> Any:
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def create(self, made: Any) -> str:
        assert made["spec"]["template"]["spec"]["nodeSelector"] == {"kubernetes.io/hostname": "gpu-1"}
        return "gpu-verify-x"

    async def get(self, name: str) -> Any:
        self.now, pods = self._next()
        self.listed = pods
        return self.now

    async def pods(self, name: str) -> Any:
        return self.listed

    async def log(self, one: Any) -> list[str]:
        return ["[Vector addition of 50000 elements]", "Test FAILED"]

    async def delete(self, labels: Any) -> None:
        self.deleted += 1


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "EVERY_S", 0)
    monkeypatch.setattr(run, "GRACE_S", 0)
    monkeypatch.setattr(run, "SETTLED_S", 0)


def outcome(*answers: Any, timeout: int = 60, full: str | None = None) -> tuple[str | None, list[str]]:
    said: list[str] = []
    jobs: Any = Jobs(*answers)
    return asyncio.run(run._outcome(jobs, "j", timeout, said.append, full)), said


def test_a_job_that_succeeds_after_a_while() -> None:
    wrong, said = outcome((job(), []), ApiUnavailable("down"), (job(), [pod()]), (job("Complete"), [pod()]))
    assert wrong is None
    assert [line.partition(": ")[2] for line in said] == ["no pod yet", "down", "pod p on gpu-1: Running"]


def test_a_job_that_fails_tells_pod_exit_code_and_log() -> None:
    wrong, _ = outcome((job("Failed", reason="BackoffLimitExceeded", message="limit"), [EXITED]))
    assert wrong == (
        "BackoffLimitExceeded: limit\n"
        "pod p2 on gpu-1: exit code 244 (Error)\n"
        "the last lines of p2:\n"
        "  | [Vector addition of 50000 elements]\n"
        "  | Test FAILED"
    )


def test_pods_that_the_deadline_took_away_are_remembered() -> None:
    over = job("Failed", reason="DeadlineExceeded", message="too long")
    wrong, _ = outcome((job(), [pod(phase="Pending", **PULLING)]), (over, []))
    assert wrong and "DeadlineExceeded" in wrong and "ImagePullBackOff" in wrong


def test_no_wait_is_for_ever() -> None:
    wrong, _ = outcome((job(), [unschedulable("no node")]), timeout=0)
    assert wrong and "last seen: pod p: no node" in wrong
    assert outcome((None, []))[0] == "Job j is gone: somebody has deleted it"


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([(job("Complete"), [pod()])], "passed"),
        ([(job(), [unschedulable(FULL)])], "skipped: full"),
        ([(job("Failed", reason="R", message="m"), [])], "failed: R: m"),
    ],
)
def test_a_nodes_verdict(answers: list[Any], verdict: str) -> None:
    jobs: Any = Jobs(*answers)
    node = {"name": "gpu-1", "resource": "nvidia.com/gpu"}
    assert asyncio.run(run._verdict(jobs, PLAN, node, lambda _: None)) == verdict


@pytest.mark.parametrize(("strict", "status"), [(True, 1), (False, 0)])
def test_only_strict_fails(
    strict: bool, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verdicts = {"gpu-1": "failed: R", "gpu-2": "skipped: full", "gpu-3": "passed"}
    monkeypatch.setattr(run, "verify_nodes", lambda *_: verdicts)
    monkeypatch.setattr(client, "kubeconfig", lambda text, where: None)
    monkeypatch.setattr(sys, "stdin", io.StringIO("a kubeconfig"))
    monkeypatch.setenv("K3SGPU_VERIFY", json.dumps({**PLAN, "strict": strict}))
    assert main(["jobs", "verify"]) == status
    told = capsys.readouterr()
    assert '"gpu-2": "skipped: full"' in told.out
    assert ("no slice computes on gpu-1 " in told.err) is strict


def test_what_is_not_told_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "wait"]) == 2
    assert "K3SGPU_JOB" in capsys.readouterr().err
