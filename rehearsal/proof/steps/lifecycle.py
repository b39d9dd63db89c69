"""Beginning and end: machines that boot, an `up` that changes nothing, a destroy that leaves nothing."""

from __future__ import annotations

from rehearsal.lab import machines, objects, traces
from rehearsal.progress import Progress
from rehearsal.proof.proof_cluster import ProofCluster, expect
from rehearsal.proof.walk import See


def boot(proof: ProofCluster, see: See) -> None:
    """The machines boot, answer over SSH, and have their cards."""
    proof.machines = proof.cluster.start_machines()
    proof.before = {name: traces.snapshot(machine) for name, machine in proof.machines.items()}
    for name, cards in proof.run_everywhere("nvidia-smi -L").items():
        see(f"{name}: {cards}")
        expect(f"{name} has one card", len(cards.splitlines()), 1)


def nothing_to_change(proof: ProofCluster, see: See) -> None:
    """An `up` without a change touches nothing."""
    starts = objects.k3s_starts(proof.cluster, proof.machines)
    counts = proof.cluster.up()
    see(f"pulumi up: {counts}")
    expect("operations", set(counts), {"same"})
    expect("starts of k3s", objects.k3s_starts(proof.cluster, proof.machines), starts)


def destroy(proof: ProofCluster, see: See) -> None:
    """`pulumi destroy`: nothing of the cluster stays on the machines."""
    proof.run_engine(proof.cluster.destroy)
    for name, machine in proof.machines.items():
        left = traces.snapshot(machine) - proof.before[name]
        expect(f"left on {name}", sorted(left), [])
    see("no file, process, mount, network link or packet filter rule of the cluster is left on the machines")


def remove_machines(proof: ProofCluster, see: See) -> None:
    """The machines are removed, and nothing of them is left on this computer."""
    stack = proof.cluster.stack
    machines.down(stack.name, stack.state, Progress())
    expect("left on this computer", machines.leftovers(stack.name), [])
    see("no machine, mount, control group or network namespace is left on this computer")
