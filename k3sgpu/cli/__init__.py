"""The commands of `python -m k3sgpu`, one file each."""

import importlib
import sys

COMMANDS = ("doctor", "drain", "fit", "jobs", "kubeconfig", "pins", "schema", "stage")


def main(arguments: list[str]) -> int:
    """The exit status of the command that the first argument names."""
    if not arguments or arguments[0] not in COMMANDS:
        print(f"usage: python -m k3sgpu {{{','.join(COMMANDS)}}} ...", file=sys.stderr)
        return 2
    return importlib.import_module(f"k3sgpu.cli.{arguments[0]}").main(arguments[1:])
