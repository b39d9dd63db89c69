"""NVIDIA's device plugin and feature discovery, on simulated cards: they offer what the project says."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from k3sgpu import capacity
from k3sgpu import settings as s
from rehearsal.lab.engine import ROOT
from rehearsal.lab.gpus import Gpus
from rehearsal.lab.stack import machine
from rehearsal.progress import Progress
from rehearsal.tests.e2e.nvidia_programs import simulated_machine
from rehearsal.toolchain import golang, nvml

RECORDED = golang.GO_FOLDER / "gpusim/internal/gpu/testdata/h200"
H200 = Gpus("NVIDIA-H200", 1, 143771, driver="580.159.04")
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
