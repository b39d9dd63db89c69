"""The look at a cluster, once or until every promise holds, and what to say when it does not."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lightkube import AsyncClient, KubeConfig

from k3sgpu.cluster.client import ApiUnavailable, Snapshot, client, snapshot, warning_events
from k3sgpu.cluster.diagnosis import explain_unmet, notes
from k3sgpu.cluster.expected_state import UnmetExpectation, has_gpus, unmet_expectations
from k3sgpu.problem import InputError, Problem
from k3sgpu.report import Report

PATIENCE_S = 60  # how long an API that has never answered is waited for
QUICK_S = 20  # so long it looks more often
EVERY_S = 1, 2  # seconds between two looks: at first, and later
TITLE = "doctor cluster"


def check_once(expected: Mapping[str, Any], config: KubeConfig) -> Report:
    """One look at the cluster. Raises InputError when its API cannot be asked."""
    return asyncio.run(_gate(expected, config, lambda _: None, deadline=0, patience=0))


def wait_until_ready(
    expected: Mapping[str, Any], config: KubeConfig, progress: Callable[[str], None]
) -> Report:
    """Looks every second or two until every promise holds or the promise's timeoutSeconds have passed.

    `progress` gets a line whenever something has changed. An API that vanishes for a while is waited for
    (NVIDIA's toolkit restarts k3s), one that never answered only PATIENCE_S. Raises InputError for the
    latter.
    """
    deadline = expected["timeoutSeconds"]
    return asyncio.run(_gate(expected, config, progress, deadline, min(PATIENCE_S, deadline)))


async def _gate(
    expected: Mapping[str, Any],
    config: KubeConfig,
    progress: Callable[[str], None],
    deadline: float,
    patience: float,
) -> Report:
    began = time.monotonic()
    told, trouble = "", ""
    seen: Snapshot | None = None
    async with client(config) as api:
        while True:
            try:
                seen, trouble = await snapshot(api, expected["namespace"], has_gpus(expected)), ""
                if not unmet_expectations(expected, seen):
                    return Report(TITLE, _subjects(expected, ()), [])
            except ApiUnavailable as failure:
                trouble = str(failure)
            waited = time.monotonic() - began
            if waited >= (deadline if seen else patience):
                break
            state = trouble or _brief(unmet_expectations(expected, seen or Snapshot()))
            if state != told:
                progress(f"{waited:4.0f} s of {deadline} s: {state}")
                told = state
            await asyncio.sleep(EVERY_S[waited >= QUICK_S])
        if seen is None:
            raise InputError(
                f"{trouble}; asked for {waited:.0f} s. Is the cluster up, and this its kubeconfig?"
            )
        return await _verdict(expected, seen, api, waited, trouble)


async def _verdict(
    expected: Mapping[str, Any], seen: Snapshot, api: AsyncClient, waited: float, trouble: str
) -> Report:
    """What is wrong at the end: each unmet expectation, and everything around it that may say why."""
    events = await warning_events(api, expected["namespace"]) if has_gpus(expected) and not trouble else []
    missing = unmet_expectations(expected, seen)
    broken = list(dict.fromkeys(one.node for one in missing))
    found = explain_unmet(expected, seen, missing, events)
    if trouble:
        found.append(
            Problem("API server", trouble, "an answer", "python -m k3sgpu doctor hosts", check="reach")
        )
    title = TITLE + (f" after {waited:.0f} s" if waited >= 1 else "")
    return Report(title, _subjects(expected, broken), found, notes(seen, broken, events))


def _subjects(expected: Mapping[str, Any], broken: Sequence[str]) -> dict[str, str]:
    return {
        node["name"]: ("expected: " if node["name"] in broken else "")
        + ", ".join(["Ready", *(f"{name} {count}" for name, count in sorted(node["resources"].items()))])
        for node in expected["nodes"]
    }


def _brief(missing: Sequence[UnmetExpectation], most: int = 3) -> str:
    rest = f" … and {len(missing) - most} more" if len(missing) > most else ""
    return "; ".join(str(one) for one in missing[:most]) + rest
