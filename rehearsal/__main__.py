"""`python -m rehearsal up|preview|down|doctor --stack dev`, for the Makefile."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from k3sgpu.cluster.kubeconfig.entries import KubeconfigError, remove_stack
from k3sgpu.cluster.kubeconfig.file import kubeconfig_path
from k3sgpu.report import as_text
from k3sgpu.settings import SettingsError
from rehearsal.lab import machine_records, machines, processes
from rehearsal.lab.engine import ROOT, EngineFailed
from rehearsal.lab.fidelity import describe_parts
from rehearsal.lab.stack import STATE, RehearsedStack
from rehearsal.lab.trace import Trace
from rehearsal.process import RehearsalError
from rehearsal.progress import Progress, duration
from rehearsal.toolchain import host, toolbox


def main() -> int:
    """Returns 0, or 1 after printing on stderr what failed."""
    parser = argparse.ArgumentParser(prog="rehearsal", description=__doc__)
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("--stack", default="dev", help="the name in Pulumi.<stack>.yaml (dev)")
    parser.add_argument(
        "--trace", action="store_true", help="up: also print how long each resource took, and SSH connections"
    )
    parser.add_argument(
        "--kubelets",
        choices=("kwok", "real"),
        help="up, preview: what plays kubelets on new machines (kwok, or as the stack's machines were made)",
    )
    parser.add_argument(
        "--all", action="store_true", help="down: remove the machines of every stack, without a destroy"
    )
    arguments = parser.parse_args()
    os.chdir(ROOT)  # a stack file's paths are relative to the project
    kubelets = arguments.kubelets or machine_records.kubelets_of(arguments.stack)
    stack = RehearsedStack(arguments.stack, ROOT / f"Pulumi.{arguments.stack}.yaml", kubelets=kubelets)
    try:
        if arguments.command == "down" and arguments.all:
            return down_all(Progress())
        if arguments.command != "down":
            check_stack_file(stack)
        if arguments.trace:
            return up(stack, Progress(), Trace())
        return COMMANDS[arguments.command](stack, Progress())
    except (RehearsalError, SettingsError, EngineFailed) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; `make up` continues from here, `make down` removes everything", file=sys.stderr)
        return 1


def up(stack: RehearsedStack, progress: Progress, trace: Trace | None = None) -> int:
    """Starts the machines, runs the program and prints what the cluster shows.

    Raises RehearsalError when that is not what the stack file promises.
    """
    began = time.monotonic()
    tools = prepare_tools(stack, progress)
    booted = stack.start_machines(tools, progress)
    origins = stack.install_plugins(tools, progress)
    counts = stack.up(tools, on_event=trace.record if trace else None)
    stack.link_kubectl_and_kubeconfig(tools)
    print(f"\n{stack.describe_cluster(tools)}\n\n{describe_parts(tools, origins, stack.kubelets)}\n")
    if trace:
        print(f"{trace.render(booted)}\n")
    print(f"stack {stack.name} after {duration(time.monotonic() - began)}: {describe_counts(counts)}\n")
    report = stack.compare_cluster()
    if report and report.errors:
        raise RehearsalError(
            f"{as_text(report)}\n\nstack {stack.name}: the cluster does not have what it promises"
        )
    print(next_steps(stack))
    return 0


def prepare_tools(stack: RehearsedStack, progress: Progress) -> toolbox.Tools:
    """The tools for the kubelets of `stack`. Raises RehearsalError where this computer cannot carry them."""
    if stack.kubelets == "real":
        host.check_kubelets()
    return toolbox.prepare(progress, real_nodes=stack.kubelets == "real")


def preview(stack: RehearsedStack, progress: Progress) -> int:
    """Starts the machines and prints what an `up` would do."""
    tools = prepare_tools(stack, progress)
    stack.start_machines(tools, progress)
    stack.install_plugins(tools, progress)
    print(f"stack {stack.name}: {describe_counts(stack.engine(tools).preview(), 'to ')}")
    return 0


def down(stack: RehearsedStack, progress: Progress) -> int:
    """Destroys the stack, removes its machines, and fails if anything is left."""
    tools = prepare_tools(stack, progress)
    if ended := processes.end_leftovers(stack.folder / "engine"):
        progress.note(f"ended what a killed engine had left: {', '.join(ended)}")
    failure = stack.destroy(tools, progress)
    stack.remove(progress)
    left = machines.leftovers(stack.name)
    if left:
        raise RehearsalError("left behind, which is a bug of the rehearsal:\n  " + "\n  ".join(left))
    if failure:
        raise RehearsalError(f"{failure}.\nIts machines and its state are removed nevertheless.")
    print(
        f"stack {stack.name}: destroyed, machines removed, nothing left behind"
        f"{kubeconfig_reminder(stack.name)}"
    )
    return 0


def down_all(progress: Progress) -> int:
    """Removes all machines of this computer, whichever run made them, and the state of their stacks.

    Those of a test that runs stay. Returns 1 when there are some, else 0.
    """
    recorded = machine_records.recorded()
    in_use = {item.owner for item in recorded if item.owner and not item.abandoned}
    stacks = {(item.stack, item.state_dir) for item in recorded if item.owner not in in_use}
    stacks |= {(folder.parent.name, STATE) for folder in STATE.glob("*/machines")}
    for name, state in sorted(stacks):
        processes.end_leftovers(state / name / "engine")
        RehearsedStack(name, ROOT / f"Pulumi.{name}.yaml", state).remove(progress)
        print(f"stack {name}: machines and state removed")
    machines.remove_unrecorded(progress)
    if in_use:
        owners = ", ".join(sorted(owner.partition(" ")[0] for owner in in_use))
        print(f"a test run has machines that are left: process {owners}; end it first", file=sys.stderr)
        return 1
    if left := machines.leftovers():
        raise RehearsalError("left behind, which is a bug of the rehearsal:\n  " + "\n  ".join(left))
    print("no machine is left on this computer")
    return 0


def kubeconfig_reminder(stack: str) -> str:
    """A hint when the user's own kubeconfig still has the cluster. It is not removed here, because a real
    stack may have the same name."""
    path = kubeconfig_path(os.environ, Path.home())
    try:
        _, there = remove_stack(path.read_text(encoding="utf-8"), stack)
    except (OSError, ValueError, KubeconfigError):
        return ""
    hint = f"\n{path} still has an entry for it; to remove it: make kubeconfig STACK={stack} REMOVE=1"
    return hint if there else ""


def doctor(stack: RehearsedStack, progress: Progress) -> int:
    """Runs `doctor hosts` and, after an `up`, `doctor cluster`. Returns the worse exit status."""
    if stack.settings().machines and not machine_records.recorded(stack.name):
        raise RehearsalError(f"there are no machines of stack {stack.name} yet: make up STACK={stack.name}")
    commands = [["hosts", "--file", str(stack.stack_file)]]
    if stack.kubeconfig.exists():
        commands.append(["cluster", "--file", str(stack.stack_file), "--kubeconfig", str(stack.kubeconfig)])
    return max(
        subprocess.run([sys.executable, "-m", "k3sgpu", "doctor", *words]).returncode for words in commands
    )


def describe_counts(counts: Mapping[str, int], to: str = "") -> str:
    """Resources by operation in words: done ("2 created") or, with `to`, planned ("2 to create")."""
    done = {"create": "created", "update": "updated", "delete": "deleted"}
    words = {"same": "unchanged"} | ({op: to + op for op in done} if to else done)
    return ", ".join(f"{count} {words.get(str(op), op)}" for op, count in sorted(counts.items())) or "nothing"


def check_stack_file(stack: RehearsedStack) -> None:
    """Reads the stack file before anything is built. Raises RehearsalError, SettingsError."""
    if not stack.stack_file.exists():
        there = sorted(path.stem.removeprefix("Pulumi.") for path in ROOT.glob("Pulumi.*.yaml"))
        raise RehearsalError(
            f"there is no {stack.stack_file.name}; found stack files for {', '.join(there)}.\n"
            f"Write STACK=<one of them>, or: cp Pulumi.dev.yaml {stack.stack_file.name}"
        )
    stack.settings()


def next_steps(stack: RehearsedStack) -> str:
    """Commands to type next."""
    option = "" if stack.name == "dev" else f" STACK={stack.name}"
    here = STATE.relative_to(ROOT)
    return "\n".join(
        [
            "next:",
            f"  {here}/kubectl --kubeconfig {here}/kubeconfig get pods --output wide",
            f"  make kubeconfig{option}   adds the cluster to your own kubeconfig",
            f"  make up{option}       again: nothing changes; or edit Pulumi.{stack.name}.yaml first",
            f"  make doctor{option}   checks machines and cluster",
            f"  make down{option}     removes everything",
        ]
    )


COMMANDS: Mapping[str, Callable[[RehearsedStack, Progress], int]] = {
    "up": up,
    "preview": preview,
    "down": down,
    "doctor": doctor,
}

if __name__ == "__main__":
    sys.exit(main())
