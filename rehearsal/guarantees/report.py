"""Renders rehearsal/reports/guarantees.md from the figures."""

from datetime import UTC, datetime
from statistics import median

from rehearsal.faults.table import machine
from rehearsal.guarantees.cluster import DEADLINE_SECONDS
from rehearsal.guarantees.run import Figures

HEAD = """\
# Guarantees

Written by `make guarantees CASES=n`. Random teams, guarantees, limits, pods and pools, on Nodes that exist
as objects only, before the real API server, controller manager and scheduler v1.36.2. What the program
applies for teams is applied: namespaces, quotas, PriorityClasses, admission policies, RBAC. Members create
the pods. Many pools of one cluster have the same resource name. The test deletes the object of a pod that
is told to end, as a kubelet does.

In every pool, one after another:

1. One team uses its guarantee and bursts while the others use nothing. It gets what the fit says ("others
   idle"), and its quotas refuse more.
2. All teams burst, as far as their quotas allow.
3. Pods of no team and guaranteed pods of one slice take the worst nodes for a last pod, by node affinity.
4. A team that is under its guarantee asks for that last pod. Where the fit proves the guarantees, it gets a
   node; where the fit refuses them, it stays Pending.
5. All teams use their whole guarantees at once. Then, twice, half of the guaranteed pods leave, bursts take
   their place, and guaranteed pods of other sizes come, each preferring a random node.

A guaranteed pod without a node after {deadline:.0f} s, a guaranteed pod that is preempted, a number that
differs from the fit's, and a blocked pod where none should be are failures.
"""
QUOTAS = """\
## Quotas that admit too much

Kubernetes counts a quota's use again whenever a pod of the namespace ends. It then does not see pods that are
being created at that moment, and admits too many until it counts again:
[kubernetes#123434](https://github.com/kubernetes/kubernetes/issues/123434), open. The program has it count
every 5 seconds where there are teams (by default it is 5 minutes), as here. Of {quotas:,} quotas, {exceeded}
admitted too much, with pods that end and begin at the same time all the time. The newest pods above were then
evicted, as `pulumi up` does when a team's numbers change: {evicted}. `fit --cluster` names them.
Measured once with the 5 minutes, on 120 cases: 8 of 688, and counts stayed up to 13 slices too low.
"""


def page(figures: Figures, seed: int) -> str:
    """The report."""
    waits = sorted(figures.waits)
    rows = {
        "cases": f"{figures.cases:,}",
        "pools, with their nodes": f"{figures.pools:,}, {figures.nodes:,} nodes",
        "pools whose guarantees the fit proves": f"{figures.proven:,}",
        "pools whose guarantees the fit refuses": f"{figures.pools - figures.proven:,}",
        "teams": f"{figures.teams:,}",
        "pods": f"{figures.pods:,}",
        "burst pods preempted": f"{figures.preempted:,}",
        "pods above a guarantee or a limit that quotas refused": f"{figures.refused:,}",
        "guaranteed pods, from creation to a node": _waits(waits),
        "guaranteed pods preempted, or without a node in time": f"{_count(figures, 'preempted', 'Pending')}",
        "numbers that differ from the fit's, and other failures": (
            f"{len(figures.failures) - _count(figures, 'preempted', 'Pending')}"
        ),
    }
    day = datetime.now(UTC).date().isoformat()
    return (
        "\n".join(
            [
                HEAD.format(deadline=DEADLINE_SECONDS),
                f"Last run {day}, seed {seed}, {figures.seconds / 60:.0f} min on {machine()}.\n",
                "| what | seen |",
                "|---|---|",
                *(f"| {what} | {seen} |" for what, seen in rows.items()),
                "",
                QUOTAS.format(exceeded=figures.exceeded, quotas=figures.quotas, evicted=figures.evicted),
                *(f"- {text}" for text in figures.failures),
            ]
        ).rstrip()
        + "\n"
    )


def _waits(waits: list[float]) -> str:
    if not waits:
        return "none"
    most_of_them = waits[len(waits) * 99 // 100]
    shares = f"median {median(waits):.1f} s, 99 % within {most_of_them:.1f} s, at most {waits[-1]:.1f} s"
    return f"{len(waits):,} pods: {shares}"


def _count(figures: Figures, *words: str) -> int:
    return sum(any(word in text for word in words) for text in figures.failures)
