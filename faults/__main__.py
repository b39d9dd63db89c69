"""`python -m faults [all|NAME,AREA,…]`, which `make faults` calls: runs them and writes docs/faults.md."""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from faults import table
from faults.catalogue import CATALOGUE, SAMPLE
from faults.run import pick, runner
from rehearsal.engine import ROOT
from rehearsal.process import RehearsalError


def main(words: str) -> int:
    """Exit status 0, 1 when an entry failed, 2 when none could be run."""
    os.chdir(ROOT)  # a stack file's paths are relative to the project
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # machines are taken away then, too
    try:
        chosen = pick(words, CATALOGUE, SAMPLE)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    results = []
    try:
        with tempfile.TemporaryDirectory(prefix="faults-") as folder, runner(Path(folder), say) as one:
            for fault in chosen:
                results.append(one.run(fault))
                say(f"  {'passed' if results[-1].passed else 'FAILED: ' + results[-1].why}")
                table.write(ROOT / "docs/faults.md", results, CATALOGUE, time.strftime("%Y-%m-%d"))
    except RehearsalError as error:
        print(error, file=sys.stderr)
        return 2
    failed = [result.fault.name for result in results if not result.passed]
    say(
        f"{len(results) - len(failed)} of {len(results)} passed"
        + (f"; failed: {', '.join(failed)}" if failed else "")
    )
    return 1 if failed else 0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
