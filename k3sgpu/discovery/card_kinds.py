"""Which cards machines have, as a stack file declares them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from k3sgpu.discovery.candidates import Seen
from k3sgpu.gpu_products import product_of_device
from k3sgpu.problem import Problem


@dataclass(frozen=True)
class CardKind:
    """The cards of a machine: all machines of a pool have the same."""

    product: str
    """As in the node label nvidia.com/gpu.product."""
    memory_mib: int
    count: int
    mig: tuple[tuple[str, int], ...] = ()
    """The MIG partitions of each card by profile; empty for whole cards."""


@dataclass(frozen=True)
class Product:
    """A product by its label, and the memory of one card in MiB."""

    label: str
    memory_mib: int


def card_kinds(machines: Sequence[Seen], unseen: Product | None) -> tuple[dict[str, CardKind], list[Problem]]:
    """By candidate's name, the cards of the machines that have some; a problem for each where nobody knows.

    Without a driver a machine shows only the devices on its PCI bus: their product is that of another machine
    with the same devices, or what the table of devices says, or `unseen`, the user's word.
    """
    kinds: dict[str, CardKind] = {}
    problems: list[Problem] = []
    devices = {device: product for one in machines for device, product in _identified(one)}
    for one in machines:
        name, cards = one.candidate.name, one.cards
        if cards.shown:
            product = shown_product(one)
            count, mig = cards.products[product.label], cards.shown[0].partitions
            kinds[name] = CardKind(product.label, product.memory_mib, count, tuple(sorted(mig.items())))
        elif one.has_gpu:
            if product := _by_device(_devices(one), devices) or unseen:
                count = cards.on_bus - cards.passed_through
                kinds[name] = CardKind(product.label, product.memory_mib, count)
            else:
                problems.append(_unknown(one))
    return kinds, problems


def shown_product(one: Seen) -> Product:
    """The product that most of the cards have which nvidia-smi shows there."""
    label = next(iter(one.cards.products))
    first = next(card for card in one.cards.shown if card.product == label)
    # A GPU that shares the machine's memory reports none.
    return Product(label, first.memory_mib or (one.facts.number("memory-kib") or 1024) // 1024)


def _identified(one: Seen) -> Iterator[tuple[str, Product]]:
    """The PCI device of a machine's cards and their product, where nvidia-smi shows them, all alike."""
    devices = _devices(one)
    if len(devices) == 1 and len(one.cards.products) == 1:
        yield devices[0], shown_product(one)


def _devices(one: Seen) -> list[str]:
    """The PCI device IDs of the machine's cards, each once: 0x1e07."""
    parts = (line.split() for line in one.facts.all("pci-gpu"))
    return list(dict.fromkeys(part[1] for part in parts if len(part) > 1))


def _by_device(found: Sequence[str], known: Mapping[str, Product]) -> Product | None:
    """The product of a machine's devices, if it has those of one product only."""
    tables = [product_of_device(device) for device in found]
    products = {
        known.get(device) or (Product(*entry) if entry else None)
        for device, entry in zip(found, tables, strict=True)
    }
    return products.pop() if len(products) == 1 else None


def _unknown(one: Seen) -> Problem:
    number = one.cards.on_bus - one.cards.passed_through
    cards = f"{number} NVIDIA card{'' if number == 1 else 's'}"
    return Problem(
        one.candidate.name,
        f"{cards} ({', '.join(_devices(one))} on the PCI bus), and no driver that names the product",
        "a product and its memory: slices are computed from them",
        "install NVIDIA's driver there (Ubuntu: sudo ubuntu-drivers install --gpgpu)\n"
        "or say what the cards are, and the operator installs it: --gpu NVIDIA-GeForce-RTX-2080-Ti:11264",
        check="gpu",
    )
