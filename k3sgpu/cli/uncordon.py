"""For the Pulumi program: uncordon the nodes that `drain` has cordoned.

Reads the kubeconfig from stdin.
Exit status 1: a node is still cordoned.
"""

import argparse
import sys

from k3sgpu.cli.inputs import STDIN
from k3sgpu.cli.output import print_progress, print_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(options: argparse.Namespace) -> int:
    """Uncordons the nodes. Returns the exit status: 1 if a node could not be uncordoned."""
    from k3sgpu.cluster.client import parse_kubeconfig
    from k3sgpu.cluster.drain import DrainFailed, uncordon_drained_nodes

    config = parse_kubeconfig(sys.stdin.read(), STDIN)
    try:
        print_text(uncordon_drained_nodes(config), end="")
    except DrainFailed as reason:
        print_progress(f"uncordon: {reason}")
        return 1
    return 0
