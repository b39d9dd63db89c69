"""Rules of drivers and what runs on them: pairs that fail only when the container starts."""

import re
from collections.abc import Callable, Iterator, Sequence

from k3sgpu.problem import Problem
from k3sgpu.settings.models.stack import Node
from k3sgpu.settings.rules.draft import Draft

OLDEST_DRIVER = {11: 450, 12: 525, 13: 580}
"""By generation of CUDA: the oldest branch of the driver that runs it (NVIDIA, "CUDA Compatibility")."""
CUDA = re.compile(r"cuda[:-]?(\d+)\.")
"""In an image's name or tag: cuda:12.4.1-base, vectoradd-cuda12.5.0."""
TESTER = re.compile(r"dcgmproftester(\d+)")


def images_suit_drivers(draft: Draft) -> Iterator[Problem]:
    """A warning: an image may bring a newer CUDA's compatibility library, and some cards may use it."""
    settings = draft.settings
    images: list[tuple[str, str, Sequence[Node]]] = [
        (f"workloads.{name}.image", one.image, _homes(draft, one.selector))
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
                        f"driver {oldest} or newer; else the program ends with\n"
                        '"CUDA driver version is insufficient for CUDA runtime version"',
                        "write an image of an older CUDA, name another pool, or update the driver",
                        "warning",
                    )


def testers_suit_drivers(draft: Draft) -> Iterator[Problem]:
    """The article's program, where somebody has written which one of them."""
    for name, workload in draft.settings.workloads.items():
        for key in ("command", "args"):
            for written in map(int, TESTER.findall(" ".join(getattr(workload, key)))):
                for pool, driver in _drivers(_homes(draft, workload.selector)):
                    right = 13 if _branch(driver) >= OLDEST_DRIVER[13] else 12
                    if written != right:
                        yield Problem(
                            f"workloads.{name}.{key}",
                            f"dcgmproftester{written}, on pool {pool} with driver {driver}",
                            f"dcgmproftester{right}, of the driver's own CUDA; another one exits with 244",
                            f"write dcgmproftester{right}, or leave command and args out:\n"
                            "the container then asks the driver of its node",
                        )


def _homes(draft: Draft, selector: dict[str, str]) -> list[Node]:
    return [node for node in draft.settings.nodes if node.suits(selector)]


def _drivers(nodes: Sequence[Node]) -> list[tuple[str, str]]:
    """Pool and driver of those nodes whose pool declares it, each once."""
    return sorted({(node.pool, node.gpu.driver) for node in nodes if node.gpu and node.gpu.driver})


def _branch(driver: str) -> int:
    """580 of 580.126.20."""
    return int(driver.partition(".")[0])


DRIVER_RULES: tuple[Callable[[Draft], Iterator[Problem]], ...] = (images_suit_drivers, testers_suit_drivers)
