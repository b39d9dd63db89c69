"""Taints of nodes, and which of them pods tolerate (Kubernetes: component-helpers/scheduling/corev1)."""

from collections.abc import Iterable
from typing import NamedTuple

from k3sgpu.settings.models.workloads import Toleration


class Taint(NamedTuple):
    """A taint of a node."""

    key: str
    value: str
    effect: str

    @classmethod
    def parse(cls, text: str) -> "Taint":
        """A taint from k3s's spelling: key=value:Effect or key:Effect."""
        pair, _, effect = text.rpartition(":")
        key, _, value = pair.partition("=")
        return cls(key, value, effect)

    @property
    def text(self) -> str:
        """The taint as kubectl spells it."""
        return f"{self.key}={self.value}:{self.effect}"


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Whether pods with this toleration may run on a node with this taint. An empty key is any."""
    same_key = toleration.key in ("", taint.key)
    same_value = toleration.operator == "Exists" or toleration.value == taint.value
    same_effect = toleration.effect in (None, taint.effect)
    return same_key and same_value and same_effect


def untolerated(taints: Iterable[Taint], tolerations: Iterable[Toleration]) -> list[Taint]:
    """The taints that keep pods with these tolerations off a node, sorted."""
    known = tuple(tolerations)
    hard = (taint for taint in taints if taint.effect in ("NoSchedule", "NoExecute"))
    return sorted(taint for taint in hard if not any(tolerates(one, taint) for one in known))
