"""Waits for Jobs, against answers from memory in place of the API."""

import asyncio
import io
import json
import sys
from typing import Any

import pytest

from k3sgpu import timeouts
from k3sgpu.cli.main import main
from k3sgpu.cluster import client, jobs, verify_cache
from k3sgpu.cluster.client import ApiUnavailable
from k3sgpu.handoff import environment
from k3sgpu.handoff.jobs import NodeToVerify, VerifyPlan
from tests.data.jobs import EXITED, FULL, PULLING, job, pod, unschedulable

PLAN: VerifyPlan = {
    "namespace": "n",
    "image": "i:1",
    "timeoutSeconds": 9,
    "strict": False,
    "generation": 1,
    "nodes": [],
}


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
    for name in ("JOB_INTERVAL_SECONDS", "JOB_CONTROLLER_SECONDS", "NODE_FULL_SECONDS"):
        monkeypatch.setattr(timeouts, name, 0)


def wait(*answers: Any, timeout: int = 60, full: str = "") -> tuple[str | None, list[str]]:
    lines: list[str] = []
    api: Any = Jobs(*answers)
    return asyncio.run(jobs.JobWait(api, "j", timeout, lines.append, full).failure()), lines


def test_job_that_succeeds_after_a_while() -> None:
    failure, lines = wait((job(), []), ApiUnavailable("down"), (job(), [pod()]), (job("Complete"), [pod()]))
    assert failure is None
    assert [line.partition(": ")[2] for line in lines] == ["no pod yet", "down", "pod p on gpu-1: Running"]


def test_failed_job_names_pod_exit_code_and_log() -> None:
    failure, _ = wait((job("Failed", reason="BackoffLimitExceeded", message="limit"), [EXITED]))
    assert failure == (
        "BackoffLimitExceeded: limit\n"
        "pod p2 on gpu-1: exit code 244 (Error)\n"
        "the last lines of p2:\n"
        "  | [Vector addition of 50000 elements]\n"
        "  | Test FAILED"
    )


def test_pods_that_were_deleted_at_the_deadline_are_still_named() -> None:
    over = job("Failed", reason="DeadlineExceeded", message="too long")
    failure, _ = wait((job(), [pod(phase="Pending", **PULLING)]), (over, []))
    assert failure and "DeadlineExceeded" in failure and "ImagePullBackOff" in failure


def test_wait_ends_at_the_deadline_with_what_was_last_seen() -> None:
    failure, _ = wait((job(), [unschedulable("no node")]), timeout=0)
    assert failure and "last seen: pod p: no node" in failure


def test_deleted_job_is_a_failure() -> None:
    assert wait((None, []))[0] == "Job j no longer exists: somebody has deleted it"


def test_node_counts_as_full_only_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "NODE_FULL_SECONDS", 60)
    waiting, message = (job(), [unschedulable(FULL)]), "Insufficient nvidia.com/gpu"
    assert wait(waiting, waiting, (job("Complete"), [pod()]), full=message)[0] is None


def test_node_without_room_is_full() -> None:
    waiting = (job(), [unschedulable(FULL)])
    assert wait(waiting, full="Insufficient nvidia.com/gpu")[0] == "skipped: full"
    assert "not ended" in (wait(waiting, full="Insufficient nvidia.com/other", timeout=0)[0] or "")


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([(job("Complete"), [pod()])], "passed"),
        ([(job(), [unschedulable(FULL)])], "skipped: full"),
        ([(job("Failed", reason="R", message="m"), [])], "failed: R: m"),
    ],
)
def test_node_passes_is_full_or_fails(answers: list[Any], verdict: str) -> None:
    api: Any = Jobs(*answers)
    node: NodeToVerify = {"name": "gpu-1", "resource": "nvidia.com/gpu", "offer": "one"}
    assert asyncio.run(jobs.verify_node(api, PLAN, node, lambda _: None)) == verdict


