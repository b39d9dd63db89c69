"""The rule about MIG partitions: those of the machine's cards, compared with those that are declared."""

from collections import Counter
from collections.abc import Iterator

from k3sgpu.doctor.cards import Card, indices, partitions_mapping
from k3sgpu.doctor.machine import Machine, Plan
from k3sgpu.problem import Problem, Severity


def partitions(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """Every card has the MIG partitions that the stack file declares; a reboot deletes partitions.

    A warning where this stack's k3s runs already: the program frees the cards for the change that the remedy
    asks for, and the readiness gate finds what is missing afterwards.
    """
    if not machine.gpu:
        return
    cards, declared = machine.cards, Counter(machine.gpu.get("mig", {}))
    wrong = [
        card for card in cards.shown if card.partitions != declared or (card.mig_mode and not card.partitions)
    ]
    if not wrong:
        return
    severity: Severity = "warning" if machine.belongs_to(plan) else "error"
    found = ", ".join(f"card {card.index}: {_partitions(card.partitions, card.mig_mode)}" for card in wrong)
    if declared:
        yield machine.problem(
            found,
            f"{_partitions(declared)} on each card, as declared: what the nodes offer is computed from it",
            f'{machine.ssh} "{_create_partitions(wrong, declared)}"   # while nothing uses these cards\n'
            "a reboot deletes partitions: run this at every boot, or use NVIDIA's nvidia-mig-parted",
            severity,
        )
        return
    remedy = f'{machine.ssh} "{_delete_partitions(wrong)}"   # while nothing uses these cards'
    if wrong[0].partitions and all(card.partitions == wrong[0].partitions for card in cards.shown):
        mapping = partitions_mapping(wrong[0].partitions)
        remedy = f"gpu: {{mig: {mapping}}} in {machine.name}'s pool, if that is right\nor {remedy}"
    yield machine.problem(
        found, "whole cards, as declared: what the nodes offer is computed from it", remedy, severity
    )


def _partitions(counts: Counter[str], mig_mode: bool = False) -> str:
    """Partitions for a message: 7 × 1g.10gb."""
    if counts:
        return ", ".join(f"{number} × {profile}" for profile, number in sorted(counts.items()))
    return "MIG mode without partitions" if mig_mode else "no MIG partitions"


def _create_partitions(cards: list[Card], declared: Counter[str]) -> str:
    at, profiles = indices(cards), ",".join(sorted(declared.elements()))
    return (
        f"sudo nvidia-smi -i {at} -mig 1; sudo nvidia-smi mig -i {at} -dci; "
        f"sudo nvidia-smi mig -i {at} -dgi; sudo nvidia-smi mig -i {at} -cgi {profiles} -C"
    )


def _delete_partitions(cards: list[Card]) -> str:
    at = indices(cards)
    return (
        f"sudo nvidia-smi mig -i {at} -dci; sudo nvidia-smi mig -i {at} -dgi; sudo nvidia-smi -i {at} -mig 0"
    )
