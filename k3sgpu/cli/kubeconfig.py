"""Add a stack's cluster to your own kubeconfig, which kubectl reads, or remove it.

  pulumi stack output kubeconfig --show-secrets --stack lab | python -m k3sgpu kubeconfig --stack lab

Cluster, user and context get the stack's name; everything else in the file stays as it is.
"""

import argparse
import os
import re
from pathlib import Path

from k3sgpu.cli.inputs import read_text
from k3sgpu.cli.output import print_text
from k3sgpu.foreign_text import escape
from k3sgpu.problem import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stack", required=True, type=_stack, help="the stack's name, which the entries get")
    parser.add_argument(
        "--from",
        dest="source",
        default="-",
        metavar="FILE",
        help="the stack's kubeconfig; - is stdin, the default",
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--use", action="store_true", help="also make it the current context")
    action.add_argument("--remove", action="store_true", help="remove the entries; the stack need not exist")


def _stack(name: str) -> str:
    """The name of a stack, as Pulumi allows it."""
    if re.fullmatch(r"[A-Za-z0-9_./-]{1,100}", name):
        return name
    raise argparse.ArgumentTypeError(f"found {escape(name, 100)!r}; expected the name of a stack")


def run(options: argparse.Namespace) -> int:
    """Merges the kubeconfigs. Returns the exit status: 0.

    Raises InputError when one of the two files cannot be used.
    """
    from k3sgpu.cluster.kubeconfig.entries import KubeconfigError
    from k3sgpu.cluster.kubeconfig.file import KubeconfigFileError, kubeconfig_path

    path = kubeconfig_path(os.environ, Path.home())
    try:
        print_text(_remove(path, options.stack) if options.remove else _add(path, options))
    except KubeconfigError as error:
        raise InputError(f"{path}: {error}") from None
    except KubeconfigFileError as error:
        raise InputError(str(error)) from None
    return 0


def _add(path: Path, options: argparse.Namespace) -> str:
    from k3sgpu.cluster.kubeconfig.entries import add_stack
    from k3sgpu.cluster.kubeconfig.file import edit_file

    stack, added = options.stack, _stack_kubeconfig(options.source, options.stack)
    changed = edit_file(path, lambda text: add_stack(text, added, stack, use=options.use))
    result = "added" if changed else "were there already"
    hint = "kubectl get nodes" if options.use else f"kubectl --context {stack} get nodes"
    return f"{path}: cluster, user and context {stack} {result}\n  {hint}"


def _stack_kubeconfig(source: str, stack: str) -> str:
    try:
        text, _ = read_text(source)
    except InputError as error:
        raise InputError(f"{error}: stack {stack} has no kubeconfig here; run pulumi up first") from None
    if not text.strip():
        raise InputError(f"found nothing; expected the kubeconfig of stack {stack}. Run pulumi up first")
    return text


def _remove(path: Path, stack: str) -> str:
    from k3sgpu.cluster.kubeconfig.entries import remove_stack
    from k3sgpu.cluster.kubeconfig.file import edit_file

    names: list[str] = []

    def change(text: str) -> str:
        rest, names[:] = remove_stack(text, stack)
        return rest

    if path.exists():
        edit_file(path, change)
    return f"{path}: " + (f"removed {', '.join(names)}" if names else f"has no entries of stack {stack}")
