"""Rules of gpuOperator: what its free values may say, and that what needs it has it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from k3sgpu.problem import Problem
from k3sgpu.settings.model_paths import dotted
from k3sgpu.settings.pydantic_errors import nearest, show
from k3sgpu.settings.rules.chart_keys import KEYS, KNOWN_FOR
from k3sgpu.settings.rules.draft import Draft

VALUES = "gpuOperator.values"
OWNED = {
    ("devicePlugin", "config"): "remove it and write sharing.profiles",
    ("driver", "enabled"): "remove it and write gpuOperator.driver: host or operator",
    ("toolkit", "enabled"): "remove it and write gpuOperator.toolkit: host or operator",
    ("mig", "strategy"): "remove it and write migStrategy in the profiles: there it differs by pool",
    ("operator", "cleanupCRD"): "remove it and write gpuOperator.removeCrds: true",
    ("operator", "upgradeCRD"): "remove it: the hook that refreshes the CRDs is part of every upgrade",
    ("migManager", "enabled"): "remove it: the MIG manager undoes MIG that an administrator set on the host",
    ("migManager", "config"): "remove it: cut the cards on the hosts, and write gpu.mig in their pools",
}
"""What the program decides, and where it is said instead."""


def values_are_not_ours(draft: Draft) -> Iterator[Problem]:
    """Helm values may not set what the program sets."""
    for path, remedy in OWNED.items():
        if _has(draft.settings.gpu_operator.values, path):
            yield Problem(
                dotted(("gpuOperator", "values", *path)),
                "a value of a field the program sets itself",
                "values the program does not set",
                remedy,
            )


def _has(values: Any, path: tuple[str, ...]) -> bool:
    if not path:
        return True
    return isinstance(values, Mapping) and path[0] in values and _has(values[path[0]], path[1:])


def values_are_known(draft: Draft) -> Iterator[Problem]:
    """A mistyped key changes nothing and nobody says so. Of other releases than the known it is a guess."""
    operator = draft.settings.gpu_operator
    severity = "error" if operator.version.startswith(KNOWN_FOR) else "warning"
    for path, known in _unknown(operator.values):
        like = nearest(path[-1], known)
        yield Problem(
            dotted(("gpuOperator", "values", *path)),
            f"the key {path[-1]}, which the chart does not know",
            f"one of {', '.join(sorted(known))}",
            f"write {like} instead of {path[-1]}" if like else f"remove {path[-1]}",
            severity,
        )


def sections_are_mappings(draft: Draft) -> Iterator[Problem]:
    """What the program decides is laid over the sections, key by key."""
    for section, value in draft.settings.gpu_operator.values.items():
        if KEYS.get(section) is not None and not isinstance(value, Mapping):
            yield Problem(
                dotted(("gpuOperator", "values", section)),
                show(value),
                "a mapping, as in the chart's values.yaml",
                f"write {section}: {{…}}, or remove it",
            )
    toolkit = draft.settings.gpu_operator.values.get("toolkit")
    if isinstance(toolkit, Mapping) and not isinstance(toolkit.get("env", []), list):
        yield Problem(
            f"{VALUES}.toolkit.env",
            show(toolkit["env"]),
            "a list of names and values",
            "write env: [{name: …, value: …}]",
        )


def _unknown(values: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], frozenset[str]]]:
    for section, value in values.items():
        if section not in KEYS:
            yield (section,), frozenset(KEYS)
            continue
        known = KEYS[section]
        if known is not None and isinstance(value, Mapping):
            yield from (((section, key), known) for key in value if key not in known)


def k3s_keeps_its_template(draft: Draft) -> Iterator[Problem]:
    """CONTAINERD_CONFIG as in old guides: NVIDIA's toolkit overwrites k3s's template (gpu-operator #992)."""
    for index, variable in enumerate(_variables(draft)):
        if variable.get("name") != "CONTAINERD_CONFIG":
            continue
        if str(variable.get("value")).endswith(".tmpl"):
            yield Problem(
                f"{VALUES}.toolkit.env[{index}]",
                f"CONTAINERD_CONFIG={variable.get('value')}",
                "no template of k3s: the toolkit overwrites it, and k3s then starts without its network",
                "remove this variable: k3s finds the NVIDIA runtime by itself",
            )


def socket_is_k3s_own(draft: Draft) -> Iterator[Problem]:
    """The program says where k3s's containerd listens; a second one would win or lose by its place."""
    for index, variable in enumerate(_variables(draft)):
        if variable.get("name") == "CONTAINERD_SOCKET":
            yield Problem(
                f"{VALUES}.toolkit.env[{index}]",
                "CONTAINERD_SOCKET",
                "variables the program does not set",
                "remove this variable: the program writes k3s's socket",
            )


def _variables(draft: Draft) -> list[Mapping[str, Any]]:
    toolkit = draft.settings.gpu_operator.values.get("toolkit")
    variables = toolkit.get("env") if isinstance(toolkit, dict) else None
    given = variables if isinstance(variables, list) else []
    return [variable if isinstance(variable, dict) else {} for variable in given]


def repository_of_a_name(draft: Draft) -> Iterator[Problem]:
    """A folder and an oci:// reference say where they are."""
    operator = draft.settings.gpu_operator
    if operator.repository and ("/" in operator.chart or operator.chart.startswith(".")):
        yield Problem(
            "gpuOperator.repository",
            f"a repository, and the chart {operator.chart}",
            "a repository for a chart's bare name alone: this one says itself where it is",
            "remove repository, or write chart: gpu-operator",
        )


def workloads_have_an_operator(draft: Draft) -> Iterator[Problem]:
    """Without it no node offers a GPU."""
    if not draft.settings.gpu_operator.enabled and draft.settings.workloads:
        yield Problem(
            "gpuOperator.enabled",
            f"false, and workloads: {', '.join(sorted(draft.settings.workloads))}",
            "the operator, or no workloads: without it no node offers a GPU to them",
            "write enabled: true, or remove the workloads",
        )


OPERATOR_RULES: tuple[Callable[[Draft], Iterator[Problem]], ...] = (
    values_are_not_ours,
    values_are_known,
    sections_are_mappings,
    k3s_keeps_its_template,
    socket_is_k3s_own,
    repository_of_a_name,
    workloads_have_an_operator,
)
