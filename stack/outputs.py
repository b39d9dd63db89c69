"""The stack's outputs beside its kubeconfig."""

from collections.abc import Iterable, Mapping
from typing import Any

import pulumi

from k3sgpu import capacity
from k3sgpu import settings as s
from k3sgpu.wellknown import API_PORT


def outputs(settings: s.Settings, offers: Iterable[capacity.NodeOffer]) -> dict[str, Any]:
    """By name: the endpoint, the nodes with what they offer, versions, and commands that show more."""
    name, operator, created = pulumi.get_stack(), settings.gpu_operator, settings.kubeconfig is None
    file, kubeconfig = f"Pulumi.{name}.yaml", f"pulumi stack output kubeconfig --show-secrets --stack {name}"
    roles = {node.name: {"role": node.role} if node.role else {} for node in settings.nodes}
    return {
        **({"endpoint": f"https://{settings.registration_address}:{API_PORT}"} if created else {}),
        "nodes": {
            offer.name: {
                **roles[offer.name],
                **({"product": offer.product, "cards": offer.cards} if offer.product else {}),
                "profile": offer.profile,
                "promised": offer.resources,
            }
            for offer in offers
        },
        "versions": {
            **({"k3s": settings.k3s.version} if created else {}),
            **({"gpuOperator": operator.version} if operator.enabled else {}),
        },
        "look": {
            "pods": f"(umask 077; {kubeconfig} > kubeconfig); kubectl --kubeconfig kubeconfig get pods -A",
            "slices": f"{kubeconfig} | sh k3sgpu/run.sh doctor cluster --file {file} --kubeconfig -",
            **({"machines": f"sh k3sgpu/run.sh doctor hosts --file {file}"} if created else {}),
            "fit": f"sh k3sgpu/run.sh fit --file {file}",
        },
    }


def export(values: Mapping[str, Any]) -> None:
    """Makes outputs of the stack, by name."""
    for name, value in values.items():
        pulumi.export(name, value)
