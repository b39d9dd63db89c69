"""Waits for Jobs: one of the stack, or one on each GPU node that verifies that a slice computes."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lightkube import KubeConfig

from k3sgpu import timeouts
from k3sgpu.cluster.client import ApiUnavailable
from k3sgpu.cluster.job_status import (
    COMPLETE,
    describe_pod,
    job_outcome,
    last_failed_pod,
    scheduler_message,
)
from k3sgpu.cluster.jobs_api import JobsApi, jobs_api
from k3sgpu.cluster.objects import KubernetesObject
from k3sgpu.handoff.jobs import JobToWaitFor, NodeToVerify, VerifyPlan
from k3sgpu.polling import Look, poll, progress_line
from k3sgpu.wellknown import HOSTNAME_LABEL, RUNTIME_CLASS

VERIFY_LABELS = {"app": "gpu-verify"}
PASSED, FULL, FAILED = "passed", "skipped: full", "failed: "
"""A node's verdict; the reason follows on FAILED."""

Progress = Callable[[str], None]


def wait_for_job(job: JobToWaitFor, config: KubeConfig, progress: Progress) -> str | None:
    """Waits for the Job's end. It returns None when the Job has succeeded, else what happened:
    its pods, their exit codes, and the end of a log."""

    async def run() -> str | None:
        async with jobs_api(config, job["namespace"]) as jobs:
            return await JobWait(jobs, job["name"], job["timeoutSeconds"], progress).failure()

    return asyncio.run(run())


def verify_nodes(plan: VerifyPlan, config: KubeConfig, progress: Progress) -> dict[str, str]:
    """Runs a Job on one slice of each node, and returns PASSED, FULL, or FAILED and why by node.

    The Jobs are deleted afterwards.
    """

    async def run() -> dict[str, str]:
        async with jobs_api(config, plan["namespace"]) as jobs:
            await _delete_verify_jobs(jobs)  # of a run that was killed
            try:
                nodes = plan["nodes"]
                verdicts = await asyncio.gather(*(verify_node(jobs, plan, node, progress) for node in nodes))
                return {node["name"]: verdict for node, verdict in zip(nodes, verdicts, strict=True)}
            finally:
                await _delete_verify_jobs(jobs)

    return asyncio.run(run())


async def verify_node(jobs: JobsApi, plan: VerifyPlan, node: NodeToVerify, progress: Progress) -> str:
    """Runs a Job on one slice of the node, and returns PASSED, FULL, or FAILED and why."""
    try:
        name = await jobs.create(verify_job(plan, node))
    except ApiUnavailable as error:
        return f"{FAILED}no Job could be made: {error}"
    full_message = f"Insufficient {node['resource']}"
    wait = JobWait(jobs, name, plan["timeoutSeconds"], lambda _: None, full_message)
    failure = await wait.failure()
    verdict = PASSED if failure is None else failure if failure == FULL else f"{FAILED}{failure}"
    progress(f"{node['name']}: {verdict}")
    return verdict


def verify_job(plan: VerifyPlan, node: NodeToVerify) -> KubernetesObject:
    """Returns a Job that must compute on one slice of one node, whatever taints it has."""
    container = {
        "name": "main",
        "image": plan["image"],
        "resources": {"limits": {node["resource"]: "1"}},
    }
    return {
        "metadata": {"generateName": "gpu-verify-", "labels": VERIFY_LABELS},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": plan["timeoutSeconds"],
            "ttlSecondsAfterFinished": timeouts.JOB_CLEANUP_SECONDS,
            "template": {
                "metadata": {"labels": VERIFY_LABELS},
                "spec": {
                    "restartPolicy": "Never",
                    "runtimeClassName": RUNTIME_CLASS,
                    "nodeSelector": {HOSTNAME_LABEL: node["name"]},
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [container],
                },
            },
        },
    }


@dataclass
class JobWait:
    """The wait for one Job's end."""

    jobs: JobsApi
    name: str
    timeout: int
    """The Job's activeDeadlineSeconds; its controller has JOB_CONTROLLER_SECONDS more to end it."""
    progress: Progress
    full_message: str = ""
    """What the scheduler says of a node that is full. Empty: wait for room until the Job's deadline."""
    pods: Sequence[KubernetesObject] = ()
    """As last seen: at its deadline, a Job's controller deletes the pods."""
    full_since: float | None = None

    async def failure(self) -> str | None:
        """Returns None when the Job has succeeded, FULL if its node is full, else what happened."""
        result = await poll(
            self._look,
            deadline=self.timeout + timeouts.JOB_CONTROLLER_SECONDS,
            interval=timeouts.JOB_INTERVAL_SECONDS,
            progress=lambda waited, state: self.progress(progress_line(waited, self.timeout, state)),
        )
        if result.last is None or not result.done:
            return f"not ended after {result.waited:.0f} s; last seen: {result.state}"
        return result.last.value

    async def _look(self) -> Look[str | None]:
        """What `failure` returns, as soon as the Job has ended."""
        job = await self.jobs.get(self.name)
        if job is None:
            return Look(f"Job {self.name} no longer exists: somebody has deleted it", done=True)
        self.pods = await self.jobs.pods(self.name) or self.pods
        if outcome := job_outcome(job):
            return Look(None if outcome == COMPLETE else await self._explain(outcome), done=True)
        if self._node_is_full():
            return Look(FULL, done=True)
        return Look(None, "; ".join(describe_pod(pod) for pod in self.pods) or "no pod yet")

    def _node_is_full(self) -> bool:
        """Whether the scheduler has found no room for NODE_FULL_SECONDS."""
        messages = [scheduler_message(pod) or "" for pod in self.pods]
        if not self.full_message or not any(self.full_message in message for message in messages):
            self.full_since = None
            return False
        now = time.monotonic()
        self.full_since = self.full_since or now
        return now - self.full_since >= timeouts.NODE_FULL_SECONDS

    async def _explain(self, outcome: str) -> str:
        """A failed Job's reason, its pods, and the end of the log of the pod that failed last."""
        lines = [outcome, *(describe_pod(pod) for pod in self.pods)]
        if pod := last_failed_pod(self.pods):
            log = await self.jobs.log(pod)
            lines += [f"the last lines of {pod['metadata']['name']}:", *(f"  | {line}" for line in log)]
        return "\n".join(lines)


async def _delete_verify_jobs(jobs: JobsApi) -> None:
    """Deletes them where the API allows it; what stays ends by itself (ttlSecondsAfterFinished)."""

    async def look() -> Look[None]:
        await jobs.delete(VERIFY_LABELS)
        return Look(None, done=True)

    await poll(look, deadline=timeouts.JOB_DELETE_SECONDS, interval=timeouts.API_RETRY_INTERVAL_SECONDS)
