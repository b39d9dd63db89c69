"""Rules about NVIDIA's driver and container toolkit on a machine with declared cards."""

import re
from collections.abc import Iterator

from k3sgpu.doctor.machine import Machine, Plan
from k3sgpu.operator_releases import major_release
from k3sgpu.problem import Problem

# By ID of os-release: the releases for which NVIDIA publishes driver images, and the first release of the
# operator that uses them; (0, 0) is any. The operator makes the image's tag from ID and VERSION_ID, of
# VERSION_ID only the major number except on Ubuntu (NVIDIA/gpu-operator, controllers/state_manager.go;
# NVIDIA's page "Platform Support" of 26.7; NVIDIA/gpu-driver-container, .github/workflows/image.yaml). Those
# of SLES are SUSE's.
DRIVER_IMAGES = {
    "ubuntu": {"22.04": (0, 0), "24.04": (0, 0), "26.04": (26, 7)},
    "rhel": {"8": (0, 0), "9": (0, 0), "10": (26, 3)},
    "rocky": {"8": (0, 0), "9": (0, 0), "10": (26, 7)},
    "rhcos": {"4": (0, 0)},
    "sles": {"15": (0, 0), "16": (0, 0)},
}


def driver(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """The version of NVIDIA's driver is the declared one, by which images were chosen."""
    declared, found = (machine.gpu or {}).get("driver"), machine.facts.one("nvidia-module")
    if declared and found and not f"{found}.".startswith(f"{declared}."):
        yield machine.problem(
            f"NVIDIA's driver {found}",
            f"{declared}, as declared: what runs on the cards was checked against it",
            f'driverVersion: "{found}" in the pool, if that is right; else install driver {declared}',
        )


def driver_image(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """NVIDIA publishes driver images for the system's release, where the operator installs the driver."""
    name = machine.facts.one("os-id")
    if not machine.gpu or plan.driver != "operator" or not name:
        return
    release = _release(machine)
    if name in DRIVER_IMAGES and not release:
        return
    first = DRIVER_IMAGES.get(name, {}).get(release)
    if first is not None and first <= (major_release(plan.operator_version) or (0, 0)):
        return
    system = machine.facts.one("os") or f"{name} {release}"
    if first is None:
        expected = f"{_images()}, or a driver that is installed on the machine"
        other = ""
    else:
        expected = (
            f"GPU Operator v{first[0]}.{first[1]} or later, or a driver that is installed on the machine"
        )
        other = f"or gpuOperator: {{version: v{first[0]}.{first[1]}.0}} in the stack file"
    yield machine.problem(
        f"{system}, for which NVIDIA publishes no image of its driver"
        + (f" that {plan.operator_version} uses" if first and plan.operator_version else ""),
        expected,
        f"install the driver, and gpuOperator: {{driver: host}} in the stack file\n{other}".strip(),
        "warning",
    )


def _release(machine: Machine) -> str:
    """The release as the operator puts it into an image's tag; "" where os-release does not tell it.

    It is VERSION_ID, or the number in the system's name: Ubuntu 25.10.
    """
    facts = machine.facts
    name = facts.one("os-id")
    named = re.match(rf"{re.escape(name)}\D*(\d+(\.\d+)?)", facts.one("os"), re.IGNORECASE)
    release = facts.one("os-version") or (named[1] if named else "")
    return release if name == "ubuntu" else release.partition(".")[0]


def _images() -> str:
    return ", ".join(f"{name} {', '.join(releases)}" for name, releases in DRIVER_IMAGES.items())


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
