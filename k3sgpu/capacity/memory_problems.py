"""Problems of memory: pods that may need more on one card than it has."""

from collections.abc import Sequence

from k3sgpu.capacity.memory import MemoryLoad
from k3sgpu.capacity.offers import NodeOffer
from k3sgpu.capacity.wording import device_phrase
from k3sgpu.settings import Problem


def memory_problems(offers: Sequence[NodeOffer], loads: Sequence[MemoryLoad]) -> list[Problem]:
    """A problem for each pod that is too large for a card, and for each card that may be overcommitted."""
    profiles = {offer.name: offer.profile for offer in offers}
    found: list[Problem] = []
    for load in loads:
        profile = profiles[load.nodes[0]]
        found += [_pod_too_large(load, workload, mib, profile) for workload, mib in load.too_large.items()]
        if not load.too_large and not load.fits:
            found.append(_card_overcommitted(load, profile))
    return found


def _pod_too_large(load: MemoryLoad, workload: str, mib: int, profile: str) -> Problem:
    limit, fewer_slices = "it has no more memory", ""
    if load.strategy == "mps":
        replicas = load.memory_mib // load.mib_each
        limit = f"MPS limits each client to its part ({load.memory_mib} MiB / {replicas})"
        fewer_slices = f", or fewer replicas in sharing.profiles.{profile}"
    return Problem(
        where=f"workloads.{workload}.memoryMiB",
        found=f"{mib} MiB {device_phrase(load)}",
        expected=f"at most {load.mib_each}: {limit}",
        remedy=f"write memoryMiB: {load.mib_each}{fewer_slices}, "
        "or select nodes whose cards have more (nodeSelector)",
    )


def _card_overcommitted(load: MemoryLoad, profile: str) -> Problem:
    names = sorted(load.meeting)
    pods = " and ".join(f"{load.meeting[name]} of {name}" for name in names)
    equal_part = load.memory_mib // sum(load.meeting.values())
    return Problem(
        where=f"workloads.{names[0]}.memoryMiB" if len(names) == 1 else "workloads",
        found=f"up to {load.most_mib} MiB {device_phrase(load)}, where {pods} may meet",
        expected=f"at most {load.memory_mib}, which is all it has: slices share memory without a limit,\n"
        "and a pod that finds none left fails",
        remedy=f"write memoryMiB: {equal_part} or less, fewer replicas in sharing.profiles.{profile}, "
        "or keep pods apart (nodeSelector)",
    )
