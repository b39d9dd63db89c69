"""Runs the scopes in parallel, each in a process: a runner samples its own environment and files."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import cast

from rehearsal.faults.catalogue import CATALOGUE
from rehearsal.faults.fault import Fault
from rehearsal.faults.run import Result, runner
from rehearsal.process import RehearsalError


def run_one_scope(names: Sequence[str], results: Connection) -> None:
    """Runs entries of one scope one after the other, and sends (name, seconds, failure) of each."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process ends this one
    signal.signal(signal.SIGTERM, _exit)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder, runner(Path(folder), log) as one:
        for name in names:
            result = one.run(CATALOGUE[name])
            results.send((name, result.seconds, result.failure))


def _exit(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second signal must not stop the removal of machines
    sys.exit(1)


def log(text: str) -> None:
    """Prints a line on stderr."""
    print(text, file=sys.stderr, flush=True)


def run_scopes_in_parallel(
    chosen: Sequence[Fault], run: Callable[[Sequence[str], Connection], None] = run_one_scope
) -> Iterator[Result]:
    """Yields each result as soon as it is known; within a scope in the order of `chosen`.

    Raises RehearsalError when a process ended before its last entry.
    """
    # Not forked: the pipe closes when the process ends only if no other process has that end open.
    spawn = multiprocessing.get_context("spawn")
    missing = {fault.name for fault in chosen}
    processes, open_pipes = [], []
    try:
        for scope in dict.fromkeys(fault.scope for fault in chosen):
            receiver, sender = spawn.Pipe(duplex=False)
            names = [fault.name for fault in chosen if fault.scope == scope]
            processes.append(spawn.Process(target=run, args=(names, sender)))
            processes[-1].start()
            sender.close()
            open_pipes.append(receiver)
        while open_pipes:
            for pipe in cast("list[Connection]", wait(open_pipes)):
                try:
                    name, seconds, failure = pipe.recv()
                except EOFError:
                    open_pipes.remove(pipe)
                    continue
                missing.remove(name)
                yield Result(CATALOGUE[name], seconds, failure)
    finally:
        for process in processes:
            if open_pipes:  # the caller stopped early
                process.terminate()
        for process in processes:
            process.join()  # its machines are removed then
    if missing:
        raise RehearsalError(f"not run, because the process ended: {', '.join(sorted(missing))}; see above")