def nodes(*names: str) -> list[NodeToVerify]:
    return [{"name": name, "resource": "nvidia.com/gpu", "offer": "one"} for name in names]


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The nodes that were verified, each with one verdict for all runs."""
    asked: list[str] = []
    verdicts = {"gpu-1": "failed: R", "gpu-2": "skipped: full"}

    def verify_nodes(plan: VerifyPlan, *_: Any) -> dict[str, str]:
        asked.extend(names := [node["name"] for node in plan["nodes"]])
        return {name: verdicts.get(name, "passed") for name in names}

    monkeypatch.setattr(jobs, "verify_nodes", verify_nodes)
    monkeypatch.setattr(client, "parse_kubeconfig", lambda text, where: None)
    monkeypatch.setattr(sys, "stdin", io.StringIO("a kubeconfig"))
    return asked


@pytest.mark.parametrize(("strict", "status"), [(True, 1), (False, 0)])
def test_failed_node_fails_the_command_only_if_strict(
    strict: bool,
    status: int,
    verified: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = {**PLAN, "strict": strict, "nodes": nodes("gpu-1", "gpu-2", "gpu-3")}
    monkeypatch.setenv("K3SGPU_VERIFY", json.dumps(plan))
    assert main(["jobs", "verify"]) == status
    printed = capsys.readouterr()
    assert json.loads(printed.out)["gpu-2"] == ["skipped: full"]
    assert ("no slice computes on gpu-1 " in printed.err) is strict


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({}, ["gpu-2"]),
        ({"nodes": nodes("gpu-2", "gpu-3", "gpu-4", "gpu-5")}, ["gpu-2", "gpu-5"]),
        ({"nodes": [*nodes("gpu-3"), {**nodes("gpu-4")[0], "offer": "another"}]}, ["gpu-4"]),
        ({"image": "i:2"}, ["gpu-2", "gpu-3", "gpu-4"]),
        ({"generation": 2}, ["gpu-2", "gpu-3", "gpu-4"]),
        ({"operator": "another"}, ["gpu-2", "gpu-3", "gpu-4"]),
        ({"timeoutSeconds": 10, "strict": True}, ["gpu-2"]),
    ],
)
def test_nodes_that_passed_are_verified_again_only_after_a_change(
    change: dict[str, Any],
    again: list[str],
    verified: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = {**PLAN, "nodes": nodes("gpu-2", "gpu-3", "gpu-4")}
    for changed in ({}, change):
        verified.clear()
        monkeypatch.setenv("K3SGPU_OFFER_SOURCES", changed.get("operator", "the first"))
        texts = {**plan, **{key: value for key, value in changed.items() if key != "operator"}}
        monkeypatch.setenv("K3SGPU_VERIFY", json.dumps(texts))
        assert main(["jobs", "verify"]) == 0
        monkeypatch.setenv("PULUMI_COMMAND_STDOUT", capsys.readouterr().out)
    assert verified == again


def test_verdicts_of_many_nodes_can_be_passed_to_the_next_run(
    verified: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = "failed: " + "\x1b\n" * 5000
    plan: VerifyPlan = {**PLAN, "nodes": nodes(*(f"gpu-{n}" for n in range(1000)))}
    text = verify_cache.write_cache(
        {node["name"]: verify_cache.cut_verdict(log, plan) for node in plan["nodes"]}, {}
    )
    assert len(text) <= environment.MAX_CHARACTERS
    few: VerifyPlan = {**PLAN, "nodes": nodes("gpu-1")}
    assert verify_cache.cut_verdict(log[:2000], few) == log[:2000]


@pytest.mark.parametrize("text", ["", "{}", "[]", "no JSON", '{"gpu-1": "passed"}', '{"gpu-1": null}'])
def test_output_of_an_older_version_verifies_every_node(text: str) -> None:
    assert verify_cache.read_cache(text) == {}


def test_missing_job_variable_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "wait"]) == 2
    assert "K3SGPU_JOB" in capsys.readouterr().err
