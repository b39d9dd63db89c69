"""The article: a pod that waits, the operator, six slices, pods on them, and one that does not fit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rehearsal.lab import objects
from rehearsal.lab.fixture import wait_until
from rehearsal.proof import card_log
from rehearsal.proof.proof_cluster import (
    FOR_EVER,
    GPU,
    POD_SLICES,
    WORKLOAD,
    ProofCluster,
    Unexpected,
    expect,
    is_predicted,
    starts,
)
from rehearsal.proof.walk import See

TEST_POD, ONE_MORE = "gpu-operator-test", "one-more"
SLICES, MORE_SLICES = 6, 8
COMPUTING_SECONDS = 2
"""How many seconds more a program must have computed to count as one that goes on."""


def slices_profile(replicas: int, **options: Any) -> dict[str, Any]:
    """A profile that shares each card by time-slicing."""
    return {"timeSlicing": {"resources": [{"name": GPU, "replicas": replicas}], **options}}


def profile_name(proof: ProofCluster) -> str:
    """The profile's name, formed as the article's 2080ti-12gb: h200-140gb."""
    gpu = proof.gpu
    product = gpu["product"].lower().removeprefix("nvidia-")
    return f"{product}-{round(gpu['memoryMiB'] / 1024)}gb"


def fitting_pods(proof: ProofCluster, slices: int) -> int:
    """How many pods of the article's workload fit when each card has so many slices."""
    return len(proof.nodes) * (slices // POD_SLICES)


def pod_waits_without_operator(proof: ProofCluster, see: See) -> None:
    """A cluster of k3s alone has no nvidia.com/gpu."""
    proof.use_profile(profile_name(proof), slices_profile(SLICES))
    proof.set_workload(replicas=2)
    see(f"k3s alone: {proof.run_engine(proof.cluster.up_k3s_only)}")
    proof.create(proof.pod_manifest(TEST_POD, slices=1))
    nodes = len(proof.nodes)
    message = proof.wait_for_scheduler(TEST_POD)
    see(f"pod {TEST_POD} is Pending: {message}")
    if not is_predicted(message, f"0/{nodes} nodes are available: {nodes} Insufficient {GPU}."):
        raise Unexpected(f"found the message {message!r}, expected {nodes} times Insufficient {GPU}")


def up(proof: ProofCluster, see: See) -> None:
    """Operator, sharing and workload; then the pod that waited computes."""
    see(f"pulumi up: {proof.up()}")
    if proof.has_card:
        log = proof.wait_for_end(TEST_POD)
        see(f"pod {TEST_POD}, which had waited: {log.verdict}")
        expect("the test of that pod passed", log.passed, True)
    proof.delete("pod", TEST_POD)


def six_slices(proof: ProofCluster, see: See) -> None:
    """Each node has 6 nvidia.com/gpu."""
    for name in proof.nodes:
        status = proof.cluster.get("node", name)["status"]
        found = {field: status[field].get(GPU) for field in ("capacity", "allocatable")}
        see(f"{name}: {GPU} {found['capacity']} capacity, {found['allocatable']} allocatable")
        expect(f"slices of {name}", set(found.values()), {str(SLICES)})


def labels(proof: ProofCluster, see: See) -> None:
    """Feature discovery says that the card is shared."""
    wanted = {"gpu.product": f"{proof.gpu['product']}-SHARED", "gpu.replicas": str(SLICES)}
    wanted["gpu.sharing-strategy"] = "time-slicing"
    for name in proof.nodes:
        found = {label: objects.label(proof.cluster, name, label) for label in wanted}
        see(f"{name}: " + ", ".join(f"nvidia.com/{key}={value}" for key, value in found.items()))
        expect(f"labels of {name}", found, wanted)


def two_pods_compute(proof: ProofCluster, see: See) -> None:
    """The article's Deployment: 2 pods with 2 slices each."""
    pods = proof.wait_for_running(2)
    allocated = proof.allocated()
    see(f"{WORKLOAD}: 2 of 2 Running; {allocated} of {SLICES * len(proof.nodes)} {GPU} allocated")
    expect("allocated slices", allocated, 2 * POD_SLICES)
    check_computing(proof, see, pods)


def fourth_pod_waits(proof: ProofCluster, see: See) -> None:
    """As many pods as fit run; one more is refused by `fit`, and Pending in the words that it predicts."""
    fit = fitting_pods(proof, SLICES)
    proof.set_workload(replicas=fit)
    see(f"pulumi up with {fit} pods: {proof.up()}")
    proof.wait_for_running(fit)
    with proof.changed():
        proof.set_workload(replicas=fit + 1)
        predicted = proof.predicted_message()
        said = proof.cluster.expect_failure(proof.cluster.preview)
    see(f"fit says of pod {fit + 1}: {predicted}")
    expect("the preview's error names that message", predicted in said, True)
    proof.create(proof.pod_manifest(ONE_MORE, *FOR_EVER, slices=POD_SLICES))
    message = proof.wait_for_scheduler(ONE_MORE)
    see(f"the scheduler says: {message}")
    if not is_predicted(message, predicted):
        raise Unexpected(f"the scheduler says {message!r}, fit predicted {predicted!r}")


def six_become_eight(proof: ProofCluster, see: See) -> None:
    """Running pods keep their containers and go on computing; the pod that waited runs."""
    ran = proof.wait_for_running(fitting_pods(proof, SLICES))
    seconds = {name: proof.log(name).last_second for name in ran} if proof.has_card else {}
    proof.use_profile(profile_name(proof), slices_profile(MORE_SLICES))
    see(f"pulumi up with {MORE_SLICES} slices: {proof.up()}")
    proof.wait_for_phase(ONE_MORE, "Running")
    see(f"the pod that waited runs; {proof.allocated()} of {MORE_SLICES * len(proof.nodes)} allocated")
    expect("start times and restarts of the pods that ran", starts(proof.pods()), starts(ran))
    see(f"{len(ran)} pods that ran have their old start times, and no restart")
    for name, second in seconds.items():
        go_on = f"{name} to compute on"
        wait_until(go_on, lambda n=name, s=second: proof.log(n).last_second >= s + COMPUTING_SECONDS, 15)
        log = proof.log(name)
        expect(f"interruptions of {name}", card_log.interruptions(log.seconds), [])
        see(f"{name} computed from second {second} to {log.last_second} without a gap, 0 wrong")
    proof.delete("pod", ONE_MORE)


def check_computing(proof: ProofCluster, see: See, pods: Iterable[str]) -> None:
    """Checks that the programs in `pods` compute and get right sums. Without a card none does."""
    for name in pods if proof.has_card else ():
        begun = f"{name} to have computed for a while"
        wait_until(begun, lambda n=name: proof.log(n).last_second >= COMPUTING_SECONDS, 15)
        log = proof.log(name)
        expect(f"interruptions of {name}", card_log.interruptions(log.seconds), [])
        last = log.seconds[-1]
        see(f"{name}: {last.launches} launches in a second, median {last.median_ms:.2f} ms, 0 wrong")
        if log.verdict:
            see(f"{name}: {log.verdict}")
