"""Refused workloads."""

from typing import Any

from tests.data.stack_files import Refusal

# By case: keys of the workload, path below it, a piece of `found`, of `expected`, of `remedy`
_WORKLOADS: dict[str, tuple[dict[str, Any], str, str, str, str]] = {
    "another kind": ({"kind": "StatefulSet"}, "kind", "StatefulSet", "Deployment, Job", "write one of"),
    "a manifest's resources": (
        {"resources": {"limits": {"nvidia.com/gpu": 2}}},
        "resources",
        "unknown key",
        "gpus",
        "write gpus: 2",
    ),
    "a request": ({"requests": {"nvidia.com/gpu": 1}}, "requests", "unknown key", "", "gpus is the limit"),
    "limits": ({"limits": {"nvidia.com/gpu": 1}}, "limits", "unknown key", "", "write gpus: 2"),
    "capabilities at the old place": (
        {"capabilities": ["SYS_ADMIN"]},
        "capabilities",
        "unknown key",
        "",
        "workloads.w.securityContext.capabilities",
    ),
    "a secret in plain": (
        {"env": {"HF_TOKEN": "hf_abcdef"}},
        "env.HF_TOKEN",
        "HF_TOKEN",
        "no secret",
        "secretEnv: {HF_TOKEN: {name: NAME, key: KEY}}",
    ),
    "a secret behind its option": (
        {"image": "vllm/vllm-openai:v0.8.0", "args": ["--model", "m", "--api-key", "hidden"]},
        "args[3]",
        "a value of --api-key (not shown)",
        "no secret",
        "secretEnv: {NAME: {name: NAME, key: KEY}}, and $(NAME) here",
    ),
    "a variable's name": ({"env": {"A-B": "1"}}, "env.A-B", "A-B", "letters, digits", "correct"),
    "a number for a variable": ({"env": {"EPOCHS": 3}}, "env.EPOCHS", "3", "a string", 'EPOCHS: "3"'),
    "a variable twice": (
        {"env": {"A": "1"}, "secretEnv": {"A": {"name": "n", "key": "k"}}},
        "secretEnv.A",
        "which env also has",
        "once",
        "remove A",
    ),
    "a Secret's key": (
        {"secretEnv": {"A": {"name": "n", "key": "a b"}}},
        "secretEnv.A.key",
        "a b",
        "a key of a Kubernetes Secret",
        "correct",
    ),
    "replicas of a Job": (
        {"kind": "Job", "replicas": 2},
        "replicas",
        "in a Job",
        "replicas is a Deployment's",
        "write completions (and parallelism) instead",
    ),
    "completions of a Deployment": (
        {"completions": 2},
        "completions",
        "in a Deployment",
        "completions is a Job's",
        "write replicas instead, or write kind: Job",
    ),
    "retries of a Deployment": ({"retries": 2}, "retries", "in a Deployment", "a Job's", "remove it"),
    "a Job of no pod": ({"kind": "Job", "completions": 0}, "completions", "0", "succeed", "completions: 1"),
    "a Job without time": ({"kind": "Job", "timeoutSeconds": 0}, "timeoutSeconds", "0", "seconds", "600"),
    "a value for any": (
        {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
        "tolerations[0].value",
        "b, beside",
        "no value",
        "remove value",
    ),
    "a toleration of everything": (
        {"tolerations": [{"operator": "Exists"}]},
        "tolerations[0].key",
        "missing",
        "the key of the taint",
        "key: dedicated",
    ),
    "another effect": (
        {"tolerations": [{"key": "a", "effect": "NoSchedul"}]},
        "tolerations[0].effect",
        "NoSchedul",
        "NoExecute",
        "write NoSchedule",
    ),
    "root that is not root": (
        {"securityContext": {"runAsNonRoot": True, "runAsUser": 0}},
        "securityContext.runAsUser",
        "0, beside",
        "other than root",
        "runAsUser: 1000",
    ),
    "privileged, and not": (
        {"securityContext": {"privileged": True, "allowPrivilegeEscalation": False}},
        "securityContext.allowPrivilegeEscalation",
        "privileged: true",
        "Kubernetes refuses",
        "remove privileged",
    ),
    "a capability in another spelling": (
        {"securityContext": {"capabilities": {"add": ["CAP_SYS_ADMIN"]}}},
        "securityContext.capabilities.add[0]",
        "CAP_SYS_ADMIN",
        "one of AUDIT_CONTROL, ",
        "write SYS_ADMIN",
    ),
    "a key of the pod's own context": (
        {"securityContext": {"fsGroup": 1}},
        "securityContext.fsGroup",
        "unknown key",
        "runAsUser",
        "",
    ),
}


REFUSALS: dict[str, Refusal] = {
    case: ({"workloads": {"w": keys}}, f"workloads.w.{path}", found, expected, remedy)
    for case, (keys, path, found, expected, remedy) in _WORKLOADS.items()
}
