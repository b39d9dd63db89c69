"""What is said about pods that a kubelet has rejected."""

from typing import Any

import pytest

from k3sgpu.cluster.rejected_pods import explain_rejected

MESSAGE = (
    "Pod was rejected: Allocate failed due to rpc error: code = Unknown desc = invalid allocation request "
    'for "nvidia.com/gpu": invalid request: maximum request size for shared resources is 1; found 2, '
    "which is unexpected"
)


def rejected(second: int, owner: tuple[str, str] | None, message: str = MESSAGE) -> dict[str, Any]:
    owners = [{"kind": owner[0], "name": owner[1], "controller": True}] if owner else []
    labels = {"ReplicaSet": {"pod-template-hash": "5d8b7c"}, "Job": {"job-name": "sum"}}
    return {
        "metadata": {
            "name": f"p-{second}",
            "namespace": "lab",
            "labels": labels.get(owner[0], {}) if owner else {},
            "creationTimestamp": f"2026-11-30T12:00:{second:02}Z",
            "ownerReferences": owners,
        },
        "status": {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": message},
    }


def test_pods_of_a_deployment_are_one_warning_with_commands():
    replica_set = ("ReplicaSet", "greedy-5d8b7c")
    (problem,) = explain_rejected([rejected(second, replica_set) for second in (9, 1, 5)])
    assert (problem.where, problem.severity) == ("deployment lab/greedy", "warning")
    assert problem.found.startswith(
        "3 pods rejected by the kubelet in 8 s, the last one at 2026-11-30T12:00:09Z"
    )
    assert MESSAGE in problem.found
    for words in (
        "kubectl -n lab scale deployment/greedy --replicas=0",
        "ask for one slice",
        "failRequestsGreaterThanOne",
        "kubectl -n lab delete pods --field-selector status.phase=Failed -l pod-template-hash=5d8b7c",
        "12500 ended pods (terminated-pod-gc-threshold",
    ):
        assert words in problem.remedy, words


@pytest.mark.parametrize(
    ("owner", "where", "remedy"),
    [
        (None, "pod lab/p-1", "kubectl -n lab delete pod p-1"),
        (("Job", "sum"), "job lab/sum",
         "kubectl -n lab delete pods --field-selector status.phase=Failed -l job-name=sum"),
        (("StatefulSet", "db"), "statefulset lab/db", "kubectl -n lab scale statefulset/db --replicas=0"),
        (("RayCluster", "ray"), "raycluster lab/ray", "kubectl -n lab delete pod p-1"),
    ],
)  # fmt: skip
def test_other_owners_get_the_commands_that_suit_them(owner, where, remedy):
    (problem,) = explain_rejected([rejected(1, owner, "no healthy devices present")])
    assert problem.where == where and "1 pod rejected by the kubelet, the last" in problem.found
    assert remedy in problem.remedy and "one slice" not in problem.remedy
