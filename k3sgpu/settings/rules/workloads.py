"""Rules of workloads that span keys: what Kubernetes would refuse, or fail only when the pod starts."""

from collections.abc import Callable, Iterator

from k3sgpu.problem import Problem
from k3sgpu.settings.pydantic_errors import nearest
from k3sgpu.settings.rules.draft import Draft

OF_KIND = {
    "Deployment": {"replicas": "replicas"},
    "Job": {
        "completions": "completions",
        "parallelism": "parallelism",
        "retries": "retries",
        "timeout_seconds": "timeoutSeconds",
    },
}
"""By kind: the keys that only it has, field and spelling."""
INSTEAD = {"replicas": "completions (and parallelism)", "completions": "replicas", "parallelism": "replicas"}


def keys_of_its_kind(draft: Draft) -> Iterator[Problem]:
    """A key that the other kind has would be passed over in silence."""
    for name, workload in draft.settings.workloads.items():
        for kind, keys in OF_KIND.items():
            for field, key in keys.items() if kind != workload.kind else ():
                if field in workload.model_fields_set:
                    other = INSTEAD.get(key)
                    yield Problem(
                        f"workloads.{name}.{key}",
                        f"{key}, in a {workload.kind}",
                        f"keys that a {workload.kind} has; {key} is a {kind}'s",
                        (f"write {other} instead" if other else "remove it") + f", or write kind: {kind}",
                    )


def pools_have_cards(draft: Draft) -> Iterator[Problem]:
    """A workload that names a pool asks for that pool's cards."""
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


def tolerations_make_sense(draft: Draft) -> Iterator[Problem]:
    """The API server refuses it."""
    for name, workload in draft.settings.workloads.items():
        for index, toleration in enumerate(workload.tolerations):
            if toleration.operator == "Exists" and toleration.value:
                yield Problem(
                    f"workloads.{name}.tolerations[{index}].value",
                    f"{toleration.value}, beside operator: Exists",
                    "no value: Exists puts up with any",
                    "remove value, or write operator: Equal",
                )


def security_context_holds(draft: Draft) -> Iterator[Problem]:
    """Pairs that the API server refuses, or the kubelet when it starts the container."""
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


def names_are_free(draft: Draft) -> Iterator[Problem]:
    """A variable twice: Kubernetes would take the last one."""
    for name, workload in draft.settings.workloads.items():
        for variable in workload.env.keys() & workload.secret_env.keys():
            yield Problem(
                f"workloads.{name}.secretEnv.{variable}",
                f"{variable}, which env has as well",
                "each variable once",
                f"remove {variable} from env or from secretEnv",
            )


WORKLOAD_RULES: tuple[Callable[[Draft], Iterator[Problem]], ...] = (
    keys_of_its_kind,
    pools_have_cards,
    tolerations_make_sense,
    security_context_holds,
    names_are_free,
)
