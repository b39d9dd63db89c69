"""For the Pulumi program: drain the nodes whose GPUs are about to be shared in another way.

Reads the expected state as JSON from K3SGPU_EXPECTED_STATE, and the kubeconfig from stdin.
Exit status 1: a node could not be drained.
"""

import argparse
import sys

from k3sgpu.cli.inputs import STDIN, read_json_variable
from k3sgpu.cli.output import print_progress, print_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(options: argparse.Namespace) -> int:
    """Drains the nodes. Returns the exit status: 1 if a node could not be drained."""
    from k3sgpu.cluster.client import parse_kubeconfig
    from k3sgpu.cluster.drain import DrainFailed, drain_changing_nodes
    from k3sgpu.handoff.expected_state import EXPECTED_STATE_VARIABLE, parse_expected_state

    expected = parse_expected_state(read_json_variable(EXPECTED_STATE_VARIABLE))
    config = parse_kubeconfig(sys.stdin.read(), STDIN)
    try:
        print_text(drain_changing_nodes(expected, config, print_progress), end="")
    except DrainFailed as reason:
        print_progress(f"drain: {reason}")
        return 1
    return 0
