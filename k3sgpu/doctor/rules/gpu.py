"""Rules about GPUs: the machine's cards, compared with what the stack file declares."""

from collections.abc import Iterator

from k3sgpu.doctor.cards import Cards, indices, partitions_mapping
from k3sgpu.doctor.machine import Machine, Plan
from k3sgpu.gpu_products import last_driver_branch
from k3sgpu.problem import Problem

# What nvidia-smi's exit status means (its manual, RETURN VALUE): those that occur in practice.
_STATUS = {
    9: "the driver is not loaded: sudo modprobe nvidia; after a kernel update reinstall it",
    14: "a card's infoROM is corrupt: the card works, but the operator finds no driver; "
    "reset or replace the card",
    18: "driver and library have different versions: reboot",
    124: "it hangs: a card has fallen off the bus; look at dmesg, then reboot",  # timeout(1)
}


def platform(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """NVIDIA's operator supports the machine's GPUs: discrete ones on the PCI bus, so not WSL or Jetson."""
    if machine.spec["gpu"] and (reason := machine.unsupported_platform):
        yield machine.problem(
            reason,
            "GPUs on the machine's own PCI bus: NVIDIA's GPU Operator supports no others",
            f"leave {machine.name} out of the pools with cards, or use another machine\n"
            "in a pool without gpu: it can run pods that need no card",
        )


def gpu(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """The machine has the cards that the stack file declares, and a driver can use them."""
    if machine.gpu:
        yield from _passed_through(machine)
        yield from (_host_driver if plan.driver == "host" else _operator_driver)(machine)
    elif not machine.spec.get("maintenance") and not machine.unsupported_platform:
        yield from _undeclared(machine)


def _passed_through(machine: Machine) -> Iterator[Problem]:
    assert machine.gpu
    cards = machine.cards
    held = cards.passed_through
    if held and cards.on_bus - held < machine.gpu["count"]:
        yield machine.problem(
            f"{_plural(held)} held by vfio-pci, for a virtual machine",
            f"{machine.gpu['count']}, as declared, that NVIDIA's driver can use",
            "remove them from vfio-pci (kernel command line, /etc/modprobe.d) and reboot, or declare fewer",
        )


def _undeclared(machine: Machine) -> Iterator[Problem]:
    cards = machine.cards
    number = len(cards.shown) or cards.on_bus
    if number:
        yield machine.problem(
            f"{_plural(number)}, and its pool declares none",
            "gpu: in the pool, if pods are to use them",
            _declaration(machine, cards)
            if cards.shown
            else "install NVIDIA's driver; then doctor shows here the line for the stack file",
            "warning",
        )


def _declaration(machine: Machine, cards: Cards) -> str:
    """The line for the stack file that declares the cards which nvidia-smi shows."""
    product, count = next(iter(cards.products.items()))
    first = next(card for card in cards.shown if card.product == product)
    # A GPU that shares the machine's memory reports none.
    memory = first.memory_mib or (machine.facts.number("memory-kib") or 1024) // 1024
    mig = f", mig: {partitions_mapping(first.partitions)}" if first.partitions else ""
    line = f"gpu: {{product: {product}, count: {count}, memoryMiB: {memory}{mig}}} in {machine.name}'s pool"
    return line if len(cards.products) == 1 else f"{line}\n{_hide_others(machine, cards, product)}"


def _host_driver(machine: Machine) -> Iterator[Problem]:
    status = machine.facts.number("nvidia-smi-status")
    if status is None:
        on_bus = machine.cards.on_bus
        yield machine.problem(
            f"no nvidia-smi, so no driver ({_plural(on_bus)} on the PCI bus)",
            "NVIDIA's driver, because the stack file says gpuOperator.driver: host",
            "install it (Ubuntu: sudo ubuntu-drivers install --gpgpu) and reboot\n"
            "or gpuOperator: {driver: operator} in the stack file",
        )
        return
    if status != 0:
        message = machine.facts.one("nvidia-smi")
        yield machine.problem(
            f"nvidia-smi ended with exit status {status}" + (f": {message}" if message else ""),
            "exit status 0: with any other the operator finds no driver, and waits for ever",
            _STATUS.get(status, f"{machine.ssh} nvidia-smi; after a driver update a reboot helps"),
        )
        return
    yield from _declared_cards(machine)


def _declared_cards(machine: Machine) -> Iterator[Problem]:
    assert machine.gpu
    cards = machine.cards
    number, declared, product = len(cards.shown), machine.gpu["count"], machine.gpu["product"]
    if len(cards.products) > 1:
        yield _mixed(machine, cards)
        return
    if cards.on_bus - cards.passed_through > number == declared:
        yield machine.problem(
            f"{_plural(cards.on_bus)} on the PCI bus, and {number} in nvidia-smi",
            "all of them in nvidia-smi, unless a card was left out on purpose",
            "look at dmesg for the one that is missing",
            "warning",
        )
    if number != declared:
        yield machine.problem(
            f"{_plural(number)} in nvidia-smi",
            f"{declared}, as declared: what the nodes offer is computed from it",
            f"count: {number} in the pool, if that is right; else look at dmesg for the missing card"
            if number
            else _no_cards(machine),
        )
    if number and product not in cards.products:
        found = next(iter(cards.products))
        yield machine.problem(
            f"{number} × {found}",
            f"{product}, as declared: labels and selectors are made from it",
            f"product: {found} in the pool",
        )


def _no_cards(machine: Machine) -> str:
    """What to do where the driver shows no card."""
    assert machine.gpu
    last = last_driver_branch(machine.gpu["product"])
    branch = machine.facts.one("nvidia-module").partition(".")[0]
    if last and branch.isdecimal() and int(branch) > last:
        return f"install a driver of branch {last}: {branch} knows no {machine.gpu['product']} any more"
    return (
        f'{machine.ssh} "sudo dmesg | grep -i nvidia"   # why the driver takes no card\n'
        f"or remove gpu from {machine.name}'s pool, if the machine has none"
    )


def _mixed(machine: Machine, cards: Cards) -> Problem:
    """The problem of a machine with cards of several products.

    Feature discovery labels its node with one of them and warns (NVIDIA/k8s-device-plugin,
    internal/lm/mig-strategy.go), and the device plugin offers all cards as one resource.
    """
    assert machine.gpu
    declared = machine.gpu["product"]
    product = declared if declared in cards.products else next(iter(cards.products))
    return machine.problem(
        " and ".join(f"{number} × {name}" for name, number in cards.products.items()) + " in one machine",
        "one product: NVIDIA's labels name one for each node, and its plugin offers all cards as the same",
        f"{_hide_others(machine, cards, product)}\n"
        f"then product: {product} and count: {cards.products[product]} in the pool",
    )


def _hide_others(machine: Machine, cards: Cards, product: str) -> str:
    """The remedy that leaves only the cards of `product` to the driver."""
    others = [card for card in cards.shown if card.product != product]
    names = " and ".join(f"{number} × {name}" for name, number in cards.products.items() if name != product)
    uuids = f"nvidia-smi -i {indices(others)} --query-gpu=uuid --format=csv,noheader | paste -sd,"
    file = "/etc/modprobe.d/nvidia-excluded-gpus.conf"
    return (
        f"take out {names}, or hide them from the driver, and reboot:\n"
        f"{machine.ssh} \"{uuids} | sed 's/^/options nvidia NVreg_ExcludedGpus=/' | sudo tee {file}\""
    )


def _operator_driver(machine: Machine) -> Iterator[Problem]:
    assert machine.gpu
    cards, declared = machine.cards, machine.gpu["count"]
    usable = cards.on_bus - cards.passed_through
    if usable != declared:
        yield machine.problem(
            f"{_plural(usable)} on the PCI bus",
            f"{declared}, as declared: what the nodes offer is computed from it",
            f"count: {usable} in the pool, if that is right; in a virtual machine pass the cards through",
        )
    if machine.facts.one("nouveau"):
        yield machine.problem(
            "the nouveau driver is loaded and holds the cards",
            "nouveau not loaded, so that the operator's driver can use the cards",
            f"{machine.ssh} \"printf 'blacklist nouveau\\noptions nouveau modeset=0\\n' | "
            "sudo tee /etc/modprobe.d/nouveau.conf; sudo update-initramfs -u || sudo dracut --force; "
            'sudo reboot"',
        )
    if (loaded := machine.facts.one("nvidia-module")) and not machine.facts.one("operator-driver"):
        yield machine.problem(
            f"NVIDIA's driver {loaded} is already loaded on the host",
            "no driver on the host, because the stack file says gpuOperator.driver: operator",
            "gpuOperator: {driver: host} in the stack file\nor remove the driver's packages and reboot",
            "warning",
        )


def _plural(number: int) -> str:
    return f"{number} NVIDIA {'card' if number == 1 else 'cards'}"
