"""The steps of the walk, in their order."""

from rehearsal.proof.proof_cluster import ProofCluster
from rehearsal.proof.steps import article, changes, door, lifecycle
from rehearsal.proof.walk import Step

STEPS: tuple[Step[ProofCluster], ...] = (
    Step("machines", "Machines with systemd boot with the card in them", lifecycle.boot, essential=True),
    Step(
        "pod waits",
        "Before the operator, a pod with a GPU is Pending",
        article.pod_waits_without_operator,
        essential=True,
    ),
    Step("up", "`pulumi up` installs operator and sharing, and the pod computes", article.up, essential=True),
    Step("six slices", "One card is 6 nvidia.com/gpu, capacity and allocatable", article.six_slices),
    Step("labels", "Feature discovery says -SHARED, 6 replicas, time-slicing", article.labels),
    Step("two pods", "Two pods with 2 slices each compute on the card", article.two_pods_compute),
    Step("fourth pod", "A third pod fits; a fourth is Pending as `fit` predicts", article.fourth_pod_waits),
    Step("six to eight", "More slices, and running pods are not disturbed", article.six_become_eight),
    Step("one slice only", "With failRequestsGreaterThanOne, requests of 2 fail", changes.one_slice_only),
    Step("MPS", "From time-slicing to MPS, with a drain", changes.mps),
    Step("time-slicing", "Back to time-slicing, with a drain", changes.back_to_time_slicing),
    Step("verify", "`verify: strict` computes on each node", changes.verify_strict, needs_card=True),
    Step("Job", "A Job of the stack passes its test", changes.job, needs_card=True),
    Step("broken file", "A broken sharing file is healed", changes.broken_file_is_healed),
    Step("door, CDI", "No slice, no card: devices by CDI", door.with_cdi, needs_card=True),
    Step("door, variable", "No slice, no card: devices by variable", door.with_variable, needs_card=True),
    Step("door, volumes", "No slice, no card: volume mounts", door.with_volume_mounts, needs_card=True),
    Step("door closed", "The operator's default again, door closed", door.back_to_cdi, needs_card=True),
    Step("no-op", "An `up` without a change changes nothing", lifecycle.nothing_to_change),
    Step("destroy", "`pulumi destroy` leaves nothing on the machines", lifecycle.destroy),
    Step("clean", "Nothing is left on this computer", lifecycle.remove_machines),
)
