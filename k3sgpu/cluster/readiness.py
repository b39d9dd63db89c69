"""The readiness gate: compares the cluster with the expected state, once or until it is reached."""

import asyncio
from collections.abc import Callable, Sequence

from lightkube import AsyncClient, KubeConfig

from k3sgpu import timeouts
from k3sgpu.cluster.client import Snapshot, client, take_snapshot, warning_events
from k3sgpu.cluster.comparison import UnmetExpectation, has_gpus, unmet_expectations
from k3sgpu.cluster.crash_logs import crash_logs
from k3sgpu.cluster.diagnosis import explain_unmet, notes
from k3sgpu.cluster.operand_restarts import OperandRestarts
from k3sgpu.cluster.rejected_pods import explain_rejected, rejected_pods
from k3sgpu.cluster.settling import Settling
from k3sgpu.handoff.expected_state import ExpectedState
from k3sgpu.polling import Look, PollResult, poll, progress_line
from k3sgpu.problem import InputError, Problem
from k3sgpu.report import Report

TITLE = "doctor cluster"


def check_once(expected: ExpectedState, config: KubeConfig) -> Report:
    """Compares the cluster with the expected state now. Raises InputError without an answer."""
    return asyncio.run(_check(expected, config, lambda _: None, deadline=0, settling=None))


def wait_until_ready(expected: ExpectedState, config: KubeConfig, progress: Callable[[str], None]) -> Report:
    """Waits until the cluster is as expected and has settled, for the timeoutSeconds of `expected` at most.

    On nodes that are not as expected it restarts the operator's pods that failed before (OperandRestarts).
    `progress` gets a line whenever something has changed, and from time to time. An API that has answered
    before may be away for the whole time. Raises InputError when the API has not answered within
    FIRST_ANSWER_SECONDS.
    """
    return asyncio.run(_check(expected, config, progress, expected["timeoutSeconds"], Settling()))


async def _check(
    expected: ExpectedState,
    config: KubeConfig,
    progress: Callable[[str], None],
    deadline: float,
    settling: Settling | None,
) -> Report:
    restarts = OperandRestarts()
    async with client(config) as api:

        async def look() -> Look[Snapshot]:
            cluster = await take_snapshot(api, expected["namespace"], has_gpus(expected))
            unmet = unmet_expectations(expected, cluster)
            if settling:
                nodes = list(dict.fromkeys(one.node for one in unmet))
                for pod in await restarts.restart_failed(api, expected["namespace"], nodes, cluster):
                    progress(f"pod {pod} has failed: deleted, so that a new one reads the configuration")
            if not unmet and settling and has_gpus(expected):
                unmet = settling.unsettled(expected, cluster)
            return Look(cluster, _summary(unmet), done=not unmet)

        result = await poll(
            look,
            deadline=deadline,
            first_answer_deadline=min(timeouts.FIRST_ANSWER_SECONDS, deadline),
            interval=_interval,
            progress=lambda waited, state: progress(progress_line(waited, deadline, state)),
        )
        if result.last is None:
            raise InputError(
                f"{result.trouble}; asked for {result.waited:.0f} s. "
                "Is the cluster up, and is this its kubeconfig?"
            )
        ask_pods = has_gpus(expected) and not result.trouble
        rejected = explain_rejected(await rejected_pods(api)) if ask_pods else []
        if result.done:
            return Report(TITLE, _subjects(expected, ()), rejected)
        return await _failure(expected, result.last.value, result, api, rejected)


def _interval(waited: float) -> float:
    if waited < timeouts.READINESS_FAST_SECONDS:
        return timeouts.READINESS_FAST_INTERVAL_SECONDS
    return timeouts.READINESS_INTERVAL_SECONDS


async def _failure(
    expected: ExpectedState,
    cluster: Snapshot,
    result: PollResult[Snapshot],
    api: AsyncClient,
    rejected: Sequence[Problem],
) -> Report:
    """The report at the deadline: each unmet expectation, what the cluster says about the cause, and the
    rejected pods.
    """
    unmet = unmet_expectations(expected, cluster)
    nodes = list(dict.fromkeys(one.node for one in unmet))
    ask_events = has_gpus(expected) and not result.trouble
    events = await warning_events(api, expected["namespace"]) if ask_events else []
    logs = await crash_logs(api, expected["namespace"], cluster, nodes) if ask_events else {}
    problems = [*explain_unmet(expected, cluster, unmet, events, logs), *rejected]
    if result.trouble:
        problems.append(
            Problem(
                "API server", result.trouble, "an answer", "python -m k3sgpu doctor hosts", check="connection"
            )
        )
    title = TITLE + (f" after {result.waited:.0f} s" if result.waited >= 1 else "")
    return Report(title, _subjects(expected, nodes), problems, notes(cluster, nodes, events, logs))


def _subjects(expected: ExpectedState, unmet_nodes: Sequence[str]) -> dict[str, str]:
    """By node: what is expected of it, and for those that do not meet it, that it is only expected."""
    return {
        node["name"]: ("expected: " if node["name"] in unmet_nodes else "")
        + ", ".join(["Ready", *(f"{name} {count}" for name, count in sorted(node["resources"].items()))])
        for node in expected["nodes"]
    }


def _summary(unmet: Sequence[UnmetExpectation], most: int = 3) -> str:
    rest = f" … and {len(unmet) - most} more" if len(unmet) > most else ""
    return "; ".join(str(one) for one in unmet[:most]) + rest
