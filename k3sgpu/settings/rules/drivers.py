"""Rules of images and drivers: combinations that fail only when the container starts."""

import re
from collections.abc import Iterator, Sequence

from k3sgpu.problem import Problem
from k3sgpu.settings.models.nodes import Node
from k3sgpu.settings.rules.draft import Draft

OLDEST_DRIVER = {11: 450, 12: 525, 13: 580}
"""By CUDA generation: the oldest driver branch that runs it (NVIDIA, "CUDA Compatibility")."""
CUDA = re.compile(r"cuda[:-]?(\d+)\.")
"""The CUDA generation in an image's name or tag: cuda:12.4.1-base, vectoradd-cuda12.5.0."""
TESTER = re.compile(r"dcgmproftester(\d+)")


def images_suit_drivers(draft: Draft) -> Iterator[Problem]:
    """Warn of images of a newer CUDA than the declared driver runs.

    Not an error: an image may contain CUDA's compatibility library, which some cards can use.
    """
    settings = draft.settings
    images: list[tuple[str, str, Sequence[Node]]] = [
        (f"workloads.{name}.image", one.image, _matching_nodes(draft, one.selector))
        for name, one in settings.workloads.items()
    ]
    if settings.verify.enabled:
        images.append(("verify.image", settings.verify.image, settings.nodes))
    for path, image, nodes in images:
        for generation in map(int, CUDA.findall(image)):
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


def testers_suit_drivers(draft: Draft) -> Iterator[Problem]:
    """Refuse a dcgmproftester of another CUDA generation than the declared driver's."""
    for name, workload in draft.settings.workloads.items():
        for key in ("command", "args"):
            for written in map(int, TESTER.findall(" ".join(getattr(workload, key)))):
                for pool, driver in _drivers(_matching_nodes(draft, workload.selector)):
                    right = 13 if _branch(driver) >= OLDEST_DRIVER[13] else 12
                    if written != right:
                        yield Problem(
                            f"workloads.{name}.{key}",
                            f"dcgmproftester{written}, on pool {pool} with driver {driver}",
                            f"dcgmproftester{right}, of the driver's CUDA generation; another exits with 244",
                            f"write dcgmproftester{right}, or remove command and args:\n"
                            "the container then reads the driver's version on its node",
                        )


def _matching_nodes(draft: Draft, selector: dict[str, str]) -> list[Node]:
    return [node for node in draft.settings.nodes if node.suits(selector)]


def _drivers(nodes: Sequence[Node]) -> list[tuple[str, str]]:
    """Pool and driver of the nodes whose pool declares the driver, without duplicates."""
    return sorted({(node.pool, node.gpu.driver) for node in nodes if node.gpu and node.gpu.driver})


def _branch(driver: str) -> int:
    """The branch of a driver version: 580 of 580.126.20."""
    return int(driver.partition(".")[0])
