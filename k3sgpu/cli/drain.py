"""What the command line takes: for the Pulumi program, see `python -m k3sgpu drain --help`."""

import argparse
import json
import sys
from collections.abc import Sequence

from k3sgpu.cluster.client import kubeconfig
from k3sgpu.cluster.drain import DrainBlocked, drain_changing_nodes, uncordon_drained_nodes
from k3sgpu.handoff.environment import read_variable
from k3sgpu.handoff.expected_state import parse_expected_state
from k3sgpu.problem import InputError


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0 done, 1 nodes stayed in use, 2 it could not begin."""
    parser = argparse.ArgumentParser(
        prog="python -m k3sgpu drain",
        description="Takes nodes out of use while their cards change hands, and puts them back.",
        epilog="The Pulumi program runs it: K3SGPU_EXPECTED_STATE holds JSON, stdin the kubeconfig.",
    )
    parser.add_argument("move", choices=["leave", "return"])
    move = parser.parse_args(arguments).move
    try:
        expected = (
            parse_expected_state(json.loads(read_variable("K3SGPU_EXPECTED_STATE") or "null"))
            if move == "leave"
            else {}
        )
        config = kubeconfig(sys.stdin.read(), "the standard input")
        sys.stdout.write(
            drain_changing_nodes(expected, config, _progress)
            if move == "leave"
            else uncordon_drained_nodes(config)
        )
    except InputError as refusal:
        print(f"drain: {refusal}", file=sys.stderr)
        return 2
    except DrainBlocked as reason:
        print(f"drain: {reason}", file=sys.stderr)
        return 1
    return 0


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
