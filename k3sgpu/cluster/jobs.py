"""Waiting for Jobs: one that the stack has made, or one on each GPU node that shows that a slice computes."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lightkube import KubeConfig

from k3sgpu.cluster.client import ApiUnavailable
from k3sgpu.cluster.job_status import describe_pod, ended, failed_pod, unschedulable
from k3sgpu.cluster.jobs_api import Jobs, Object, jobs_in

EVERY_S = 1.0
GRACE_S = 60
"""How long after a Job's deadline its controller may take to say so."""
SETTLED_S = 10
"""A node that says so long that it is full is full: its slices may just have come."""
VERIFIER = {"app": "gpu-verify"}
FULL = "skipped: full"
PASSED = "passed"

Tell = Callable[[str], None]


def wait_for_job(job: Mapping[str, Any], config: KubeConfig, tell: Tell) -> str | None:
    """None when the Job has succeeded, else what happened: its pods, their exit codes, the last of a log."""

    async def run() -> str | None:
        async with jobs_in(config, job["namespace"]) as jobs:
            return await _outcome(jobs, job["name"], job["timeoutSeconds"], tell)

    return asyncio.run(run())


def verify_nodes(plan: Mapping[str, Any], config: KubeConfig, tell: Tell) -> dict[str, str]:
    """By node: passed, `skipped: full`, or `failed:` and why. The Jobs are gone afterwards."""

    async def run() -> dict[str, str]:
        async with jobs_in(config, plan["namespace"]) as jobs:
            await _with_retries(lambda: jobs.delete(VERIFIER))  # of a run that was killed
            try:
                nodes = plan["nodes"]
                found = await asyncio.gather(*(_verdict(jobs, plan, node, tell) for node in nodes))
                return {node["name"]: verdict for node, verdict in zip(nodes, found, strict=True)}
            finally:
                await _with_retries(lambda: jobs.delete(VERIFIER))

    return asyncio.run(run())


def verifier(plan: Mapping[str, Any], node: Mapping[str, Any]) -> Object:
    """A Job that must compute on one slice of one node, whatever taints it has."""
    container = {
        "name": "main",
        "image": plan["image"],
        "resources": {"limits": {node["resource"]: "1"}},
    }
    return {
        "metadata": {"generateName": "gpu-verify-", "labels": VERIFIER},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": plan["timeoutSeconds"],
            "ttlSecondsAfterFinished": GRACE_S,
            "template": {
                "metadata": {"labels": VERIFIER},
                "spec": {
                    "restartPolicy": "Never",
                    "runtimeClassName": "nvidia",
                    "nodeSelector": {"kubernetes.io/hostname": node["name"]},
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [container],
                },
            },
        },
    }


async def _verdict(jobs: Jobs, plan: Mapping[str, Any], node: Mapping[str, Any], tell: Tell) -> str:
    try:
        name = await jobs.create(verifier(plan, node))
    except ApiUnavailable as error:
        return f"failed: no Job could be made: {error}"
    words = f"Insufficient {node['resource']}"
    wrong = await _outcome(jobs, name, plan["timeoutSeconds"], lambda _: None, full=words)
    verdict = PASSED if wrong is None else wrong if wrong == FULL else f"failed: {wrong}"
    tell(f"{node['name']}: {verdict}")
    return verdict


async def _outcome(jobs: Jobs, name: str, timeout: int, tell: Tell, full: str | None = None) -> str | None:
    """None: the Job has succeeded. FULL: the scheduler has said `full` for SETTLED_S."""
    began, full_since, shown = time.monotonic(), None, ""
    pods: Sequence[Object] = []
    while True:
        now = time.monotonic()
        try:
            job, pods = await jobs.get(name), await jobs.pods(name) or pods
            if job is None:
                return f"Job {name} is gone: somebody has deleted it"
            if end := ended(job):
                return None if end == "Complete" else await _explained(jobs, end, pods)
            state = "; ".join(describe_pod(pod) for pod in pods) or "no pod yet"
        except ApiUnavailable as error:
            state = str(error)
        if full and any(full in (unschedulable(pod) or "") for pod in pods):
            full_since = full_since or now
            if now - full_since >= SETTLED_S:
                return FULL
        else:
            full_since = None
        if now - began > timeout + GRACE_S:
            return f"not ended after {now - began:.0f} s; last seen: {state}"
        if state != shown:
            tell(f"{now - began:4.0f} s of {timeout} s: {state}")
            shown = state
        await asyncio.sleep(EVERY_S)


async def _explained(jobs: Jobs, end: str, pods: Sequence[Object]) -> str:
    """A failed Job's reason, pods, and the last lines of what the last failed one said."""
    lines = [end, *(describe_pod(pod) for pod in pods)]
    if pod := failed_pod(pods):
        log = await jobs.log(pod)
        lines += [f"the last lines of {pod['metadata']['name']}:", *(f"  | {line}" for line in log)]
    return "\n".join(lines)


async def _with_retries(call: Callable[[], Any]) -> None:
    """A few tries; what stays behind ends by itself (ttlSecondsAfterFinished)."""
    for _ in range(3):
        try:
            return await call()
        except ApiUnavailable:
            await asyncio.sleep(EVERY_S)
    return None
