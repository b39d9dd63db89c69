"""The dependency graph of a stack as a Mermaid diagram.

`python -m k3sgpu graph` starts this module as a program.
"""

import argparse
import functools
import sys
from collections.abc import Sequence
from pathlib import Path

import pulumi

from k3sgpu.cli.graph import add_arguments
from k3sgpu.cli.inputs import stack_name
from k3sgpu.cli.main import run_command
from k3sgpu.cli.output import print_text
from k3sgpu.problem import InputError
from tools.mocked_program import Graph, Registered
from tools.plan import kind, ordered, planned

PAGE = """\
# The graph

Drawn by `make graph` from `Pulumi.dev.yaml`, run under Pulumi's mocks. An arrow leads from a resource to one
that depends on it; arrows that follow from others are left out. A destroy goes the other way.

```mermaid
{picture}
```
"""


def main(arguments: Sequence[str]) -> int:
    """Prints the page of a stack file's graph and returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.graph")
    add_arguments(parser)
    parser.set_defaults(command="graph", run=print_page)
    return run_command(parser.parse_args(arguments))


def print_page(options: argparse.Namespace) -> int:
    """Raises InputError when the program refuses the stack."""
    try:
        print_text(page(planned(Path(options.file), stack_name(options.file))), end="")
    except pulumi.RunError as error:
        raise InputError(str(error)) from None
    return 0


def page(graph: Graph) -> str:
    """The page of the documentation that shows a graph."""
    return PAGE.format(picture=mermaid(graph))


def mermaid(graph: Graph) -> str:
    """A Mermaid flowchart: components as frames, resources as boxes, dependencies as arrows."""
    resources = ordered(graph)
    ids = {one.urn: f"r{number}" for number, one in enumerate(resources)}
    lines = ["flowchart TD"]
    for one in resources:
        inside = [child for child in resources if child.parent == one.urn]
        if inside:
            lines.append(f'  subgraph {ids[one.urn]}["{kind(one)} {one.name}"]')
            lines += [f'    {ids[child.urn]}["{child.name}<br/>{kind(child)}"]' for child in inside]
            lines.append("  end")
        elif one.parent not in graph.resources:
            lines.append(f'  {ids[one.urn]}["{one.name}<br/>{kind(one)}"]')
    lines += [f"  {ids[before]} --> {ids[after]}" for before, after in edges(graph)]
    return "\n".join(lines)


def edges(graph: Graph) -> list[tuple[str, str]]:
    """Pairs of URNs: a dependency and what depends on it, without pairs that follow from others."""
    frames = {one.parent for one in graph}
    boxes = [one for one in ordered(graph) if one.urn not in frames]
    direct = {one.urn: dependencies(one) & {box.urn for box in boxes} for one in boxes}

    @functools.cache
    def all_before(urn: str) -> set[str]:
        return direct[urn].union(*(all_before(before) for before in direct[urn]))

    return [
        (before.urn, after.urn)
        for after in boxes
        for before in boxes
        if before.urn in direct[after.urn]
        and not any(before.urn in all_before(other) for other in direct[after.urn])
    ]


def dependencies(one: Registered) -> set[str]:
    """The URNs of what a resource depends on, its provider included."""
    return {*one.depends_on, one.provider.rsplit("::", 1)[0]} - {one.urn}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
