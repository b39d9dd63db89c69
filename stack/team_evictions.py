"""Whom a smaller guarantee or limit would evict, reported at preview."""

import asyncio
import json
import os
import subprocess

import pulumi

from k3sgpu import timeouts
from k3sgpu.handoff.environment import split_variable
from k3sgpu.handoff.teams import SHARES_VARIABLE, EvictionPlan

COMMAND = ("sh", "k3sgpu/run.sh", "team", "evict", "--preview")


def report_evictions(kubeconfig: pulumi.Input[str], shares: EvictionPlan) -> None:
    """At a preview of a cluster that exists, warns of each pod that the next `up` would evict.

    The preview goes on where the cluster does not answer.
    """

    async def report(text: str) -> None:
        if warning := await asyncio.to_thread(evictions_warning, text, shares):
            pulumi.log.warn(f"teams: {warning}")

    if pulumi.runtime.is_dry_run():
        pulumi.Output.from_input(kubeconfig).apply(report)


def evictions_warning(kubeconfig: str, shares: EvictionPlan) -> str:
    """The pods that would be evicted, or why they are not known; "" where there are none."""
    # A process of its own, as for all that asks the cluster: the program itself has no Kubernetes client.
    variables = split_variable(SHARES_VARIABLE, json.dumps(shares))
    try:
        done = subprocess.run(
            COMMAND,
            input=kubeconfig,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=timeouts.TEAM_PREVIEW_SECONDS * 3,
        )
    except subprocess.TimeoutExpired as error:
        return f"whether up would evict pods is not known: no answer within {error.timeout:.0f} s"
    if done.returncode:
        return f"whether up would evict pods is not known: {done.stderr.strip()}"
    return done.stdout.strip()
