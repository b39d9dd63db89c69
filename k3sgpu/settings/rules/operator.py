"""Rules of the section `gpuOperator`: its Helm values, its chart, and the workloads that need it."""

from collections.abc import Iterator, Mapping
from typing import Any

from k3sgpu.operator_releases import major_release
from k3sgpu.problem import Problem
from k3sgpu.settings.model_paths import dotted
from k3sgpu.settings.pydantic_errors import nearest, show
from k3sgpu.settings.rules.chart_keys import KEYS, REMOVED, SUPPORTED, known_keys
from k3sgpu.settings.rules.chart_types import wrong_types
from k3sgpu.settings.rules.draft import Draft
from k3sgpu.wellknown import RUNTIME_CLASS

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

FIXED: dict[tuple[str, ...], tuple[object, str]] = {
    ("devicePlugin", "enabled"): (True, "the device plugin offers the slices"),
    ("gfd", "enabled"): (True, "feature discovery sets the labels that the readiness gate compares"),
    ("nfd", "enabled"): (True, "the operator finds cards by the labels of node feature discovery"),
    ("node-feature-discovery", "master", "enable"): (True, "it writes the labels that the operator needs"),
    ("node-feature-discovery", "worker", "enable"): (True, "it finds the cards of a node"),
    ("clusterPolicy", "deployCR"): (True, "the program writes the sharing into the ClusterPolicy"),
    ("gpuCluster", "deployCR"): (False, "its nodes offer devices by DRA, and no slices"),
    ("sandboxWorkloads", "enabled"): (False, "nodes for virtual machines offer no slices to pods"),
    ("cdi", "nriPluginEnabled"): (
        False,
        f"it removes the RuntimeClass {RUNTIME_CLASS}, which pods with slices name",
    ),
    ("operator", "runtimeClass"): (RUNTIME_CLASS, "k3s has no other runtime for cards"),
    ("operator", "defaultRuntime"): ("containerd", "k3s runs containers by its own containerd"),
    ("platform", "openshift"): (False, "k3s is no OpenShift"),
    ("toolkit", "installDir"): ("/usr/local/nvidia", "k3s looks for the toolkit there and nowhere else"),
}
"""By path: the only value that works with this program, and the reason.

Sources: isStateEnabled and getWorkloadConfig (controllers/state_manager.go) in github.com/NVIDIA/gpu-operator
v26.7.0, and pkg/agent/containerd/runtimes.go in github.com/k3s-io/k3s.
"""
WRITTEN_FILES = ("CONTAINERD_CONFIG", "RUNTIME_CONFIG", "RUNTIME_DROP_IN_CONFIG")
"""Variables of the toolkit that name a file which it writes."""
_SOCKET = "remove this variable: the program sets it to k3s's socket"
_STRATEGY = "remove this variable, and write migStrategy in the profiles: it would override all of them"
OWNED_VARIABLES: Mapping[str, Mapping[str, str]] = {
    "toolkit": dict.fromkeys(("CONTAINERD_SOCKET", "RUNTIME_SOCKET"), _SOCKET),
    "gfd": {"MIG_STRATEGY": _STRATEGY},
    "devicePlugin": {
        "MIG_STRATEGY": _STRATEGY,
        "CONFIG_FILE": "remove this variable, and write sharing.profiles: the operator sets it to their file",
    },
}
"""By section: variables that the program sets, or that override what it sets.

A variable has precedence over the plugin's file: README of github.com/NVIDIA/k8s-device-plugin.
"""
OTHER_NFD = ("nfd", "node-feature-discovery")
"""The sections about node feature discovery: an existing cluster may have its own."""


def values_do_not_override_program(draft: Draft) -> Iterator[Problem]:
    """Refuse Helm values that the program sets itself. It sets none of an adopted operator's."""
    operator = draft.settings.gpu_operator
    for path, remedy in OWNED.items():
        if operator.adopted and path != ("devicePlugin", "config"):
            continue
        if _has(operator.values, path):
            yield Problem(
                dotted(("gpuOperator", "values", *path)),
                "a value that the program sets itself",
                "values that the program does not set",
                remedy,
            )


def values_keep_what_sharing_needs(draft: Draft) -> Iterator[Problem]:
    """Refuse Helm values that switch off or replace a part without which no node offers a slice."""
    values, existing = draft.settings.gpu_operator.values, draft.settings.kubeconfig
    for path, (wanted, reason) in FIXED.items():
        found = _at(values, path)
        right_type = type(found) is type(wanted)  # values_have_types is about any other type
        if found == wanted or not right_type or (existing and path[0] in OTHER_NFD):
            continue
        yield Problem(
            dotted(("gpuOperator", "values", *path)),
            show(found),
            f"{show(wanted).partition(' ')[0]}: {reason}",
            f"remove {path[-1]}; to install no operator: gpuOperator: {{enabled: false}}",
        )


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values


