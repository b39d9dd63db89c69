"""The settings beside each other: a process for each, for a runner looks at its own environment and files."""

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


def lane(names: Sequence[str], told: Connection) -> None:
    """Runs entries of one setting one after the other, and tells what came of each: its name, the seconds to
    its verdict, and why it failed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller ends it
    signal.signal(signal.SIGTERM, _end)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder, runner(Path(folder), say) as one:
        for name in names:
            result = one.run(CATALOGUE[name])
            told.send((name, result.seconds, result.why))


def _end(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not stop what takes machines away
    sys.exit(1)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def beside_each_other(
    chosen: Sequence[Fault], run: Callable[[Sequence[str], Connection], None] = lane
) -> Iterator[Result]:
    """What comes of each, as it ends; within a setting in the order of `chosen`. Raises RehearsalError where
    a process ended before its entries did."""
    # Not forked: only the process itself may hold its end of the pipe, whose closing is its end.
    spawn = multiprocessing.get_context("spawn")
    missing = {fault.name for fault in chosen}
    processes, open_ends = [], []
    try:
        for setting in dict.fromkeys(fault.setting for fault in chosen):
            end, theirs = spawn.Pipe(duplex=False)
            names = [fault.name for fault in chosen if fault.setting == setting]
            processes.append(spawn.Process(target=run, args=(names, theirs)))
            processes[-1].start()
            theirs.close()
            open_ends.append(end)
        while open_ends:
            for end in cast("list[Connection]", wait(open_ends)):
                try:
                    name, seconds, why = end.recv()
                except EOFError:
                    open_ends.remove(end)
                    continue
                missing.remove(name)
                yield Result(CATALOGUE[name], seconds, why)
    finally:
        for process in processes:
            if open_ends:  # the caller goes before the end
                process.terminate()
        for process in processes:
            process.join()  # its machines are gone then
    if missing:
        raise RehearsalError(f"not run, for their process ended: {', '.join(sorted(missing))}; see above why")
