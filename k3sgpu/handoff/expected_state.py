"""The expected state: what the nodes must show in the end. It holds no secret.

The program hands it to `doctor cluster` and to `drain`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, NotRequired

from typing_extensions import TypedDict

from k3sgpu.handoff.validation import validate
from k3sgpu.timeouts import EXISTING_NODES_SECONDS
from k3sgpu.wellknown import CONFIG_LABEL, OPERATOR_NAMESPACE

if TYPE_CHECKING:
    from k3sgpu.capacity import NodeOffer
    from k3sgpu.settings import Settings

EXPECTED_STATE_VARIABLE = "K3SGPU_EXPECTED_STATE"
"""The environment variable through which a process receives the expected state as JSON."""
OFFER_SOURCES_VARIABLE = "K3SGPU_OFFER_SOURCES"
"""The environment variable that changes with everything that can change what nodes offer.

A changed text makes Pulumi run the readiness gate and the verification again. Its content is not parsed.
"""


class ExpectedNode(TypedDict):
    """What one node must show."""

    name: str
    resources: dict[str, int]
    """Allocatable, by resource name. Nothing is expected of resources that are not NVIDIA's."""
    labels: dict[str, str]
    maintenance: NotRequired[bool]
    """The node must exist, and may be in any condition."""


class ExpectedState(TypedDict):
    """What the cluster must show, and how long to wait for it."""

    timeoutSeconds: int
    """The deadline of the readiness gate."""
    drainTimeoutSeconds: int
    """The deadline of a drain before the GPU configuration of a node changes."""
    namespace: str
    """Where the GPU Operator runs."""
    nodes: list[ExpectedNode]


def build_expected_state(settings: Settings, offers: Iterable[NodeOffer]) -> ExpectedState:
    """Returns what nodes must show once sharing is configured, from what they will offer."""
    return {
        "timeoutSeconds": settings.gpu_operator.ready_timeout_seconds,
        "drainTimeoutSeconds": settings.k3s.drain_timeout_seconds,
        "namespace": OPERATOR_NAMESPACE,
        "nodes": [
            {"name": offer.name, "resources": dict(offer.resources), "labels": _labels(offer)}
            for offer in offers
            if not offer.maintenance
        ],
    }


def existing_nodes_state(settings: Settings) -> ExpectedState:
    """Returns the state that is expected of an existing cluster: its nodes exist and are Ready.

    A node in maintenance must only exist.
    """
    return {
        "timeoutSeconds": EXISTING_NODES_SECONDS,
        "drainTimeoutSeconds": 0,
        "namespace": OPERATOR_NAMESPACE,
        "nodes": [
            {"name": node.name, "resources": {}, "labels": {}, "maintenance": node.maintenance}
            for node in settings.nodes
        ],
    }


def expected_state_json(expected: ExpectedState) -> str:
    """Returns the value of EXPECTED_STATE_VARIABLE."""
    return json.dumps(expected, sort_keys=True)


def parse_expected_state(data: object) -> ExpectedState:
    """Returns `data` as an expected state. Raises InputError where it has another shape."""
    return validate(ExpectedState, data, "the expected state")


def _labels(offer: NodeOffer) -> dict[str, str]:
    """The labels that choose the configuration, and those that GPU feature discovery sets because of it."""
    chosen = {name: value for name, value in offer.labels.items() if name == CONFIG_LABEL}
    return chosen | offer.discovered_labels
