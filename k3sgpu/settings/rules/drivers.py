"""Rules of images, drivers and cards: combinations that fail only when the container starts."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from k3sgpu.gpu_products import OLDEST_TARGET, compute_capability, last_driver_branch, named_memory_gb
from k3sgpu.operator_releases import DEFAULT_DRIVERS, DRIVER_BEFORE_TURING, major_release
from k3sgpu.problem import Problem
from k3sgpu.settings.models.nodes import Node
from k3sgpu.settings.rules.draft import Draft

OLDEST_DRIVER = {11: 450, 12: 525, 13: 580}
"""By CUDA generation: the oldest driver branch that runs it (NVIDIA, "CUDA Compatibility")."""
CUDA = re.compile(r"cuda[:-]?(1[0-9])(?![0-9])|(?<![a-z])cu(1[0-9])[0-9](?![0-9])")
"""The CUDA generation in an image's name or tag: cuda:12.4.1-base, vectoradd-cuda12.5.0, 2.9.0-cu130."""
OPERATOR_DRIVER = re.compile(r"([0-9]{3})(?![0-9])")
"""The branch in driver.version: 580.126.20, or 580 for precompiled drivers."""
TESTER = re.compile(r"dcgmproftester(\d+)")
MEMORY_TOLERANCE = 0.1
"""How far a card's memory may be from the size in its name: ECC takes a sixteenth of a Tesla M40 24GB."""


def images_suit_drivers(draft: Draft) -> Iterator[Problem]:
    """Warn of images of a newer CUDA than the declared driver runs.

    Not an error: an image may contain CUDA's compatibility library, which some cards can use.
    """
    for path, image, generation, nodes in _cuda_images(draft):
        oldest = OLDEST_DRIVER.get(generation, 0)
        for pool, driver in _drivers(nodes):
            if _branch(driver) < oldest:
                yield Problem(
                    path,
                    f"{image}, of CUDA {generation}, on pool {pool} with driver {driver}",
                    f"driver {oldest} or newer; else the program exits with\n"
                    '"CUDA driver version is insufficient for CUDA runtime version"',
                    "write an image of an older CUDA, name another pool, or update the driver",
                    "warning",
                )


def images_suit_cards(draft: Draft) -> Iterator[Problem]:
    """Refuse images of a CUDA that builds no programs for the pool's cards, whatever the driver."""
    for path, image, generation, nodes in _cuda_images(draft):
        oldest = OLDEST_TARGET.get(generation, (0, 0))
        for pool, product in _products(nodes):
            capability = compute_capability(product)
            if capability and capability < oldest:
                yield Problem(
                    path,
                    f"{image}, of CUDA {generation}, on pool {pool} with {product}",
                    f"compute capability {_dotted(oldest)} or newer, not {_dotted(capability)}; else\n"
                    'the program exits with "no kernel image is available for execution on the device"',
                    f"write an image of CUDA {_newest_for(capability)} or older, or name another pool",
                )


def testers_suit_cards(draft: Draft) -> Iterator[Problem]:
    """Refuse a dcgmproftester that the pool's cards, or their declared driver, cannot run."""
    for name, workload in draft.settings.workloads.items():
        nodes = _matching_nodes(draft, workload.selector)
        for key in ("command", "args"):
            for written in map(int, TESTER.findall(" ".join(getattr(workload, key)))):
                for pool, what, right in _tester_generations(nodes):
                    if written != right:
                        yield Problem(
                            f"workloads.{name}.{key}",
                            f"dcgmproftester{written}, on pool {pool} with {what}",
                            f"dcgmproftester{right}, of the driver's CUDA generation, but 12 below compute\n"
                            "capability 7.5; another exits with 244",
                            f"write dcgmproftester{right}, or remove command and args:\n"
                            "the container then asks the driver and the card of its node",
                        )


def drivers_support_cards(draft: Draft) -> Iterator[Problem]:
    """Refuse a driver whose branch no longer supports the pool's cards: it shows none of them."""
    nodes = draft.settings.nodes
    declared = {
        (node.pool, node.gpu.product, node.gpu.driver) for node in nodes if node.gpu and node.gpu.driver
    }
    for pool, product, driver in sorted(declared):
        last = last_driver_branch(product)
        if last and _branch(driver) > last:
            yield _unsupported(
                f"pools.{pool}.gpu.driverVersion",
                driver,
                pool,
                product,
                "write the version that nvidia-smi shows on a host of the pool, or correct product",
            )
    path, installed = _operator_driver(draft)
    for pool, product in _products(nodes) if installed else ():
        last = last_driver_branch(product)
        if last and installed > last:
            yield _unsupported(
                path, f"{installed}, which the operator installs,", pool, product, _other_driver(last)
            )


def _unsupported(path: str, driver: str, pool: str, product: str, remedy: str) -> Problem:
    return Problem(
        path,
        f"driver {driver} on pool {pool} with {product}",
        f"driver {last_driver_branch(product)} or older: later ones do not support this card, and show none",
        remedy,
    )


def _other_driver(last: int) -> str:
    by_hand = f"install driver {last} on the hosts, and write gpuOperator: {{driver: host}}"
    if not DRIVER_BEFORE_TURING.startswith(str(last)):
        return by_hand
    return (
        f'write gpuOperator: {{values: {{driver: {{version: "{DRIVER_BEFORE_TURING}"}}}}}}, for all pools\n'
        f"or {by_hand}"
    )


