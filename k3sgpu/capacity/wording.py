"""Phrases that problems and pictures share."""

from k3sgpu.capacity.memory import MemoryLoad
from k3sgpu.problem import numeric_order


def count_noun(number: int, noun: str) -> str:
    """1 pod, 2 pods."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def pending_phrase(min_pending: int, max_pending: int, pods: int) -> str:
    """1 of 4 pods stays Pending."""
    if min_pending == max_pending:
        bounds = f"{min_pending}"
    else:
        bounds = f"{min_pending} to {max_pending}" if min_pending else f"up to {max_pending}"
    return f"{bounds} of {count_noun(pods, 'pod')} {'stays' if max_pending == 1 else 'stay'} Pending"


def any_of(nodes: tuple[str, ...], article: str = "any one of") -> str:
    """gpu-1; any one of gpu-1 to gpu-9 (9 alike)."""
    if len(nodes) == 1:
        return nodes[0]
    return (
        f"{article} {min(nodes, key=numeric_order)} to {max(nodes, key=numeric_order)} ({len(nodes)} alike)"
    )


def device_phrase(load: MemoryLoad) -> str:
    """On one card of gpu-1."""
    device = "partition" if "/mig-" in load.resource else "card"
    return f"on one {device} of {any_of(load.nodes, 'any of')}"