def _has(values: Any, path: tuple[str, ...]) -> bool:
    if not path:
        return True
    return isinstance(values, Mapping) and path[0] in values and _has(values[path[0]], path[1:])


def values_are_known(draft: Draft) -> Iterator[Problem]:
    """Refuse keys that the chart does not know: Helm silently ignores them.

    Only a warning for releases other than those that the table was read from, and for values that were found.
    """
    operator = draft.settings.gpu_operator
    release = major_release(operator.version) or SUPPORTED[-1]
    for path, known in _unknown(operator.values, known_keys(release)):
        like = nearest(path[-1], known)
        removed = [gone[path] for since, gone in REMOVED.items() if since <= release and path in gone]
        yield Problem(
            dotted(("gpuOperator", "values", *path)),
            f"the key {path[-1]}, which the chart does not know"
            + (f" in {operator.version}" if removed else ""),
            f"one of {', '.join(sorted(known))}",
            *removed or [f"write {like} instead of {path[-1]}" if like else f"remove {path[-1]}"],
            severity="error" if release in SUPPORTED and not operator.adopted else "warning",
        )


def values_have_types(draft: Draft) -> Iterator[Problem]:
    """Refuse values of a type other than the chart's: the cluster refuses or misreads them at the install.

    The program merges its own values into the sections.
    """
    for section, value in draft.settings.gpu_operator.values.items():
        if KEYS.get(section) is None:
            continue
        if not isinstance(value, Mapping):
            yield Problem(
                dotted(("gpuOperator", "values", section)),
                show(value),
                "a mapping, as in the chart's values.yaml",
                f"write {section}: {{…}}, or remove it",
            )
            continue
        for wrong in wrong_types(value, (section,)):
            yield Problem(
                dotted(("gpuOperator", "values", *wrong.path)),
                show(wrong.value),
                wrong.expected,
                wrong.remedy,
            )


def _unknown(
    values: Mapping[str, Any], keys: Mapping[str, frozenset[str] | None]
) -> Iterator[tuple[tuple[str, ...], frozenset[str]]]:
    for section, value in values.items():
        if section not in keys:
            yield (section,), frozenset(keys)
            continue
        known = keys[section]
        if known is not None and isinstance(value, Mapping):
            yield from (((section, key), known) for key in value if key not in known)


def containerd_template_is_not_overwritten(draft: Draft) -> Iterator[Problem]:
    """Refuse CONTAINERD_CONFIG=….tmpl of old guides: the toolkit overwrites k3s's template.

    RUNTIME_CONFIG and RUNTIME_DROP_IN_CONFIG name a file that the toolkit writes as well. Sources:
    github.com/NVIDIA/gpu-operator/issues/992, and getRuntimeConfigFiles in controllers/object_controls.go.
    """
    for index, variable in enumerate(_variables(draft, "toolkit")):
        name, value = variable.get("name"), str(variable.get("value"))
        if name in WRITTEN_FILES and value.endswith(".tmpl"):
            yield Problem(
                f"{VALUES}.toolkit.env[{index}]",
                f"{name}={value}",
                "no template of k3s: the toolkit overwrites it, and k3s then starts without a network",
                "remove this variable: k3s finds the NVIDIA runtime by itself",
                severity="warning" if draft.settings.gpu_operator.adopted else "error",
            )


def variables_do_not_override_program(draft: Draft) -> Iterator[Problem]:
    """Refuse variables that the program sets: which of two wins depends on their order."""
    adopted = draft.settings.gpu_operator.adopted
    for section, owned in OWNED_VARIABLES.items():
        if adopted and section == "toolkit":  # the program sets none of an adopted operator's
            continue
        for index, variable in enumerate(_variables(draft, section)):
            name = variable.get("name")
            if isinstance(name, str) and name in owned:
                yield Problem(
                    f"{VALUES}.{section}.env[{index}]",
                    name,
                    "variables that the program does not set",
                    owned[name],
                )


def _variables(draft: Draft, section: str) -> list[Mapping[str, Any]]:
    values = draft.settings.gpu_operator.values.get(section)
    variables = values.get("env") if isinstance(values, dict) else None
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
