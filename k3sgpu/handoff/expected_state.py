"""The expected state: what the cluster must show once sharing is in place. It holds no secret."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from k3sgpu.handoff.environment import fields
from k3sgpu.timeouts import NODES_THERE_SECONDS
from k3sgpu.wellknown import CONFIG_LABEL, CONFIG_MAP, OPERATOR_NAMESPACE

if TYPE_CHECKING:
    from k3sgpu.capacity import NodeOffer
    from k3sgpu.settings import Settings


def build_expected_state(settings: Settings, offers: Iterable[NodeOffer]) -> dict[str, Any]:
    """What the cluster must show once sharing is in place, from what capacity says the nodes will offer."""
    return {
        "timeoutSeconds": settings.gpu_operator.ready_timeout_seconds,
        "drainTimeoutSeconds": settings.k3s.drain_timeout_seconds,
        "namespace": OPERATOR_NAMESPACE,
        "configMap": CONFIG_MAP,
        "nodes": [
            {"name": offer.name, "resources": dict(offer.resources), "labels": _promised_labels(offer)}
            for offer in offers
            if not offer.maintenance
        ],
    }


def existing_nodes_state(settings: Settings) -> dict[str, Any]:
    """That the Nodes of a cluster which is there already are there, and Ready where anything is expected."""
    return {
        "timeoutSeconds": NODES_THERE_SECONDS,
        "drainTimeoutSeconds": 0,
        "namespace": OPERATOR_NAMESPACE,
        "nodes": [
            {"name": node.name, "resources": {}, "labels": {}, "maintenance": node.maintenance}
            for node in settings.nodes
        ],
    }


def _promised_labels(offer: NodeOffer) -> dict[str, str]:
    chosen = {name: value for name, value in offer.labels.items() if name == CONFIG_LABEL}
    return chosen | offer.discovered_labels


def parse_expected_state(data: object) -> dict[str, Any]:
    """Checks a promise from outside for the fields the rules use. Raises InputError."""
    told = fields(
        data, "the expected state", timeoutSeconds=int, drainTimeoutSeconds=int, namespace=str, nodes=list
    )
    for node in told["nodes"]:
        fields(node, "a node of the expected state", name=str, resources=dict, labels=dict)
    return told
