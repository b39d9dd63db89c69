"""Refused teams, and workloads in teams."""

from typing import Any

from tests.data.stack_files import A100_40GB, Refusal

MIXED_RTX: dict[str, Any] = {
    **A100_40GB,
    "sharing/profiles/six": {"migStrategy": "mixed"},
    "pools/rtx/gpu/mig": {"1g.5gb": 2, "2g.10gb": 1},
}
STRICT = "sharing/profiles/six/timeSlicing/failRequestsGreaterThanOne"
MPS = {"resources": [{"name": "nvidia.com/gpu", "replicas": 4}]}
CUDA = "nvcr.io/nvidia/cuda:12.5.0-base-ubuntu22.04"

# By case: keys of the team vision, further changes, and the path, a piece of found, expected and remedy
_TEAMS: dict[str, tuple[dict[str, Any], dict[str, Any], str, str, str, str]] = {
    "an unknown pool": ({"limit": {"rxt": 4}}, {}, "limit.rxt", "no pool", "with gpu: rtx", "write rtx"),
    "a pool without cards": (
        {"limit": {"control": 4}},
        {},
        "limit.control",
        "a pool without gpu",
        "with gpu: rtx",
        "write rtx",
    ),
    "a pool that the team may not use": (
        {"guaranteed": {}, "perPod": {"rtx": 1}},
        {},
        "perPod.rtx",
        "neither guaranteed nor limit",
        "no other",
        "add rtx to teams.vision.limit",
    ),
    "a number for several resources": (
        {},
        MIXED_RTX,
        "guaranteed.rtx",
        "2, but the pool offers 2 resources",
        "by resource: nvidia.com/mig-1g.5gb, nvidia.com/mig-2g.10gb",
        "write {nvidia.com/mig-1g.5gb: 2}",
    ),
    "a resource that the pool lacks": (
        {"guaranteed": {"rtx": {"nvidia.com/mig-2g.20gb": 1}}},
        MIXED_RTX,
        "guaranteed.rtx.nvidia.com/mig-2g.20gb",
        "does not offer",
        "nvidia.com/mig-1g.5gb",
        "write nvidia.com/mig-2g.10gb",
    ),
    "slices in quotes": (
        {"guaranteed": {"rtx": "4"}},
        {},
        "guaranteed.rtx",
        '"4"',
        "a whole number",
        "rtx: 4",
    ),
    "no slices by resource": (
        {"guaranteed": {"rtx": {"nvidia.com/gpu": -1}}},
        {},
        "guaranteed.rtx.nvidia.com/gpu",
        "-1",
        "at least 0",
        "{rtx: 4}",
    ),
    "a member twice": (
        {"members": ["ana", "bo", "ana"]},
        {},
        "members[2]",
        "members[0] already names",
        "once",
        "remove one",
    ),
    "a member with the account of pods": (
        {"members": ["default"]},
        {},
        "members[0]",
        "in every namespace",
        "of the member's own",
        "the person's name",
    ),
    "a member with capitals": ({"members": ["Ana_B"]}, {}, "members[0]", "Ana_B", "RFC 1123", "write ana-b"),
    "a limit under the guarantee": (
        {"limit": {"rtx": 1}},
        {},
        "limit.rtx",
        "1, below the 2",
        "at least what is guaranteed",
        "write 2 or more",
    ),
    "a member's limit over the team's": (
        {"perMember": {"rtx": 3}},
        {},
        "perMember.rtx",
        "3, above the team's 2",
        "at most the team's limit",
        "write 2 or less",
    ),
    "a pod larger than a node": (
        {"perPod": {"rtx": 7}},
        {},
        "perPod.rtx",
        "7, above the 6 of a node",
        "what one node offers, 6 nvidia.com/gpu",
        "write 6 or less",
    ),
    "large pods where requests fail": (
        {"perPod": {"rtx": 2}},
        {STRICT: True},
        "perPod.rtx",
        "sharing.profiles.six.timeSlicing.failRequestsGreaterThanOne serves one slice",
        "UnexpectedAdmissionError",
        "remove it",
    ),
    "large pods under MPS": (
        {"perPod": {"rtx": 2}},
        {"sharing/profiles/six": {"mps": MPS}},
        "perPod.rtx",
        "sharing.profiles.six.mps serves one slice",
        "1: the kubelet fails",
        "remove it",
    ),
    "hours out of order": (
        {"hours": {"default": 9, "max": 8}},
        {},
        "hours.default",
        "9, above max, 8",
        "at most max",
        "write 8 or less",
    ),
}


