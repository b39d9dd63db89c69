"""Which taints the GPU Operator's own pods tolerate, by its chart's values.

A list in the values replaces the chart's. Sources: values.yaml of deployments/gpu-operator in
github.com/NVIDIA/gpu-operator v26.7.0 and of its chart node-feature-discovery 0.19.0;
applyCommonDaemonsetConfig in controllers/object_controls.go.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from k3sgpu.settings.models.resolved import Settings
from k3sgpu.settings.models.taints import Taint, untolerated
from k3sgpu.settings.models.workloads import Toleration
from k3sgpu.wellknown import GPU_RESOURCE

NFD = "node-feature-discovery"
_CONTROL_PLANE = {
    "key": "node-role.kubernetes.io/control-plane",
    "operator": "Equal",
    "value": "",
    "effect": "NoSchedule",
}
_GPU = {"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}
CHART_TOLERATIONS: dict[tuple[str, ...], list[dict[str, str]]] = {
    ("daemonsets",): [_GPU],
    (NFD, "worker"): [_CONTROL_PLANE, _GPU],
    ("operator",): [_CONTROL_PLANE],
    (NFD, "master"): [_CONTROL_PLANE],
    (NFD, "gc"): [],
}
"""By section of the values: the chart's own tolerations."""
ON_GPU_NODES = (("daemonsets",), (NFD, "worker"))
"""Sections of pods that run on every GPU node."""
ON_ANY_NODE = {
    ("operator",): "the operator",
    (NFD, "master"): "node feature discovery's master",
    (NFD, "gc"): "node feature discovery's garbage collector",
}
"""Sections of pods that need one node of the cluster, whichever it is."""


def tolerations_of(values: Mapping[str, Any], section: tuple[str, ...]) -> list[dict[str, Any]]:
    """The tolerations of a section's pods, as they stand in the values, or else the chart's."""
    here: Any = values
    for key in (*section, "tolerations"):
        here = here.get(key) if isinstance(here, Mapping) else None
    own = [dict(one) for one in here if isinstance(one, Mapping)] if isinstance(here, list) else None
    if own is None or (section == ("daemonsets",) and not own):  # the operator ignores an empty list
        return [dict(one) for one in CHART_TOLERATIONS[section]]
    return own


def missing(tolerations: list[dict[str, Any]], taints: tuple[str, ...]) -> list[Taint]:
    """Those of a node's taints that keep pods with these tolerations away."""
    return untolerated([Taint.parse(taint) for taint in taints], [_parse(one) for one in tolerations])


def toleration_of(taint: Taint) -> dict[str, str]:
    """The toleration of one taint."""
    return {"key": taint.key, "operator": "Equal", "value": taint.value, "effect": taint.effect}


def with_tolerations(
    values: dict[str, Any], section: tuple[str, ...], own: list[dict[str, Any]], taints: Iterable[Taint]
) -> dict[str, Any]:
    """Adds a section's own tolerations and those of the taints to `values`, and returns them.

    The list is whole, because a list in the values replaces the chart's.
    """
    here = values
    for key in section:
        here = here.setdefault(key, {})
    here["tolerations"] = [*own, *map(toleration_of, taints)]
    return values


def tolerations_for_gpu_pools(settings: Settings) -> dict[str, Any]:
    """Chart values with which the pods of GPU nodes tolerate the taints of the GPU pools.

    Empty without such taints.
    """
    nodes = [node for node in settings.nodes if node.gpu]
    values: dict[str, Any] = {}
    for section in ON_GPU_NODES:
        own = tolerations_of(settings.gpu_operator.values, section)
        taints = sorted({taint for node in nodes for taint in missing(own, node.taints)})
        if taints:
            with_tolerations(values, section, own, taints)
    return values


def _parse(toleration: Mapping[str, Any]) -> Toleration:
    """A toleration as Kubernetes reads it; nothing is checked."""
    return Toleration.model_construct(
        key=toleration.get("key") or "",
        operator=toleration.get("operator") or "Equal",
        value=toleration.get("value") or "",
        effect=toleration.get("effect") or None,
    )
