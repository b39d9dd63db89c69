"""The eviction of one pod."""

from dataclasses import dataclass

import httpx2
from lightkube import AsyncClient
from lightkube.core.exceptions import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import PodEviction

from k3sgpu.cluster.objects import KubernetesObject
from k3sgpu.foreign_text import escape

_BUDGET = "DisruptionBudget"
"""The reason of a refusal's cause, or a part of its text (pkg/registry/core/pod/storage/eviction.go)."""


@dataclass(frozen=True)
class EvictionAnswer:
    """What became of a requested eviction."""

    state: str
    budget: bool = False
    """A PodDisruptionBudget refuses it."""


async def request_eviction(api: AsyncClient, pod: KubernetesObject) -> EvictionAnswer:
    """Requests the pod's eviction, if it is not ending already, and returns what became of it."""
    metadata = pod["metadata"]
    if metadata.get("deletionTimestamp"):
        return EvictionAnswer("is terminating")
    name, namespace = metadata["name"], metadata["namespace"]
    eviction = PodEviction(metadata=ObjectMeta(name=name, namespace=namespace))
    try:
        await api.create(eviction, name=name, namespace=namespace)
    except ApiError as error:
        return EvictionAnswer("is deleted") if error.status.code == 404 else _refusal(error)
    except (httpx2.HTTPError, OSError) as error:  # the next look requests it again
        return EvictionAnswer(f"eviction not requested: {escape(error) or type(error).__name__}")
    return EvictionAnswer("is terminating")


def _refusal(error: ApiError) -> EvictionAnswer:
    """The API server's message, with its causes: which PodDisruptionBudget, and what it needs."""
    details = error.status.details
    causes = (details and details.causes) or []
    texts = [error.status.message or "", *(cause.message for cause in causes if cause.message)]
    budget = any(_BUDGET in (cause.reason or "") for cause in causes) or _BUDGET in texts[0]
    return EvictionAnswer(" ".join(map(escape, texts)), budget=budget)
