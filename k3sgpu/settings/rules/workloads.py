"""Rules of the section `workloads`: what Kubernetes would refuse, or fail only when the pod starts."""

import re
from collections.abc import Iterator
from itertools import pairwise

from k3sgpu.problem import Problem
from k3sgpu.settings.models.containers import ARGUMENT_EXPECTED, ARGUMENT_REMEDY
from k3sgpu.settings.models.secret_texts import TEXT_WITH_SECRET
from k3sgpu.settings.pydantic_errors import nearest
from k3sgpu.settings.rules.draft import Draft
from k3sgpu.wellknown import OPERATOR_NAMESPACE

KEYS_BY_KIND = {
    "Deployment": {"replicas": "replicas"},
    "Job": {
        "completions": "completions",
        "parallelism": "parallelism",
        "retries": "retries",
        "timeout_seconds": "timeoutSeconds",
    },
}
"""By kind: the keys that only this kind has, as field and key."""
OPTION = re.compile("--?[A-Za-z0-9_-]+")
EQUIVALENT_KEYS = {
    "replicas": "completions (and parallelism)",
    "completions": "replicas",
    "parallelism": "replicas",
}


def keys_match_kind(draft: Draft) -> Iterator[Problem]:
    """Refuse keys of the other kind, which would silently do nothing."""
    for name, workload in draft.settings.workloads.items():
        for kind, keys in KEYS_BY_KIND.items():
            for field, key in keys.items() if kind != workload.kind else ():
                if field in workload.model_fields_set:
                    other = EQUIVALENT_KEYS.get(key)
                    yield Problem(
                        f"workloads.{name}.{key}",
                        f"{key}, in a {workload.kind}",
                        f"keys that a {workload.kind} has; {key} is a {kind}'s",
                        (f"write {other} instead" if other else "remove it") + f", or write kind: {kind}",
                    )


def pools_have_cards(draft: Draft) -> Iterator[Problem]:
    """Refuse a pool that does not exist or has no cards."""
    pools = draft.settings.pools
    known = sorted(name for name, pool in pools.items() if pool.gpu)
    for name, workload in draft.settings.workloads.items():
        wanted = workload.pool
        if wanted is None or wanted in known or not draft.intact("pools"):
            continue
        like = nearest(wanted, known) or next(iter(known), None)
        yield Problem(
            f"workloads.{name}.pool",
            f"{wanted}, a pool without gpu" if wanted in pools else f"{wanted}, which is no pool",
            f"a pool with gpu: {', '.join(known) or 'there is none'}",
            f"write pool: {like}, or remove it" if like else "add gpu: to a pool, or remove pool",
        )


def tolerations_are_valid(draft: Draft) -> Iterator[Problem]:
    """Refuse a value beside operator: Exists, as the API server does."""
    for name, workload in draft.settings.workloads.items():
        for index, toleration in enumerate(workload.tolerations):
            if toleration.operator == "Exists" and toleration.value:
                yield Problem(
                    f"workloads.{name}.tolerations[{index}].value",
                    f"{toleration.value}, beside operator: Exists",
                    "no value: Exists tolerates any value",
                    "remove value, or write operator: Equal",
                )


def options_hold_no_secret(draft: Draft) -> Iterator[Problem]:
    """Refuse a secret in the argument behind its option, such as --api-key and its value."""
    for name, workload in draft.settings.workloads.items():
        for key in ("command", "args"):
            for index, (option, value) in enumerate(pairwise(getattr(workload, key)), start=1):
                if OPTION.fullmatch(option) and re.fullmatch(TEXT_WITH_SECRET, f"{option} {value}"):
                    yield Problem(
                        f"workloads.{name}.{key}[{index}]",
                        f"a value of {option} (not shown)",
                        ARGUMENT_EXPECTED,
                        ARGUMENT_REMEDY,
                    )


def security_contexts_are_valid(draft: Draft) -> Iterator[Problem]:
    """Refuse pairs that the API server refuses, or the kubelet when it starts the container."""
    for name, workload in draft.settings.workloads.items():
        path, context = f"workloads.{name}.securityContext", workload.security_context
        if context.run_as_non_root and context.run_as_user == 0:
            yield Problem(
                f"{path}.runAsUser",
                "0, beside runAsNonRoot: true",
                "a user other than root: the kubelet would not start the container",
                "write runAsUser: 1000, or remove runAsNonRoot",
            )
        if context.privileged and context.allow_privilege_escalation is False:
            yield Problem(
                f"{path}.allowPrivilegeEscalation",
                "false, beside privileged: true",
                "one of the two: Kubernetes refuses them together",
                "remove privileged: true; a GPU does not need it",
            )


def variables_are_unique(draft: Draft) -> Iterator[Problem]:
    """Refuse a variable in both env and secretEnv: Kubernetes would use the last one."""
    for name, workload in draft.settings.workloads.items():
        for variable in workload.env.keys() & workload.secret_env.keys():
            yield Problem(
                f"workloads.{name}.secretEnv.{variable}",
                f"{variable}, which env also has",
                "each variable once",
                f"remove {variable} from env or from secretEnv",
            )


def namespaces_are_not_reserved(draft: Draft) -> Iterator[Problem]:
    """Refuse namespaces of the operator and of Kubernetes: the program creates a workload's namespace."""
    for name, workload in draft.settings.workloads.items():
        if workload.namespace == OPERATOR_NAMESPACE or workload.namespace.startswith("kube-"):
            yield Problem(
                f"workloads.{name}.namespace",
                workload.namespace,
                "a namespace of its own, or default: this one belongs to the operator or to Kubernetes",
                "write for instance namespace: gpu-tests",
            )
