"""Show every resource that a stack would register as a tree, and what the policies forbid.

The program runs under Pulumi's mocks with generated keys, without a Pulumi engine, hosts, keys or secrets.
`--json` lists every resource with its inputs; secret ones are "[secret]".
Exit status 1: a policy is broken, or the program refuses the stack, for instance because the workloads do not
fit.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from k3sgpu.cli.arguments import add_file, add_json
from k3sgpu.cli.inputs import stack_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_file(parser, required=True)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """1 when a policy is broken or the program refuses the stack."""
    import pulumi

    from tools import plan

    stack = stack_name(options.file)
    try:
        graph = plan.planned(Path(options.file), stack)
    except pulumi.RunError as error:
        if options.json:
            _print_json(stack, refused=str(error))
        else:
            print(error, file=sys.stderr)
        return 1
    violations = plan.violations(graph)
    if options.json:
        _print_json(stack, resources=plan.as_json(graph), violations=violations)
    else:
        print(f"stack {stack}, {len(graph.resources)} resources:\n\n{plan.tree(graph)}")
        print("\n".join(["", *violations] if violations else ["", "no policy is broken"]))
    return 1 if violations else 0


def _print_json(
    stack: str,
    *,
    resources: Sequence[Mapping[str, Any]] = (),
    violations: Sequence[str] = (),
    refused: str | None = None,
) -> None:
    plan = {"stack": stack, "resources": resources, "violations": violations, "refused": refused}
    print(json.dumps(plan, indent=2))
