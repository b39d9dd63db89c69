"""`python -m k3sgpu kubeconfig --stack lab`: a stack's cluster in one's own kubeconfig, which kubectl reads.

The stack's kubeconfig comes on the standard input, or from a file:

  pulumi stack output kubeconfig --show-secrets --stack lab | python -m k3sgpu kubeconfig --stack lab

Cluster, user and context are called like the stack; everything else in the file is left as it is.
"""

import argparse
import os
import sys
from pathlib import Path

from k3sgpu.cluster.kubeconfig import FileRefused, Unusable, edit, merged, path_of, removed


def main(arguments: list[str]) -> int:
    """Exit status 0, or 1 with one line of what is wrong on stderr."""
    options = _parser().parse_args(arguments)
    path = path_of(os.environ, Path.home())
    try:
        print(_remove(path, options.stack) if options.remove else _merge(path, options))
    except Unusable as error:
        print(f"kubeconfig: {path}: {error}", file=sys.stderr)
        return 1
    except FileRefused as error:
        print(f"kubeconfig: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m k3sgpu kubeconfig",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stack", required=True, help="the stack's name, which the entries get")
    parser.add_argument("--from", dest="source", default="-", metavar="FILE", help="- is stdin, the default")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--use", action="store_true", help="make it the current context as well")
    what.add_argument(
        "--remove", action="store_true", help="take the entries out, if there is a stack or not"
    )
    return parser


def _merge(path: Path, options: argparse.Namespace) -> str:
    stack, given = options.stack, _given(options.source, options.stack)
    changed = edit(path, lambda text: merged(text, given, stack, use=options.use))
    said = f"{path}: cluster, user and context {stack}" + (" are there" if changed else " were there already")
    how = "kubectl get nodes" if options.use else f"kubectl --context {stack} get nodes"
    return f"{said}\n  {how}"


def _given(source: str, stack: str) -> str:
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise FileRefused(
            f"{source} cannot be read: stack {stack} has no kubeconfig here; run up first"
        ) from None
    if not text.strip():
        raise FileRefused(f"found nothing; expected the kubeconfig of stack {stack}. Run up first")
    return text


def _remove(path: Path, stack: str) -> str:
    gone: list[str] = []

    def change(text: str) -> str:
        rest, gone[:] = removed(text, stack)
        return rest

    if path.exists():
        edit(path, change)
    return f"{path}: " + (f"taken out: {', '.join(gone)}" if gone else f"nothing of stack {stack} in it")
