"""For the Pulumi program: uncordon the nodes that `drain` has cordoned.

Reads the kubeconfig from stdin.
"""

import argparse
import sys

from k3sgpu.cli.inputs import STDIN


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(options: argparse.Namespace) -> int:
    from k3sgpu.cluster.client import kubeconfig
    from k3sgpu.cluster.drain import uncordon_drained_nodes

    sys.stdout.write(uncordon_drained_nodes(kubeconfig(sys.stdin.read(), STDIN)))
    return 0
