"""Write the stack file of a cluster that was built by hand, so that the program takes it over as it is.

  python -m k3sgpu adopt lab root@10.0.0.11 root@10.0.0.21   the machines' k3s, and the operator in it
  python -m k3sgpu adopt lab --kubeconfig ~/.kube/config     the operator alone, without SSH

It reads machines and cluster, changes nothing there, and writes Pulumi.lab.yaml, never over an existing file.

Exit status 1: something cannot be expressed, so that nothing was written, or with --partial not everything.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from k3sgpu.cli import new, new_logins
from k3sgpu.cli.arguments import add_json
from k3sgpu.cli.new_file import new_stack_file
from k3sgpu.cli.output import print_json, print_progress, print_text
from k3sgpu.foreign_text import escape
from k3sgpu.problem import InputError, render

if TYPE_CHECKING:
    from k3sgpu.adoption.cluster_objects import ClusterObjects
    from k3sgpu.adoption.existing_cluster import StackFileDraft


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stack", metavar="STACK", help="the name of the new stack")
    parser.add_argument(
        "hosts", metavar="HOST", nargs="*", help="a machine of the cluster: [user@]address[:port]"
    )
    parser.add_argument("--kubeconfig", metavar="FILE", help="the cluster's kubeconfig, instead of machines")
    parser.add_argument("--context", metavar="NAME", help="its context; default: the current one")
    parser.add_argument(
        "--chart",
        metavar="CHART",
        help="the operator's chart, a folder or oci://…, if not in NVIDIA's repository",
    )
    parser.add_argument(
        "--partial", action="store_true", help="write what is known, although something cannot be expressed"
    )
    add_json(parser)
    new_logins.add_arguments(parser)
    machines = parser.add_argument_group("with machines")
    new.add_machine_choices(machines)


def run(options: argparse.Namespace) -> int:
    """Writes the stack file. Returns the exit status: 1 if something of the cluster cannot be expressed.

    Raises InputError and SettingsError.
    """
    if bool(options.hosts) == bool(options.kubeconfig):
        raise InputError("expected the machines of the cluster, HOST..., or --kubeconfig FILE; one of them")
    if options.hosts:
        from k3sgpu.cli import adopt_machines

        return adopt_machines.run(options)
    return _adopt_cluster(options)


def _adopt_cluster(options: argparse.Namespace) -> int:
    """Writes the stack file of a cluster that is used through its kubeconfig."""
    from k3sgpu.adoption.existing_cluster import describe_cluster

    file = new_stack_file(options.stack)
    kubeconfig = {"file": options.kubeconfig}
    if options.context:
        kubeconfig["context"] = options.context
    objects = _read(options)
    draft = describe_cluster(objects, kubeconfig, options.chart)
    written = not draft.has_errors or options.partial
    if written:
        _write(file, draft)
    if options.json:
        problems = [asdict(problem) for problem in draft.problems]
        print_json({"file": str(file) if written else None, "problems": problems})
    else:
        _report(file, draft, objects, written=written)
    return 1 if draft.has_errors else 0


def _read(options: argparse.Namespace) -> "ClusterObjects":
    """What the cluster has. Raises InputError and SettingsError."""
    import asyncio

    from k3sgpu.adoption.cluster_objects import read_cluster_objects
    from k3sgpu.cluster.client import ApiUnavailable, client, parse_kubeconfig
    from k3sgpu.settings import read_kubeconfig

    text = read_kubeconfig(options.kubeconfig, options.context, Path.cwd())
    config = parse_kubeconfig(text, options.kubeconfig)

    async def look() -> "ClusterObjects":
        return await read_cluster_objects(client(config))

    print_progress(f"adopt: reading the cluster of {escape(options.kubeconfig)} …")
    try:
        return asyncio.run(look())
    except ApiUnavailable as error:
        raise InputError(str(error)) from None


def _write(file: Path, draft: "StackFileDraft") -> None:
    """Writes the stack file. Raises InputError when somebody else has, or it cannot be written."""
    from k3sgpu.adoption.stack_file import stack_file_text

    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(stack_file_text(draft.sections))
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}") from None


def _report(file: Path, draft: "StackFileDraft", objects: "ClusterObjects", *, written: bool) -> None:
    """Prints problems, what is not taken over, and what comes next."""
    if draft.problems:
        print_text(render(draft.problems))
        print_text("")
    if objects.slice_users:
        users = ", ".join(user.text for user in objects.slice_users)
        print_text(f"not taken over, and goes on running: {users}")
    if not written:
        print_text(f"{file} was not written: correct the errors, or write what is known with --partial")
        return
    stack = file.name.removeprefix("Pulumi.").removesuffix(".yaml")
    print_text(
        f"{file} written. Next:\n"
        f"  python -m k3sgpu fit --file {file}\n"
        f"  pulumi stack init {stack} && pulumi preview   # imports and new resources, nothing else\n"
        f"  pulumi up"
    )
