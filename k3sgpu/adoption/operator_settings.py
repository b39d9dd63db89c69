"""The sections of a stack file that describe an operator as it is, and what they cannot express."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from k3sgpu.adoption.cluster_objects import ClusterObjects, config_of
from k3sgpu.adoption.gpu_nodes import GpuNode, gpu_nodes
from k3sgpu.adoption.helm_releases import HelmRelease
from k3sgpu.adoption.sharing_profiles import FoundProfile, NotExpressible, found_profile
from k3sgpu.foreign_text import escape
from k3sgpu.operator_releases import MAJOR_RELEASES, major_release
from k3sgpu.problem import Problem
from k3sgpu.settings import NO_SHARING
from k3sgpu.wellknown import CLUSTER_POLICY, CONFIG_LABEL, OPERATOR_NAMESPACE

DEPLOYED = "deployed"
_CONFIG = ("devicePlugin", "config")
_BY_HAND = "kubectl"
"""The beginning of the field managers of kubectl."""


@dataclass(frozen=True)
class OperatorSettings:
    """What the stack file says about the operator, its sharing and the nodes with cards."""

    sections: Mapping[str, Any] = field(default_factory=dict)
    """`gpuOperator` and `sharing`; empty where the cluster has no operator."""
    nodes: tuple[GpuNode, ...] = ()
    profiles: Mapping[str, str] = field(default_factory=dict)
    """By node with cards: its profile."""
    problems: tuple[Problem, ...] = ()


def operator_settings(objects: ClusterObjects, chart: str | None = None) -> OperatorSettings:
    """Returns the sections for the operator that is in the cluster.

    `chart` is where its chart is to be had, if not in NVIDIA's repository: no cluster says that.
    """
    problems = list(_operator_problems(objects))
    if not objects.releases or not objects.policies:
        return OperatorSettings(problems=tuple(problems))
    release, policy = objects.releases[0], objects.policies[0]
    problems += _release_problems(release)
    if controller := objects.controllers.get(release.name):
        problems.append(_controlled(release, controller))
    problems += _changes_by_hand(release, policy)
    nodes, node_problems = gpu_nodes(objects.nodes)
    problems += node_problems
    sharing, profiles, sharing_problems = _sharing(objects, nodes)
    sections: dict[str, Any] = {"gpuOperator": _operator(release, chart)}
    if sharing:
        sections["sharing"] = sharing
    return OperatorSettings(sections, tuple(nodes), profiles, (*problems, *sharing_problems))


def _operator(release: HelmRelease, chart: str | None) -> dict[str, Any]:
    """The section gpuOperator."""

    def source(section: str) -> str:
        values = release.values.get(section)
        return "host" if isinstance(values, Mapping) and values.get("enabled") is False else "operator"

    section: dict[str, Any] = {
        "release": release.name,
        "adopted": True,
        "version": release.version,
        "driver": source("driver"),
        "toolkit": source("toolkit"),
    }
    if chart:
        section["chart"] = chart
    if release.values:
        section["values"] = dict(release.values)
    return section


def _operator_problems(objects: ClusterObjects) -> Iterator[Problem]:
    """What the operator consists of, if it is not one release with one ClusterPolicy."""
    releases, names = objects.releases, [item["metadata"]["name"] for item in objects.policies]
    if len(releases) > 1:
        yield Problem(
            "gpuOperator.release",
            "several releases of the operator: " + ", ".join(f"{r.namespace}/{r.name}" for r in releases),
            "one: a cluster has room for one operator",
            "remove the others: helm --namespace NAMESPACE uninstall NAME",
        )
    if names and not releases:
        yield Problem(
            "gpuOperator.release",
            f"the ClusterPolicy {escape(', '.join(names))}, and no Helm release of the chart gpu-operator",
            "an operator that Helm has installed, with its records in Secrets",
            "one from manifests cannot be taken over: remove it (kubectl delete -f …), and let the program\n"
            "install one; pods with cards start again",
        )
    if releases and not names:
        yield Problem(
            "gpuOperator.release",
            f"the release {releases[0].name} without a ClusterPolicy",
            f"the ClusterPolicy {CLUSTER_POLICY} of its chart",
            f"helm --namespace {releases[0].namespace} uninstall {releases[0].name}, and let the program\n"
            "install the operator",
        )
    if names and names != [CLUSTER_POLICY]:
        yield Problem(
            "gpuOperator",
            f"the ClusterPolicies {escape(', '.join(names))}",
            f"one, of the name {CLUSTER_POLICY}: the operator obeys one of them only",
            "remove the others: kubectl delete clusterpolicy NAME",
        )


def _release_problems(release: HelmRelease) -> Iterator[Problem]:
    where = f"helm --namespace {release.namespace}"
    if release.namespace != OPERATOR_NAMESPACE:
        yield Problem(
            "gpuOperator.release",
            f"{release.name} in the namespace {release.namespace}",
            f"the namespace {OPERATOR_NAMESPACE}, where the program has the operator",
            f"{where} uninstall {release.name}, and let the program install the operator;\n"
            "pods with cards start again",
        )
    if release.status != DEPLOYED:
        yield Problem(
            "gpuOperator.release",
            f"{release.name}, whose last operation is {escape(release.status, 40)}",
            f"a release that is {DEPLOYED}",
            f"{where} history {release.name}, then\n{where} rollback {release.name}, and adopt again",
        )
    if major_release(release.version) not in MAJOR_RELEASES:
        yield Problem(
            "gpuOperator.version",
            escape(release.version, 60),
            f"a release from {_text(MAJOR_RELEASES[0])} to {_text(MAJOR_RELEASES[-1])}",
            "see whether fit and the first preview say what you expect",
            severity="warning",
        )


def _controlled(release: HelmRelease, controller: str) -> Problem:
    kind, _, name = controller.partition(" ")
    namespace, _, name = name.partition("/")
    leave = (
        f"kubectl --namespace {namespace} annotate helmchart {name} helmcharts.helm.cattle.io/unmanaged=true"
        if kind == "HelmChart"
        else f"flux suspend helmrelease --namespace {namespace} {name}"
    )
    return Problem(
        "gpuOperator.release",
        f"{release.name}, which is made by {escape(controller, 200)}",
        "a release that nobody else changes",
        f"let it go, and adopt again: {leave}",
    )


def _text(release: tuple[int, int]) -> str:
    return f"v{release[0]}.{release[1]}"


def _changes_by_hand(release: HelmRelease, policy: Mapping[str, Any]) -> Iterator[Problem]:
    """Fields of the ClusterPolicy that somebody changed after the install, except the sharing's."""
    changed = {*_owned_by_hand(policy), *_differing(_rendered(release), policy.get("spec") or {})}
    paths = sorted({".".join(path) for path in changed if path[:2] != _CONFIG})
    if paths:
        yield Problem(
            "gpuOperator.values",
            "fields of the ClusterPolicy that were changed by hand: " + escape(", ".join(paths)),
            f"what the values of the release {release.name} say; only devicePlugin.config may be patched",
            "put them into the release, and adopt again:\n"
            f"helm --namespace {release.namespace} upgrade {release.name} gpu-operator --repo "
            "https://helm.ngc.nvidia.com/nvidia\\\n"
            f"  --version {release.version} --reuse-values --set …",
        )


