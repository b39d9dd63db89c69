"""A sample of `make guarantees`: what the fit says of teams, held against the real scheduler and quotas."""

import pytest

from rehearsal.guarantees.run import SEED, run_cases
from rehearsal.progress import Progress
from rehearsal.toolchain import toolbox

CASES = 24


def test_guarantees_hold_where_the_fit_proves_them(capsys: pytest.CaptureFixture[str]) -> None:
    figures = run_cases(CASES, SEED, toolbox.prepare(Progress()).bin)
    with capsys.disabled():
        print(
            f"\n{figures.cases} cases, {figures.pools} pools, {figures.proven} proven, {figures.pods} pods, "
            f"{figures.preempted} bursts preempted, {figures.exceeded} quotas exceeded, "
            f"at most {max(figures.waits):.1f} s Pending"
        )
    assert not figures.failures, "\n".join(figures.failures)
    assert 0 < figures.proven < figures.pools and figures.preempted and figures.refused
