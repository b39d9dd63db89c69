"""Which taints the pods of workloads tolerate."""

from collections.abc import Iterable

from k3sgpu import settings as s
from k3sgpu.wellknown import GPU_RESOURCE

GPU_TOLERATION = s.Toleration(key=GPU_RESOURCE, operator="Exists", effect="NoSchedule")
"""All pods of the stack have this toleration, like NVIDIA's own."""


def untolerated(taints: Iterable[s.Taint], tolerations: Iterable[s.Toleration]) -> list[s.Taint]:
    """The taints that keep pods with these tolerations (and `GPU_TOLERATION`) off a node, sorted."""
    return s.untolerated(taints, (GPU_TOLERATION, *tolerations))