def kernel_modules_support_cards(draft: Draft) -> Iterator[Problem]:
    """Refuse the open kernel modules for cards before Turing (NVIDIA, Driver Installation Guide)."""
    values = _operator_driver_values(draft)
    for pool, product in _products(draft.settings.nodes):
        if values and values.get("kernelModuleType") == "open" and last_driver_branch(product):
            yield Problem(
                "gpuOperator.values.driver.kernelModuleType",
                f"open, on pool {pool} with {product}",
                "auto or proprietary: the open modules need a card of Turing or newer",
                "write kernelModuleType: auto, or remove it",
            )


def _operator_driver_values(draft: Draft) -> dict[str, Any] | None:
    """The values of the driver that the operator installs; None if it installs none, or by the user's CRs."""
    operator = draft.settings.gpu_operator
    written = operator.values.get("driver")
    values = written if isinstance(written, dict) else {}
    crd = values.get("nvidiaDriverCRD")
    in_crs = isinstance(crd, dict) and crd.get("enabled") and crd.get("deployDefaultCR") is False
    return values if operator.enabled and operator.driver == "operator" and not in_crs else None


def _operator_driver(draft: Draft) -> tuple[str, int]:
    """The key that decides which driver the operator installs, and its branch; 0 if none or not known."""
    operator, values = draft.settings.gpu_operator, _operator_driver_values(draft)
    if values is None:
        return "", 0
    if version := values.get("version"):
        branch = OPERATOR_DRIVER.match(str(version))
        return "gpuOperator.values.driver.version", int(branch[1]) if branch else 0
    return "gpuOperator.driver", DEFAULT_DRIVERS.get(major_release(operator.version) or (0, 0), 0)


def memory_matches_product(draft: Draft) -> Iterator[Problem]:
    """Warn of a memory other than the one in the product's name."""
    for name, pool in draft.settings.pools.items():
        sizes = named_memory_gb(pool.gpu.product) if pool.gpu else ()
        if pool.gpu and sizes and not any(_is_near(pool.gpu.memory_mib, size * 1024) for size in sizes):
            yield Problem(
                f"pools.{name}.gpu.memoryMiB",
                f"{pool.gpu.memory_mib}, on cards called {pool.gpu.product}",
                f"about {' or '.join(str(size * 1024) for size in sorted(sizes))}, as the name says",
                "write what a host of the pool shows: nvidia-smi --query-gpu=name,memory.total --format=csv",
                "warning",
            )


def _is_near(mib: int, nominal: int) -> bool:
    return abs(mib - nominal) <= MEMORY_TOLERANCE * nominal


def _tester_generations(nodes: Sequence[Node]) -> list[tuple[str, str, int]]:
    """Pool, the reason, and the only CUDA generation of dcgmproftester that runs there, where it is known."""
    found: list[tuple[str, str, int]] = []
    for pool, product in _products(nodes):
        capability = compute_capability(product)
        if capability and capability < OLDEST_TARGET[13]:
            found.append((pool, product, 12))
    old = {pool for pool, _, _ in found}
    for pool, driver in _drivers(nodes):
        if pool not in old:
            found.append((pool, f"driver {driver}", 13 if _branch(driver) >= OLDEST_DRIVER[13] else 12))
    return found


def _cuda_images(draft: Draft) -> Iterator[tuple[str, str, int, Sequence[Node]]]:
    """Path, image, CUDA generation and nodes of each container whose image names its CUDA."""
    settings = draft.settings
    images: list[tuple[str, str, Sequence[Node]]] = [
        (f"workloads.{name}.image", one.image, _matching_nodes(draft, one.selector))
        for name, one in settings.workloads.items()
    ]
    if settings.verify.enabled:
        images.append(("verify.image", settings.verify.image, settings.nodes))
    for path, image, nodes in images:
        for generation in sorted({int(match[1] or match[2]) for match in CUDA.finditer(image)}):
            yield path, image, generation, nodes


def _matching_nodes(draft: Draft, selector: dict[str, str]) -> list[Node]:
    return [node for node in draft.settings.nodes if node.suits(selector)]


def _products(nodes: Sequence[Node]) -> list[tuple[str, str]]:
    """Pool and product of the nodes that have cards, without duplicates."""
    return sorted({(node.pool, node.gpu.product) for node in nodes if node.gpu})


def _drivers(nodes: Sequence[Node]) -> list[tuple[str, str]]:
    """Pool and driver of the nodes whose pool declares the driver, without duplicates."""
    return sorted({(node.pool, node.gpu.driver) for node in nodes if node.gpu and node.gpu.driver})


def _branch(driver: str) -> int:
    """The branch of a driver version: 580 of 580.126.20."""
    return int(driver.partition(".")[0])


def _newest_for(capability: tuple[int, int]) -> int:
    """The newest CUDA generation that builds programs for cards of this capability."""
    return max((one for one, oldest in OLDEST_TARGET.items() if oldest <= capability), default=10)


def _dotted(capability: tuple[int, int]) -> str:
    return ".".join(map(str, capability))
