"""The stack file of an existing cluster with the operator that is in it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from k3sgpu import capacity
from k3sgpu import settings as s
from k3sgpu.adoption.cluster_objects import ClusterObjects
from k3sgpu.adoption.existing_pools import existing_pools
from k3sgpu.adoption.operator_settings import operator_settings
from k3sgpu.problem import Problem


@dataclass(frozen=True)
class StackFileDraft:
    """A stack file, and what it cannot express."""

    sections: Mapping[str, Any]
    problems: tuple[Problem, ...]

    @property
    def has_errors(self) -> bool:
        """Whether something of the cluster is not described."""
        return any(problem.severity == "error" for problem in self.problems)


def describe_cluster(
    objects: ClusterObjects, kubeconfig: Mapping[str, str], chart: str | None = None
) -> StackFileDraft:
    """Returns the stack file that describes the cluster as it is.

    `kubeconfig`: that section, with `file` and maybe `context`. `chart`: as in operator_settings.
    """
    found = operator_settings(objects, chart)
    problems = list(found.problems)
    if not found.sections and not problems:
        problems.append(_no_operator())
    elif found.sections and not found.nodes and not problems:
        problems.append(_no_cards())
    known = [node for node in found.nodes if node.name in found.profiles]
    sections = {
        "kubeconfig": dict(kubeconfig),
        "pools": existing_pools(known, found.profiles),
        **found.sections,
    }
    if "gpuOperator" in sections:
        sections["gpuOperator"] = {**sections["gpuOperator"], "protect": True}
    if not problems or all(problem.severity != "error" for problem in problems):
        problems += problems_of(sections, objects)
    return StackFileDraft(sections, tuple(problems))


def problems_of(
    sections: Mapping[str, Any], objects: ClusterObjects, secrets: Collection[str] = ()
) -> Iterator[Problem]:
    """What the program says about the stack file, and nodes that offer something else than it says.

    `secrets`: the names of those that the stack will have.
    """
    try:
        settings = s.parse(sections, secrets)
    except s.SettingsError as error:
        yield from error.problems
        return
    yield from settings.warnings
    nodes = {node["metadata"]["name"]: node for node in objects.nodes}
    for offer in capacity.offers(settings):
        labels = nodes[offer.name]["metadata"]["labels"]
        for label, value in offer.program_labels.items():
            if labels.get(label, value) != value:
                yield Problem(
                    offer.name,
                    f"the label {label}={labels[label]}",
                    f"{value}, which the first up sets: the label is the program's",
                    "select nodes by another label before the first up",
                    severity="warning",
                )
        allocatable = (nodes[offer.name].get("status") or {}).get("allocatable") or {}
        for resource, count in offer.resources.items():
            if str(allocatable.get(resource, "0")) != str(count):
                yield Problem(
                    offer.name,
                    f"{allocatable.get(resource, '0')} {resource}",
                    f"{count}, by the configuration that its device plugin has in the ConfigMap",
                    "start its device plugin again, which has not read the change: delete its pod\n"
                    "nvidia-device-plugin-daemonset-… in the namespace gpu-operator",
                )


def _no_operator() -> Problem:
    return Problem(
        "gpuOperator",
        "no GPU Operator in the cluster",
        "an operator to take over",
        "write the stack file as docs/guides/existing-cluster.md says: the program installs the operator",
    )


def _no_cards() -> Problem:
    return Problem(
        "pools",
        "no node with the label nvidia.com/gpu.present=true",
        "a node with a card that the operator has found",
        "kubectl --namespace gpu-operator get pods   # node feature discovery has to run",
    )
