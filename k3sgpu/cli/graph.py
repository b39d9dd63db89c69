"""Draw a stack's dependency graph as a Markdown page with a Mermaid diagram, on stdout.

The program runs under Pulumi's mocks: no Pulumi engine, no hosts, no keys and no secrets.
"""

import argparse
from pathlib import Path

from k3sgpu.cli.arguments import add_file
from k3sgpu.cli.inputs import stack_name
from k3sgpu.problem import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_file(parser, required=True)


def run(options: argparse.Namespace) -> int:
    """Raises InputError when the program refuses the stack."""
    import pulumi

    from tools import graph, plan

    try:
        print(graph.page(plan.planned(Path(options.file), stack_name(options.file))), end="")
    except pulumi.RunError as error:
        raise InputError(str(error)) from None
    return 0
