"""`make guarantees`: random teams before the real scheduler; writes rehearsal/reports/guarantees.md."""

import argparse
import os
import sys
from pathlib import Path

from rehearsal.guarantees.report import page
from rehearsal.guarantees.run import SEED, run_cases
from rehearsal.lab.engine import ROOT
from rehearsal.process import RehearsalError
from rehearsal.progress import Progress
from rehearsal.toolchain import toolbox

REPORT = ROOT / "rehearsal" / "reports" / "guarantees.md"


def main(arguments: list[str] | None = None) -> int:
    """Returns 0, or 1 after a failure, which the report names."""
    parser = argparse.ArgumentParser(prog="python -m rehearsal.guarantees", description=__doc__)
    parser.add_argument("--cases", type=int, default=500, help="how many cases (500)")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the random cases ({SEED})")
    parser.add_argument("--output", type=Path, default=REPORT, help="the report")
    options = parser.parse_args(arguments)
    os.chdir(ROOT)
    progress = Progress()
    try:
        figures = run_cases(options.cases, options.seed, toolbox.prepare(progress).bin, progress.note)
    except (RehearsalError, TimeoutError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    options.output.write_text(page(figures, options.seed))
    print("\n".join(figures.failures) or f"no failures: {options.output}", file=sys.stderr)
    return 1 if figures.failures else 0


if __name__ == "__main__":
    sys.exit(main())
