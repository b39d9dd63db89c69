"""NVIDIA's device plugin and feature discovery, on simulated cards: they offer what the project says."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k3sgpu import capacity
from k3sgpu import settings as s
from rehearsal.lab.engine import ROOT
from rehearsal.lab.gpus import PCI, Gpus, render_files
from rehearsal.lab.stack import machine
from rehearsal.process import run
from rehearsal.progress import Progress
from rehearsal.tests.e2e.nvidia_programs import MACHINE, simulated_machine
from rehearsal.toolchain import golang, nvml

RECORDED = golang.GO_FOLDER / "gpusim/internal/gpu/testdata/h200"
H200 = Gpus("NVIDIA-H200", 1, 143771, driver="580.159.04")
A100 = Gpus("NVIDIA-A100-SXM4-40GB", 2, 40960)
MEMORY_MIB = {"NVIDIA-GeForce-RTX-2080-Ti": 11264, "Tesla-T4": 15360, "NVIDIA-H200": 143771}
SHARING_FILES = {
    "none": "",
    "ts6": "sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 6}]}}",
    "ts6rename": "sharing: {timeSlicing: {renameByDefault: true, "
    "resources: [{name: nvidia.com/gpu, replicas: 6}]}}",
    "mps4": "sharing: {mps: {resources: [{name: nvidia.com/gpu, replicas: 4}]}}",
    "migonly": "sharing: {timeSlicing: {resources: [{name: nvidia.com/mig-1g.18gb, replicas: 2}]}}",
    "both": "sharing: {mps: {resources: [{name: nvidia.com/gpu, replicas: 4}]}, "
    "timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 6}]}}",
}
MIXED = "{flags: {migStrategy: mixed}}"
SINGLE = "{flags: {migStrategy: single}}"
MIXED_SHARED = (
    "{flags: {migStrategy: mixed}, sharing: {timeSlicing: {resources: "
    "[{name: nvidia.com/mig-1g.5gb, replicas: 2}, {name: nvidia.com/gpu, replicas: 6}]}}}"
)
# Cards divided by MIG, with sharing files
DIVIDED = {
    "a100-whole-partitions": (A100, {"7g.40gb": 1}, SINGLE),
    "a100-alike": (A100, {"1g.5gb": 7}, SINGLE),
    "a100-unlike": (A100, {"1g.5gb": 2, "1g.10gb": 1, "3g.20gb": 1}, MIXED_SHARED),
    "a100-unlike-single": (A100, {"1g.5gb": 2, "3g.20gb": 1}, SINGLE),
    "a100-media": (A100, {"1g.5gb+me": 1, "2g.10gb": 3}, MIXED),
    "a100-strategy-none": (A100, {"1g.5gb": 7}, "{}"),
    "h200-alike": (H200, {"1g.18gb": 7}, SINGLE),
    "h200-unlike": (H200, {"1g.18gb": 1, "2g.35gb": 1, "4g.71gb": 1}, MIXED),
    "h200-whole-partition": (H200, {"7g.141gb": 1}, MIXED),
}
STACK_FILES = sorted([*ROOT.glob("Pulumi.*.yaml"), *(ROOT / "docs/examples").glob("Pulumi.*.yaml")])


@pytest.fixture(scope="module")
def programs() -> Path:
    return golang.build(golang.NVIDIA, golang.toolchain(Progress()), Progress())


@pytest.fixture(scope="module")
def library() -> bytes:
    return (nvml.build(golang.toolchain(Progress()), Progress()) / nvml.LIBRARY).read_bytes()


@pytest.mark.parametrize("name", SHARING_FILES)
def test_simulated_cards_are_labelled_as_real_ones(name: str, programs: Path, library: bytes, tmp_path: Path):
    tested = simulated_machine(tmp_path, H200, programs, library)
    recorded = (RECORDED / f"labels.{name}").read_text().splitlines()
    assert tested.labels(f"version: v1\n{SHARING_FILES[name]}\n") == dict(
        line.split("=", 1) for line in recorded
    )


def declared() -> Iterator[tuple[str, s.Settings, s.Node]]:
    """The hosts with cards of all stack files, one for each pool."""
    for path in STACK_FILES:
        settings = s.read_stack_file(str(path))
        pools = {node.pool: node for node in settings.machines if node.gpu}
        yield from ((f"{path.stem}-{pool}", settings, node) for pool, node in pools.items())


@pytest.mark.parametrize(("settings", "node"), [pytest.param(*case, id=name) for name, *case in declared()])
def test_offers_are_what_nvidias_programs_offer(
    settings: s.Settings, node: s.Node, programs: Path, library: bytes, tmp_path: Path
):
    cards = machine(node, settings).gpus
    assert cards
    tested = simulated_machine(tmp_path, cards, programs, library)
    profile = settings.sharing.profiles[node.gpu.profile] if node.gpu else None
    assert profile
    offer = next(one for one in capacity.offers(settings) if one.name == node.name)
    config = capacity.device_plugin_config(profile)
    promised = offer.discovered_labels
    assert {name: tested.labels(config).get(name) for name in promised} == promised
    if not profile.mps:  # with MPS the plugin waits for its control daemon
        offered = {name: count for name, count in offer.resources.items() if count}
        assert tested.resources(config) == offered


def cases() -> Iterator[tuple[str, Gpus, str]]:
    """All products that the simulator knows, with sharing files; and divided cards."""
    for product in PCI:
        for name, text in SHARING_FILES.items():
            yield f"{product}-{name}", Gpus(product, 2, MEMORY_MIB.get(product, 81559)), text or "{}"
    for name, (cards, partitions, text) in DIVIDED.items():
        yield name, dataclasses.replace(cards, mig=partitions), text


def test_the_simulator_agrees_with_nvidias_programs(programs: Path, library: bytes, tmp_path: Path):
    written: list[dict[str, Any]] = []
    for name, cards, text in cases():
        tested = simulated_machine(tmp_path / name, cards, programs, library)
        config = f"version: v1\n{text}\n" if text.startswith("sharing") else text
        single = len(cards.mig) > 1 and text == SINGLE  # the plugin refuses unlike partitions then
        asked = cards.product in (H200.product, A100.product) and "mps" not in text and not single
        written.append(
            {
                "name": name,
                "machine": json.loads(render_files(cards, MACHINE)[0]),
                "config": config,
                "labels": tested.labels(config),
                "resources": tested.resources(config) if asked else None,
            }
        )
    (tmp_path / "cases.json").write_text(json.dumps(written))
    output = run(
        [golang.toolchain(Progress()).command, "test", "-count=1", "-v", "-run", "Nvidias", "./internal/gpu"],
        timeout=300,
        cwd=golang.GPUSIM.source,
        env={"GOTOOLCHAIN": "local", "GOWORK": "off", "NVIDIA_CASES": str(tmp_path / "cases.json")},
    )
    assert output.count("--- PASS: TestSimulationAgreesWithNvidiasPrograms/") == len(written)