def _owned_by_hand(policy: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The fields of the spec that kubectl has set (metadata.managedFields)."""
    for entry in policy["metadata"].get("managedFields") or ():
        if str(entry.get("manager", "")).startswith(_BY_HAND):
            yield from _leaves((entry.get("fieldsV1") or {}).get("f:spec") or {})


def _leaves(fields: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    inside = {key: value for key, value in fields.items() if key.startswith("f:")}
    if not inside and path:
        yield path
    for key, value in inside.items():
        yield from _leaves(value, (*path, key.removeprefix("f:")))


def _rendered(release: HelmRelease) -> Mapping[str, Any]:
    """The spec of the ClusterPolicy that Helm has applied; empty where its record cannot be read."""
    try:
        documents = list(yaml.safe_load_all(release.manifest))
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    policies = [one for one in documents if isinstance(one, Mapping) and one.get("kind") == "ClusterPolicy"]
    spec = policies[0].get("spec") if policies else None
    return spec if isinstance(spec, Mapping) else {}


def _differing(
    wanted: Mapping[str, Any], found: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """The fields that `found` has with another value. What it lacks, the API server may have dropped."""
    for key, value in wanted.items():
        here = found.get(key)
        if isinstance(value, Mapping) and isinstance(here, Mapping):
            yield from _differing(value, here, (*path, str(key)))
        elif here is not None and value is not None and here != value:
            yield (*path, str(key))


def _sharing(
    objects: ClusterObjects, nodes: Sequence[GpuNode]
) -> tuple[dict[str, Any], dict[str, str], list[Problem]]:
    """The section sharing, the profile of each node with cards, and problems."""
    config = config_of(objects.policies[0])
    name, default = config.get("name") or "", config.get("default") or ""
    if not name:
        return {}, {node.name: NO_SHARING for node in nodes}, [_not_configured(nodes)]
    if objects.config_map is None:
        return {}, {}, [_missing_config_map(name)]
    used = {default: "sharing.default"} if default else {}
    used |= {node.key: f"label {CONFIG_LABEL} of {node.name}" for node in nodes if node.key}
    profiles, problems = _profiles(objects.config_map, name, used)
    if objects.config_map.get("immutable"):
        problems.append(_immutable(name))
    names = {key: one.name for key, one in profiles.items()}
    adopted: dict[str, Any] = {"configMap": name, "default": default}
    if keys := {one.generated: one.key for one in profiles.values() if one.generated != one.key}:
        adopted["keys"] = keys
    section = {
        "default": names.get(default, NO_SHARING),
        "profiles": {one.name: dict(one.section) for one in profiles.values() if one.name != NO_SHARING},
        "adopted": adopted,
    }
    of_nodes = {node.name: names.get(node.key or default, NO_SHARING) for node in nodes}
    return section, of_nodes, problems


def _profiles(
    config_map: Mapping[str, Any], name: str, used: Mapping[str, str]
) -> tuple[dict[str, FoundProfile], list[Problem]]:
    """By key: the configurations as profiles, and those that are used and cannot be one."""
    data = config_map.get("data") or {}
    profiles: dict[str, FoundProfile] = {}
    problems: list[Problem] = []
    for key, text in sorted(data.items()):
        try:
            profiles[key] = found_profile(key, text)
        except NotExpressible as reason:
            problems.append(_not_expressible(name, key, str(reason), used.get(key)))
    for key, place in used.items():
        if key not in data:
            problems.append(
                Problem(
                    f"ConfigMap {name}",
                    f"no key {escape(key, 80)}, which is used: {place}",
                    f"one of its keys: {escape(', '.join(sorted(data)) or 'none')}",
                    "correct the name, or add the key; until then the device plugin does not start",
                )
            )
    return profiles, problems


def _not_expressible(name: str, key: str, reason: str, used: str | None) -> Problem:
    return Problem(
        f"ConfigMap {name}",
        f"the key {escape(key, 80)}: {reason}",
        "what a profile can say: migStrategy, and slices by timeSlicing or mps",
        f"change it, because it is used: {used}"
        if used
        else "nothing: it is not used, and the first up removes it",
        severity="error" if used else "warning",
    )


def _missing_config_map(name: str) -> Problem:
    return Problem(
        f"ConfigMap {OPERATOR_NAMESPACE}/{escape(name, 80)}",
        "no such ConfigMap, although the ClusterPolicy names it",
        "the ConfigMap with the device plugin's configurations",
        "create it, or take the name out of the ClusterPolicy (spec.devicePlugin.config)",
    )


def _immutable(name: str) -> Problem:
    return Problem(
        f"ConfigMap {name}",
        "immutable: true",
        "a ConfigMap whose keys can change",
        "create it again without immutable: kubectl replace --force -f FILE",
    )


def _not_configured(nodes: Sequence[GpuNode]) -> Problem:
    return Problem(
        "sharing",
        "no configuration of the device plugin in the ClusterPolicy",
        "one, if nothing is to start again",
        f"nothing; but the first up gives the device plugin one, and its pods on {len(nodes)} nodes start\n"
        "again. Pods with cards go on",
        severity="warning",
    )
