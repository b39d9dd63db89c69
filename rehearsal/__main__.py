"""`python -m rehearsal up|preview|down|doctor --stack dev`, which the Makefile calls."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from k3sgpu.cluster import kubeconfig
from k3sgpu.settings import SettingsError
from rehearsal.lab import machines
from rehearsal.lab.engine import ROOT, EngineFailed
from rehearsal.lab.fidelity import parts
from rehearsal.lab.stack import STATE, Site
from rehearsal.lab.trace import Trace
from rehearsal.process import RehearsalError
from rehearsal.progress import Progress, duration
from rehearsal.toolchain import toolbox


def main() -> int:
    """Exit status 0, or 1 when it failed; what failed stands on stderr."""
    parser = argparse.ArgumentParser(prog="rehearsal", description=__doc__)
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("--stack", default="dev", help="the name in Pulumi.<stack>.yaml (dev)")
    parser.add_argument("--trace", action="store_true", help="up: what took how long, and SSH connections")
    arguments = parser.parse_args()
    os.chdir(ROOT)  # a stack file's paths are relative to the project
    site = Site(arguments.stack, ROOT / f"Pulumi.{arguments.stack}.yaml")
    try:
        if arguments.command != "down":
            look_at_stack_file(site)
        if arguments.trace:
            return up(site, Progress(), Trace())
        return COMMANDS[arguments.command](site, Progress())
    except (RehearsalError, SettingsError, EngineFailed) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\ninterrupted; `make up` goes on from here, `make down` takes everything away", file=sys.stderr
        )
        return 1


def up(site: Site, progress: Progress, trace: Trace | None = None) -> int:
    """Machines, then the program, then what came of it."""
    began = time.monotonic()
    tools = toolbox.prepare(progress)
    booted = site.machines_up(tools, progress)
    origins = site.provide(tools, progress)
    counts = site.up(tools, on_event=trace.hear if trace else None)
    site.hand_over(tools)
    print(f"\n{site.told(tools)}\n\n{parts(tools, origins)}\n")
    if trace:
        print(f"{trace.text(booted)}\n")
    print(f"stack {site.stack} after {duration(time.monotonic() - began)}: {in_words(counts)}\n")
    print(next_steps(site))
    return 0


def preview(site: Site, progress: Progress) -> int:
    """What an `up` would do; the machines are there, as they are for everybody who previews."""
    tools = toolbox.prepare(progress)
    site.machines_up(tools, progress)
    site.provide(tools, progress)
    print(f"stack {site.stack}: {in_words(site.engine(tools).preview(), 'to ')}")
    return 0


def down(site: Site, progress: Progress) -> int:
    """Destroys the stack, takes its machines away, and looks for what is left."""
    tools = toolbox.prepare(progress)
    failure = site.destroy(tools, progress)
    site.clear(progress)
    left = machines.leftovers(site.stack)
    if left:
        raise RehearsalError("left behind, which is a fault of the rehearsal:\n  " + "\n  ".join(left))
    if failure:
        raise RehearsalError(f"{failure}.\nIts machines and its state are thrown away all the same.")
    print(f"stack {site.stack}: destroyed, machines gone, nothing left behind{remembered(site.stack)}")
    return 0


def remembered(stack: str) -> str:
    """That the person's own kubeconfig still leads to the stack, and how it forgets it. Not done here: a
    stack of that name may be real as well."""
    path = kubeconfig.path_of(os.environ, Path.home())
    try:
        _, there = kubeconfig.removed(path.read_text(encoding="utf-8"), stack)
    except (OSError, ValueError, kubeconfig.Unusable):
        return ""
    return f"\nin {path} it is still there: make kubeconfig STACK={stack} REMOVE=1" if there else ""


def doctor(site: Site, progress: Progress) -> int:
    """Both of doctor's looks: at the machines, and at the cluster where there is one."""
    if site.settings().machines and not machines.status(site.stack):
        raise RehearsalError(f"there are no machines of stack {site.stack} yet: make up STACK={site.stack}")
    looks = [["hosts", "--file", str(site.stack_file)]]
    if site.kubeconfig.exists():
        looks.append(["cluster", "--file", str(site.stack_file), "--kubeconfig", str(site.kubeconfig)])
    return max(subprocess.run([sys.executable, "-m", "k3sgpu", "doctor", *look]).returncode for look in looks)


def in_words(counts: Mapping[str, int], to: str = "") -> str:
    """Counts by operation as people say them, done or (`to`) planned; `same` is the word for unchanged."""
    done = {"create": "created", "update": "updated", "delete": "deleted"}
    words = {"same": "unchanged"} | ({op: to + op for op in done} if to else done)
    return ", ".join(f"{count} {words.get(str(op), op)}" for op, count in sorted(counts.items())) or "nothing"


def look_at_stack_file(site: Site) -> None:
    """A mistake in it costs nobody ten minutes of building. Raises RehearsalError, SettingsError."""
    if not site.stack_file.exists():
        there = sorted(path.stem.removeprefix("Pulumi.") for path in ROOT.glob("Pulumi.*.yaml"))
        raise RehearsalError(
            f"there is no {site.stack_file.name}; found stack files for {', '.join(there)}.\n"
            f"Write STACK=<one of them>, or: cp Pulumi.dev.yaml {site.stack_file.name}"
        )
    site.settings()


def next_steps(site: Site) -> str:
    """What to type next."""
    stack = "" if site.stack == "dev" else f" STACK={site.stack}"
    here = STATE.relative_to(ROOT)
    return "\n".join(
        [
            "next:",
            f"  {here}/kubectl --kubeconfig {here}/kubeconfig get pods --output wide",
            f"  make kubeconfig{stack}   the cluster in your own kubeconfig",
            f"  make up{stack}       again: nothing changes; or change Pulumi.{site.stack}.yaml first",
            f"  make doctor{stack}   look at machines and cluster",
            f"  make down{stack}     take everything away",
        ]
    )


COMMANDS: Mapping[str, Callable[[Site, Progress], int]] = {
    "up": up,
    "preview": preview,
    "down": down,
    "doctor": doctor,
}

if __name__ == "__main__":
    sys.exit(main())
