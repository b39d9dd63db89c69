"""Batches of cases, each in a control plane of its own."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from k3sgpu.handoff.k3s_config import QUOTA_SYNC
from rehearsal.guarantees.cases import Batch, random_batch
from rehearsal.guarantees.cluster import Cluster
from rehearsal.guarantees.play import Outcome, play
from rehearsal.tests.e2e.controlplane import control_plane

SEED = 20261201
BATCH = 40
"""The cases that stand in one cluster at one time."""
# No controller that judges Nodes without a kubelet; the namespace controller ends nothing here.
FLAGS = {
    "kube-apiserver": ["--disable-admission-plugins=TaintNodesByCondition"],
    "kube-controller-manager": [
        "--controllers=serviceaccount-controller,resourcequota-controller",
        f"--{QUOTA_SYNC}",
        "--kube-api-qps=500",
        "--kube-api-burst=500",
    ],
    "kube-scheduler": ["--kube-api-qps=1000", "--kube-api-burst=1000"],
}


@dataclass
class Figures:
    """What all batches together showed."""

    cases: int = 0
    pools: int = 0
    proven: int = 0
    nodes: int = 0
    teams: int = 0
    pods: int = 0
    preempted: int = 0
    refused: int = 0
    """Pods that quotas refused, because they were above a guarantee or a limit."""
    quotas: int = 0
    exceeded: int = 0
    """Guarantees and limits that Kubernetes' quotas did not hold."""
    evicted: int = 0
    """Pods that were evicted for it."""
    waits: list[float] = field(default_factory=list)
    """The seconds that guaranteed pods were Pending."""
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, batch: Batch, outcomes: list[Outcome], cluster: Cluster) -> None:
        """Adds a batch."""
        self.cases += batch.number
        self.pools += len(batch.cases)
        self.proven += sum(one.proven for one in outcomes)
        self.nodes += len(batch.nodes)
        self.teams += len(batch.settings.teams)
        self.pods += sum(one.pods for one in outcomes)
        self.preempted += cluster.pods.preempted
        self.refused += sum(one.refused for one in outcomes)
        self.quotas += len(cluster.pods.limits)
        self.exceeded += len(cluster.pods.exceeded)
        self.evicted += sum(one.evicted for one in outcomes)
        self.waits += cluster.pods.waits
        self.failures += [text for one in outcomes for text in one.failures] + cluster.pods.violations


def run_cases(cases: int, seed: int, programs: Path, note: Callable[[str], None] | None = None) -> Figures:
    """Plays so many random cases; `note` gets a line after each batch.

    Raises TimeoutError if a control plane or its objects do not come up.
    """
    random, figures, began = Random(seed), Figures(), time.monotonic()
    for first in range(0, cases, BATCH):
        batch = random_batch(first, min(BATCH, cases - first), random)
        with _cluster(programs) as cluster:
            outcomes = play(batch, cluster, random)
            figures.add(batch, outcomes, cluster)
        figures.seconds = time.monotonic() - began
        if note:
            note(
                f"{figures.cases} of {cases} cases, {figures.seconds:.0f} s, {len(figures.failures)} failures"
            )
    return figures


@contextmanager
def _cluster(programs: Path) -> Iterator[Cluster]:
    with (
        TemporaryDirectory(prefix="guarantees-") as folder,
        control_plane(Path(folder), programs, scheduler=True, flags=FLAGS) as plane,
    ):
        cluster = Cluster(lambda: plane.client(60))
        try:
            yield cluster
        finally:
            cluster.close()