def _workload(path: str, found: str, expected: str, remedy: str, **keys: Any) -> Refusal:
    """A refused workload in team vision, which has two slices of pool rtx."""
    workload = {"team": "vision", "image": CUDA, **keys}
    change = {"teams": {"vision": _VISION, "idle": {}}, "workloads": {"w": workload}}
    return change, f"workloads.w.{path}", found, expected, remedy


_VISION: dict[str, Any] = {"members": ["ana"], "guaranteed": {"rtx": 2}}
_BARE = {"workloads": {}}

_OF_TEAMS: dict[str, Refusal] = {
    f"teams: {case}": (
        {"teams": {"vision": {**_VISION, **keys}}, **_BARE, **more},
        f"teams.vision.{path}",
        found,
        expected,
        remedy,
    )
    for case, (keys, more, path, found, expected, remedy) in _TEAMS.items()
}
REFUSALS: dict[str, Refusal] = {
    **_OF_TEAMS,
    "teams: a member of two teams": (
        {"teams": {"vision": _VISION, "speech": {"members": ["ana"]}}, **_BARE},
        "teams.speech.members[0]",
        "ana, whom teams.vision.members[0]",
        "in one team",
        "a second name",
    ),
    "teams: Kubernetes' namespace": (
        {"teams": {"kube-vision": _VISION}, **_BARE},
        "teams.kube-vision",
        "the namespace of Kubernetes",
        "no namespace has",
        "write for instance vision-team",
    ),
    "teams: the operator's namespace": (
        {"teams": {"gpu-operator": _VISION}, **_BARE},
        "teams.gpu-operator",
        "the GPU Operator",
        "no namespace has",
        "gpu-operator-team",
    ),
    "teams: a workload's namespace": (
        {"teams": {"vision": _VISION}, "workloads/w/namespace": "vision"},
        "teams.vision",
        "the namespace of workloads.w",
        "no namespace has",
        "or workloads.w.team: vision instead of namespace",
    ),
    "teams: a name with capitals": (
        {"teams": {"Vision": _VISION}, **_BARE},
        "teams.Vision",
        "Vision",
        "RFC 1123",
        "write vision",
    ),
    "teams: an older k3s": (
        {"teams": {"vision": _VISION}, "k3s/version": "v1.35.3+k3s1", **_BARE},
        "k3s.version",
        "v1.35.3+k3s1, beside teams",
        "no MutatingAdmissionPolicy",
        "write version: v1.36.2+k3s1",
    ),
    "teams: no operator": (
        {"teams": {"vision": _VISION}, "gpuOperator/enabled": False, **_BARE},
        "teams",
        "gpuOperator.enabled: false",
        "no node offers slices",
        "remove gpuOperator.enabled",
    ),
    "teams: a toolkit that is open to all": (
        {
            "teams": {"vision": _VISION},
            "gpuOperator/toolkit": "operator",
            "gpuOperator/values": {
                "toolkit": {
                    "env": [
                        {"name": "ACCEPT_NVIDIA_VISIBLE_DEVICES_ENVVAR_WHEN_UNPRIVILEGED", "value": "true"}
                    ]
                }
            },
            **_BARE,
        },
        "gpuOperator.values.toolkit.env",
        "=true",
        "cards for pods with a slice only",
        "members could take slices that others are guaranteed",
    ),
    "teams: a workload of an unknown team": _workload(
        "team", "vison, which is no team", "one of the teams: idle, vision", "write vision", team="vison"
    ),
    "teams: a priority without a team": (
        {"workloads/w/priority": "burst"},
        "workloads.w.priority",
        "without a team",
        "team beside it",
        "remove priority",
    ),
    "teams: a namespace beside a team": _workload(
        "namespace", "lab, beside team: vision", "own namespace, vision", "remove namespace", namespace="lab"
    ),
    "teams: a pool of others": _workload(
        "pool", "control, of which team vision has no slices", "pools: rtx", "write rtx", pool="control"
    ),
    "teams: a workload of a team without pools": _workload(
        "pool", "missing", "it has none", "add a pool to teams.idle.limit", team="idle"
    ),
    "teams: a guarantee that the team lacks": (
        {
            "teams": {"vision": {"limit": {"rtx": 2}}},
            "workloads": {"w": {"team": "vision", "image": CUDA, "priority": "guaranteed"}},
        },
        "workloads.w.priority",
        "is guaranteed nothing",
        "burst",
        "add the pool to teams.vision.guaranteed",
    ),
    "teams: a privileged workload": _workload(
        "securityContext",
        "privileged: true, in team vision",
        "baseline",
        "or remove team",
        securityContext={"privileged": True},
    ),
    "teams: the load test, which needs a capability": _workload(
        "securityContext", "SYS_ADMIN", "baseline", "take another image", image="dcgm:4.6.0-1-ubuntu24.04"
    ),
    "teams: a workload less than restricted": (
        {
            "teams": {"vision": {**_VISION, "podSecurity": "restricted"}},
            "workloads": {"w": {"team": "vision", "image": CUDA}},
        },
        "workloads.w.securityContext",
        "podSecurity: restricted of team vision",
        "runAsNonRoot: true",
        "podSecurity: baseline",
    ),
    "teams: a pod over perPod": _workload(
        "gpus", "2, above the 1", "teams.vision.perPod", "write gpus: 1", gpus=2
    ),
    "teams: pods over the guarantee": _workload(
        "replicas", "3: 3 slices, above the 2", "at most 2 slices", "write replicas: 2", replicas=3
    ),
    "teams: card-access is waived": (
        {"teams": {"vision": _VISION}, "doctor": {"waive": ["card-access"]}},
        "doctor.waive",
        "card-access, beside teams",
        "not skipped",
        "remove card-access",
    ),
    "teams: pods over the limit": (
        {
            "teams": {"vision": {**_VISION, "limit": {"rtx": 4}}},
            "workloads": {
                "v": {"team": "vision", "image": CUDA, "priority": "burst"},
                "w": {
                    "team": "vision",
                    "image": CUDA,
                    "priority": "burst",
                    "kind": "Job",
                    "completions": 2,
                    "parallelism": 2,
                },
            },
        },
        "workloads.w.parallelism",
        "2: 2 slices, 3 with the team's other workloads, above the 2 that teams.vision.limit.rtx has",
        "at most 2 slices",
        "write parallelism: 1, or raise teams.vision.limit.rtx to 5",
    ),
}

WARNINGS: dict[str, Refusal] = {
    "teams: a Deployment whose pods end": (
        {
            "teams": {"vision": {**_VISION, "hours": {"default": 8}}},
            "workloads": {"w": {"team": "vision", "image": CUDA}},
        },
        "workloads.w.kind",
        "whose pods end after 8 hours",
        "replaces every pod",
        "write kind: Job",
    ),
    "teams: members who cannot use the guarantee": (
        {"teams": {"vision": {**_VISION, "perMember": {"rtx": 1}}}, **_BARE},
        "teams.vision.perMember.rtx",
        "1 for each of 1 members, who are guaranteed 2",
        "members who can use",
        "write 2 or more",
    ),
}
