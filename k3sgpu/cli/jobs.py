"""For the program: python -m k3sgpu jobs wait|verify, told by K3SGPU_JOB or K3SGPU_VERIFY, kubeconfig on
stdin.

`verify` prints verdicts by node as JSON. Exit status: 0 fine, 1 the Job has failed (or a node, where that is
strict), 2 could not look.
"""

import json
import sys

from k3sgpu.cluster import jobs
from k3sgpu.cluster.client import kubeconfig
from k3sgpu.handoff.environment import read_variable
from k3sgpu.problem import InputError


def main(arguments: list[str]) -> int:
    """The exit status; what failed goes where Pulumi looks for it."""
    variable = {"wait": "K3SGPU_JOB", "verify": "K3SGPU_VERIFY"}.get(" ".join(arguments))
    told = variable and read_variable(variable)
    if not told:
        say(__doc__ or "")
        return 2
    try:
        config = kubeconfig(sys.stdin.read(), "the standard input")
        return (
            _wait(json.loads(told), config) if variable == "K3SGPU_JOB" else _verify(json.loads(told), config)
        )
    except InputError as refusal:
        say(f"jobs: {refusal}")
        return 2


def _wait(job: dict, config: jobs.KubeConfig) -> int:
    name = f"{job['namespace']}/{job['name']}"
    if wrong := jobs.wait_for_job(job, config, say):
        say(
            f"Job {name} has failed: {wrong}\n"
            "remedy: change it in the stack file, then `up` makes it again; the same once more:\n"
            f"kubectl --namespace {job['namespace']} delete job {job['name']}; pulumi up --refresh"
        )
        return 1
    print(f"Job {name} has succeeded")
    return 0


def _verify(plan: dict, config: jobs.KubeConfig) -> int:
    verdicts = jobs.verify_nodes(plan, config, say)
    print(json.dumps(verdicts, indent=2, sort_keys=True))
    failed = [node for node, verdict in verdicts.items() if verdict.startswith("failed")]
    if failed and plan["strict"]:
        say(
            f"verify: no slice computes on {', '.join(failed)} (see above)\n"
            "remedy: mend the node, or take it out with maintenance: true; verify: true tells and lets pass"
        )
        return 1
    return 0


def say(line: str) -> None:
    """To the user, at once."""
    print(line, file=sys.stderr, flush=True)
