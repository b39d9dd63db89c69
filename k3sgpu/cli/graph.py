"""Draw a stack's dependency graph as a Markdown page with a Mermaid diagram, on stdout.

The program runs under Pulumi's mocks: no Pulumi engine, no hosts, no keys and no secrets.
"""

import argparse

from k3sgpu.cli.arguments import add_file
from k3sgpu.cli.tool_process import run_tool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_file(parser, required=True)


def run(options: argparse.Namespace) -> int:
    """Starts tools/graph.py. Returns its exit status."""
    return run_tool("tools.graph", "--file", options.file)
