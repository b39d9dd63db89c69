"""What the command line takes: for the Pulumi program, see `python -m k3sgpu drain --help`."""

import argparse
import json
import sys
from collections.abc import Sequence

from k3sgpu.cluster.client import kubeconfig
from k3sgpu.cluster.drain import Stayed, come_back, leave
from k3sgpu.handoff.environment import read_variable
from k3sgpu.handoff.expected_state import parse_expected_state
from k3sgpu.problem import InputError


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0 done, 1 nodes stayed in use, 2 it could not begin."""
    parser = argparse.ArgumentParser(
        prog="python -m k3sgpu drain",
        description="Takes nodes out of use while their cards change hands, and puts them back.",
        epilog="For the Pulumi program: the promise as JSON in K3SGPU_PROMISE, the kubeconfig on stdin.",
    )
    parser.add_argument("move", choices=["leave", "return"])
    move = parser.parse_args(arguments).move
    try:
        promise = (
            parse_expected_state(json.loads(read_variable("K3SGPU_PROMISE") or "null"))
            if move == "leave"
            else {}
        )
        config = kubeconfig(sys.stdin.read(), "the standard input")
        sys.stdout.write(leave(promise, config, _progress) if move == "leave" else come_back(config))
    except InputError as refusal:
        print(f"vacate: {refusal}", file=sys.stderr)
        return 2
    except Stayed as reason:
        print(f"vacate: {reason}", file=sys.stderr)
        return 1
    return 0


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
