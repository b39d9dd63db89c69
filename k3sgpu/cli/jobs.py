"""For the Pulumi program: wait for a Job, or run one on every GPU node.

Both read the kubeconfig from stdin. `wait` reads the Job as JSON from K3SGPU_JOB. `verify` reads the nodes as
JSON from K3SGPU_VERIFY and prints a verdict by node as JSON. It skips a node that has passed before,
according to PULUMI_COMMAND_STDOUT (its output of the last run), if neither the node's entry nor
K3SGPU_OFFER_SOURCES has changed since.
Exit status 1: the Job has failed, or a node has where verification is strict.
"""

import argparse
import os
import sys

from k3sgpu.cli.inputs import STDIN, read_json_variable
from k3sgpu.cli.output import print_progress, print_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="wait|verify")
    actions.add_parser("wait", help="wait until a Job has ended").set_defaults(run=wait)
    actions.add_parser("verify", help="compute on one slice of every GPU node").set_defaults(run=verify)


def wait(options: argparse.Namespace) -> int:
    """Waits for a Job. Returns the exit status: 1 if the Job has failed."""
    from k3sgpu.cluster import jobs
    from k3sgpu.cluster.client import parse_kubeconfig
    from k3sgpu.handoff.jobs import JOB_VARIABLE, parse_job

    job = parse_job(read_json_variable(JOB_VARIABLE))
    failure = jobs.wait_for_job(job, parse_kubeconfig(sys.stdin.read(), STDIN), print_progress)
    name = f"{job['namespace']}/{job['name']}"
    if failure:
        print_progress(
            f"Job {name} has failed: {failure}\n"
            "remedy: change the workload in the stack file and run pulumi up, which replaces the Job; "
            "or, to run the same Job again:\n"
            f"kubectl --namespace {job['namespace']} delete job {job['name']}; pulumi up --refresh"
        )
        return 1
    print_text(f"Job {name} has succeeded")
    return 0


def verify(options: argparse.Namespace) -> int:
    """Verifies nodes. Returns the exit status: 1 if a node has failed and verification is strict."""
    from k3sgpu.cluster import jobs, verify_cache
    from k3sgpu.cluster.client import parse_kubeconfig
    from k3sgpu.handoff.expected_state import OFFER_SOURCES_VARIABLE
    from k3sgpu.handoff.jobs import VERIFY_VARIABLE, parse_verify_plan

    plan = parse_verify_plan(read_json_variable(VERIFY_VARIABLE))
    digests = verify_cache.node_digests(plan, os.environ.get(OFFER_SOURCES_VARIABLE, ""))
    known = verify_cache.read_cache(os.environ.get("PULUMI_COMMAND_STDOUT", ""))
    verdicts = {node: jobs.PASSED for node, digest in digests.items() if known.get(node) == digest}
    if verdicts:
        print_progress(f"{len(verdicts)} nodes have passed before, and nothing of their offer has changed")
    if rest := [node for node in plan["nodes"] if node["name"] not in verdicts]:
        found = jobs.verify_nodes(
            {**plan, "nodes": rest},
            parse_kubeconfig(sys.stdin.read(), STDIN),
            lambda line: print_progress(verify_cache.cut_verdict(line, plan)),
        )
        verdicts |= {node: verify_cache.cut_verdict(verdict, plan) for node, verdict in found.items()}
    passed = {node: digests[node] for node, verdict in verdicts.items() if verdict == jobs.PASSED}
    print_text(verify_cache.write_cache(verdicts, passed))
    failed = [node for node, verdict in verdicts.items() if verdict.startswith(jobs.FAILED)]
    if failed and plan["strict"]:
        print_progress(
            f"verify: no slice computes on {', '.join(failed)} (see above)\n"
            "remedy: repair the node, or exclude it with maintenance: true; "
            "with verify: true in place of strict, a failure is reported and does not stop the run"
        )
        return 1
    return 0
