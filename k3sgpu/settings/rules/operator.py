"""Rules of the section `gpuOperator`: its Helm values, its chart, and the workloads that need it."""

from collections.abc import Iterator, Mapping
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
    ("mig", "strategy"): "remove it and write migStrategy in the profiles, where it can differ by pool",
    ("operator", "cleanupCRD"): "remove it and write gpuOperator.removeCrds: true",
    ("operator", "upgradeCRD"): "remove it: every upgrade runs the hook that updates the CRDs",
    (
        "migManager",
        "enabled",
    ): "remove it: the MIG manager would undo the partitions created on the host",
    ("migManager", "config"): "remove it: partition the cards on the hosts, and write gpu.mig in their pools",
}
"""By path: the values that the program sets itself, and what to write instead."""


def values_do_not_override_program(draft: Draft) -> Iterator[Problem]:
    """Refuse Helm values that the program sets itself."""
    for path, remedy in OWNED.items():
        if _has(draft.settings.gpu_operator.values, path):
            yield Problem(
                dotted(("gpuOperator", "values", *path)),
                "a value that the program sets itself",
                "values that the program does not set",
                remedy,
            )


def _has(values: Any, path: tuple[str, ...]) -> bool:
    if not path:
        return True
    return isinstance(values, Mapping) and path[0] in values and _has(values[path[0]], path[1:])


def values_are_known(draft: Draft) -> Iterator[Problem]:
    """Refuse keys that the chart does not know: Helm silently ignores them.

    Only a warning for releases other than the one that the table was read from.
    """
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


def value_sections_are_mappings(draft: Draft) -> Iterator[Problem]:
    """Refuse sections of the wrong type: the program merges its own values into them."""
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
            "a list of variables, each with name and value",
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


def containerd_template_is_not_overwritten(draft: Draft) -> Iterator[Problem]:
    """Refuse CONTAINERD_CONFIG=….tmpl of old guides: the toolkit overwrites k3s's template.

    Source: github.com/NVIDIA/gpu-operator/issues/992.
    """
    for index, variable in enumerate(_variables(draft)):
        if variable.get("name") != "CONTAINERD_CONFIG":
            continue
        if str(variable.get("value")).endswith(".tmpl"):
            yield Problem(
                f"{VALUES}.toolkit.env[{index}]",
                f"CONTAINERD_CONFIG={variable.get('value')}",
                "no template of k3s: the toolkit overwrites it, and k3s then starts without a network",
                "remove this variable: k3s finds the NVIDIA runtime by itself",
            )


def containerd_socket_is_not_set(draft: Draft) -> Iterator[Problem]:
    """Refuse CONTAINERD_SOCKET: the program sets it, and which of two wins depends on their order."""
    for index, variable in enumerate(_variables(draft)):
        if variable.get("name") == "CONTAINERD_SOCKET":
            yield Problem(
                f"{VALUES}.toolkit.env[{index}]",
                "CONTAINERD_SOCKET",
                "variables that the program does not set",
                "remove this variable: the program sets it to k3s's socket",
            )


def _variables(draft: Draft) -> list[Mapping[str, Any]]:
    toolkit = draft.settings.gpu_operator.values.get("toolkit")
    variables = toolkit.get("env") if isinstance(toolkit, dict) else None
    entries = variables if isinstance(variables, list) else []
    return [entry if isinstance(entry, dict) else {} for entry in entries]


def repository_only_with_chart_name(draft: Draft) -> Iterator[Problem]:
    """Refuse a repository beside a chart that is a folder or an oci:// reference."""
    operator = draft.settings.gpu_operator
    if operator.repository and ("/" in operator.chart or operator.chart.startswith(".")):
        yield Problem(
            "gpuOperator.repository",
            f"a repository, and the chart {operator.chart}",
            "a repository only with the name of a chart: a folder or oci://… names its place itself",
            "remove repository, or write chart: gpu-operator",
        )


def workloads_need_operator(draft: Draft) -> Iterator[Problem]:
    """Refuse workloads without the operator: no node would offer a GPU."""
    if not draft.settings.gpu_operator.enabled and draft.settings.workloads:
        yield Problem(
            "gpuOperator.enabled",
            f"false, and workloads: {', '.join(sorted(draft.settings.workloads))}",
            "the operator, or no workloads: without it no node offers a GPU",
            "write enabled: true, or remove the workloads",
        )
