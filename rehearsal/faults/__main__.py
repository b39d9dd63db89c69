"""`python -m rehearsal.faults [all|NAME,AREA,…]`, for `make faults`: runs faults and writes the report."""

import os
import signal
import sys
import time

from rehearsal.faults import table
from rehearsal.faults.catalogue import CATALOGUE, SAMPLE
from rehearsal.faults.parallel import run_scopes_in_parallel
from rehearsal.faults.selection import select
from rehearsal.lab.engine import ROOT
from rehearsal.process import RehearsalError


def main(names: str) -> int:
    """Returns 0, 1 when an entry failed, or 2 when one could not be run."""
    os.chdir(ROOT)  # a stack file's paths are relative to the project
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that machines are removed then as well
    try:
        chosen = select(names, CATALOGUE, SAMPLE)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    results = []
    try:
        for result in run_scopes_in_parallel(chosen):
            results.append(result)
            outcome = "passed" if result.passed else f"FAILED: {result.failure}"
            print(f"  {result.fault.name}: {outcome}", file=sys.stderr, flush=True)
            table.write(ROOT / "rehearsal/reports/faults.md", results, CATALOGUE, time.strftime("%Y-%m-%d"))
    except RehearsalError as error:
        print(error, file=sys.stderr)
        return 2
    failed = [result.fault.name for result in results if not result.passed]
    summary = f"{len(results) - len(failed)} of {len(results)} passed"
    print(summary + (f"; failed: {', '.join(failed)}" if failed else ""), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
