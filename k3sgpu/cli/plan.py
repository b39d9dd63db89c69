"""Show every resource that a stack would register as a tree, and what the policies forbid.

The program runs under Pulumi's mocks with generated keys, without a Pulumi engine, hosts, keys or secrets.
`--json` lists every resource with its inputs; secret ones are "[secret]".
Exit status 1: a policy is broken, or the program refuses the stack, for instance because the workloads do not
fit.
"""

import argparse

from k3sgpu.cli.arguments import add_file, add_json
from k3sgpu.cli.tool_process import run_tool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_file(parser, required=True)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Starts tools/plan.py. Returns its exit status."""
    return run_tool("tools.plan", "--file", options.file, *(["--json"] if options.json else []))
