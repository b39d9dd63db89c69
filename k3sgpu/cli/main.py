"""The argument parser of all commands, and what their exit status means.

A command is a module of this package with `add_arguments(parser)` and `run(options) -> int`. It imports large
libraries inside `run`, so that the parser can be built without them.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import ModuleType

from k3sgpu.cli import (
    adopt,
    doctor,
    drain,
    fit,
    free,
    graph,
    jobs,
    kubeconfig,
    new,
    pins,
    plan,
    release,
    schema,
    stage,
    team,
    uncordon,
    why,
)
from k3sgpu.cli.output import print_json, print_progress
from k3sgpu.problem import InputError, Problem, SettingsError

FINE, FOUND, COULD_NOT, INTERRUPTED = 0, 1, 2, 130

COMMANDS: Mapping[str, tuple[ModuleType, str]] = {
    "new": (new, "look at machines and write the stack file for them"),
    "adopt": (adopt, "write the stack file of a cluster that was built by hand"),
    "release": (release, "take a cluster out of the program, with everything running"),
    "fit": (fit, "check whether the workloads fit the GPUs"),
    "plan": (plan, "show every resource of a stack, and what the policies forbid, without a Pulumi engine"),
    "graph": (graph, "draw a stack's dependency graph"),
    "doctor": (doctor, "check the hosts over SSH, or the cluster over its API"),
    "kubeconfig": (kubeconfig, "add a stack's cluster to your own kubeconfig"),
    "free": (free, "for members of teams: the slices that are free for you now"),
    "why": (why, "for members of teams: why a pod or a workload does not run"),
    "pins": (pins, "print the hashes of a k3s release for the stack file"),
    "schema": (schema, "write the JSON Schema of stack files"),
    "team": (team, "print a member's kubeconfig; for the Pulumi program: members' tokens, evictions"),
    "stage": (stage, "for the Pulumi program: put scripts and the k3s release on the hosts"),
    "drain": (drain, "for the Pulumi program: drain the nodes whose GPUs are about to change"),
    "uncordon": (uncordon, "for the Pulumi program: uncordon the nodes that drain has cordoned"),
    "jobs": (jobs, "for the Pulumi program: wait for a Job, or run one on every GPU node"),
}
EPILOG = """\
exit status: 0 fine, 1 found something, 2 could not (wrong arguments or input), 130 interrupted
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of `python -m k3sgpu`, with a subparser for each command."""
    parser = argparse.ArgumentParser(
        prog="python -m k3sgpu", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="command", dest="command")
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=module.__doc__,
            epilog=EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=getattr(module, "run", None))
        module.add_arguments(command)
    return parser


def main(arguments: Sequence[str]) -> int:
    """Runs the command that `arguments` name and returns its exit status."""
    return run_command(build_parser().parse_args(arguments))


def run_command(options: argparse.Namespace) -> int:
    """Calls `options.run` and returns the exit status. Input that cannot be used is one message and status 2.

    `options.command` is the command's name for messages.
    """
    try:
        return options.run(options)
    except SettingsError as error:
        file = getattr(options, "file", None)
        message = f"{file}: {error}" if file else str(error)
        return _could_not(options, f"{options.command}: {message}", error.problems)
    except InputError as error:
        problem = Problem(where=options.command, found=str(error), expected="", remedy="")
        return _could_not(options, f"{options.command}: {error}", [problem])
    except KeyboardInterrupt:
        print_progress(f"{options.command}: interrupted")
        return INTERRUPTED


def _could_not(options: argparse.Namespace, message: str, problems: Sequence[Problem]) -> int:
    """Prints why a command could not run: JSON on stdout where JSON was asked for, else text on stderr."""
    if getattr(options, "json", False):
        print_json({"problems": [asdict(problem) for problem in problems]})
    else:
        print_progress(message)
    return COULD_NOT
