"""Rules about GPUs: what the stack file declares, compared with the machine's cards, driver and toolkit."""

import re
from collections import Counter
from collections.abc import Iterator

from k3sgpu.doctor.machine import Machine, Plan
from k3sgpu.problem import Problem

# One line of nvidia-smi --query-gpu=name,memory.total; memory is [N/A] where the card uses the system's.
_CARD = re.compile(r"(.+), (?:(\d+) MiB|\[.*\])")

# Distributions with driver containers (NVIDIA's page "platform support"), by ID of os-release.
DRIVER_IMAGES = ("ubuntu", "rhel", "rhcos", "rocky", "sles")

# What nvidia-smi's exit status means (its manual, RETURN VALUE): those that occur in practice.
_STATUS = {
    9: "the driver is not loaded: sudo modprobe nvidia; after a kernel update reinstall it",
    14: "a card's infoROM is corrupt: the card works, but the operator finds no driver; "
    "reset or replace the card",
    18: "driver and library have different versions: reboot",
    124: "it hangs: a card has fallen off the bus; look at dmesg, then reboot",  # timeout(1)
}


def gpu(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """The machine has the cards that the stack file declares, and a driver can use them."""
    if machine.gpu is None:
        yield from _undeclared(machine)
    else:
        yield from _passed_through(machine)
        yield from (_host_driver if plan.driver == "host" else _operator_driver)(machine)


def driver(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """The version of NVIDIA's driver is the declared one, by which images were chosen."""
    declared, found = (machine.gpu or {}).get("driver"), machine.facts.one("nvidia-module")
    if declared and found and not f"{found}.".startswith(f"{declared}."):
        yield machine.problem(
            f"NVIDIA's driver {found}",
            f"{declared}, as declared: what runs on the cards was checked against it",
            f'driverVersion: "{found}" in the pool, if that is right; else install driver {declared}',
        )


def toolkit(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """NVIDIA's container toolkit is installed once, where the stack file says gpuOperator.toolkit: host."""
    if machine.gpu and plan.toolkit == "host" and not machine.facts.all("toolkit"):
        yield machine.problem(
            "no nvidia-container-runtime where k3s looks: /usr/local/nvidia/toolkit and /usr/bin",
            "NVIDIA's container toolkit, because the stack file says gpuOperator.toolkit: host",
            "install the package nvidia-container-toolkit from NVIDIA's repository, then k3s finds it\n"
            "or gpuOperator: {toolkit: operator} in the stack file",
        )
    elif machine.gpu and plan.toolkit == "host" and len(machine.facts.all("toolkit")) > 1:
        yield machine.problem(
            "a GPU operator's toolkit in /usr/local/nvidia/toolkit beside the one in /usr/bin",
            "one of them: k3s takes the operator's first, and nobody keeps that up to date here",
            f'{machine.ssh} "sudo rm -r /usr/local/nvidia/toolkit", and restart k3s if it runs',
            "warning",
        )


def runtime(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """A running k3s knows NVIDIA's toolkit: it looks for it only when it starts."""
    facts = machine.facts
    unknown = facts.all("toolkit") and facts.one("containerd-config") == "plain"
    if machine.gpu and machine.belongs_to(plan) and machine.k3s_runs and unknown:
        unit = facts.one("k3s-unit").split(" ")[0]
        yield machine.problem(
            "k3s started before NVIDIA's toolkit was installed: its containerd has no runtime called nvidia",
            "the runtime nvidia: without it pods with a GPU stay ContainerCreating",
            f'{machine.ssh} "sudo systemctl restart {unit}"\n'
            "or raise generation in the stack file and run pulumi up, which restarts the nodes in turn",
            "warning",
        )


def containerd(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """k3s's containerd is the only one, where the operator installs the toolkit.

    The toolkit configures the first containerd that it finds (NVIDIA/nvidia-container-toolkit#982).
    """
    others = [name for name in machine.facts.all("service") if name in ("docker", "containerd")]
    if machine.gpu and plan.toolkit == "operator" and others:
        yield machine.problem(
            f"{' and '.join(others)} beside k3s's own containerd",
            "k3s's containerd alone: the operator's toolkit may configure the other one instead",
            f'{machine.ssh} "sudo systemctl disable --now {" ".join(others)}", if nobody needs it\n'
            "or install nvidia-container-toolkit, and gpuOperator: {toolkit: host} in the stack file",
            "warning",
        )


def driver_image(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """NVIDIA publishes driver images for the distribution, where the operator installs the driver."""
    distribution = machine.facts.one("os-id")
    if machine.gpu and plan.driver == "operator" and distribution and distribution not in DRIVER_IMAGES:
        yield machine.problem(
            f"{machine.facts.one('os')}, for which NVIDIA publishes no image of its driver",
            f"one of {', '.join(DRIVER_IMAGES)}, or a driver that is installed on the machine",
            "install the driver, and gpuOperator: {driver: host} in the stack file",
            "warning",
        )


def headers(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """The headers of the running kernel are installed: the operator compiles its driver on the machine."""
    if machine.gpu and plan.driver == "operator" and not machine.facts.one("kernel-headers"):
        kernel = machine.facts.one("kernel-release")
        yield machine.problem(
            f"no headers of the kernel {kernel} (/lib/modules/{kernel}/build)",
            "headers, or package servers that have them: the operator compiles its driver on the machine",
            f'{machine.ssh} "sudo apt-get install -y linux-headers-{kernel}"   # RHEL: kernel-devel-{kernel}',
            "warning",
        )


def cards(machine: Machine) -> list[tuple[str, str]]:
    """The cards in nvidia-smi: product as feature discovery writes it (blanks become '-'), and MiB."""
    found = (_CARD.fullmatch(line) for line in machine.facts.all("nvidia-smi"))
    return [(match[1].replace(" ", "-"), match[2] or "") for match in found if match]


def _passed_through(machine: Machine) -> Iterator[Problem]:
    if held := machine.facts.all("pci-driver").count("vfio-pci"):
        yield machine.problem(
            f"{_plural(held)} held by vfio-pci, for a virtual machine",
            "cards that NVIDIA's driver can use",
            "remove them from vfio-pci (kernel command line, /etc/modprobe.d) and reboot, or declare fewer",
        )


def fabric(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """The fabric manager runs, where there are NVSwitches: without it no CUDA program runs."""
    facts = machine.facts
    if machine.gpu and plan.driver == "host" and facts.all("nvswitch") and not facts.one("fabric-manager"):
        yield machine.problem(
            f"{len(facts.all('nvswitch'))} NVSwitches, and nvidia-fabricmanager does not run",
            "the fabric manager, in the driver's version: without it every CUDA program fails",
            f'{machine.ssh} "sudo systemctl enable --now nvidia-fabricmanager"   # install it first',
        )


def secure_boot(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """Secure Boot is off, where the operator compiles the driver: nobody has signed that module."""
    if not machine.gpu or plan.driver != "operator":
        return
    facts = machine.facts
    locked = facts.one("lockdown") not in ("", "none")
    if facts.one("secure-boot") or locked:
        yield machine.problem(
            "Secure Boot is on"
            if facts.one("secure-boot")
            else f"kernel lockdown is {facts.one('lockdown')}",
            "Secure Boot off: the kernel refuses the operator's driver, which is not signed",
            "turn Secure Boot off in the firmware\n"
            "or install a signed driver, and gpuOperator: {driver: host} in the stack file",
        )


def _undeclared(machine: Machine) -> Iterator[Problem]:
    shown = cards(machine) if machine.facts.number("nvidia-smi-status") == 0 else []
    number = len(shown) or len(machine.facts.all("pci-gpu"))
    if number:
        product, memory = shown[0] if shown else ("<product>", "<MiB>")
        yield machine.problem(
            f"{_plural(number)}, and its pool declares none",
            "gpu: in the pool, if pods are to use them",
            f"gpu: {{product: {product}, count: {number}, memoryMiB: {memory}}} in {machine.name}'s pool",
            "warning",
        )


def _host_driver(machine: Machine) -> Iterator[Problem]:
    status = machine.facts.number("nvidia-smi-status")
    if status is None:
        on_bus = len(machine.facts.all("pci-gpu"))
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
    shown = cards(machine)
    declared, product = machine.gpu["count"], machine.gpu["product"]
    if (on_bus := len(machine.facts.all("pci-gpu"))) > len(shown) == declared:
        yield machine.problem(
            f"{_plural(on_bus)} on the PCI bus, and {len(shown)} in nvidia-smi",
            "all of them in nvidia-smi, unless a card was left out on purpose",
            "look at dmesg for the one that is missing",
            "warning",
        )
    if len(shown) != declared:
        yield machine.problem(
            f"{_plural(len(shown))} in nvidia-smi",
            f"{declared}, as declared: what the nodes offer is computed from it",
            f"count: {len(shown)} in the pool, if that is right; else look at dmesg for the missing card",
        )
    if others := Counter(name for name, _ in shown if name != product):
        yield machine.problem(
            ", ".join(f"{number} × {name}" for name, number in others.items()),
            f"{product}, as declared: labels and selectors are made from it",
            f"product: {next(iter(others))} in the pool"
            + (", and a pool of its own for each product" if len({name for name, _ in shown}) > 1 else ""),
        )


def _operator_driver(machine: Machine) -> Iterator[Problem]:
    assert machine.gpu
    on_bus, declared = len(machine.facts.all("pci-gpu")), machine.gpu["count"]
    if on_bus != declared:
        yield machine.problem(
            f"{_plural(on_bus)} on the PCI bus",
            f"{declared}, as declared: what the nodes offer is computed from it",
            f"count: {on_bus} in the pool, if that is right; in a virtual machine pass the cards through",
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
