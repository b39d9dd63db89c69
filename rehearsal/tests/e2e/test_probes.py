"""The stand-in plugins answer as recorded from the official ones; so do the official ones, if available."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.simulators import plugins
from rehearsal.tests.e2e.probes import deviations, probe
from rehearsal.tests.e2e.probes.place import EXPECTED, OFFICIAL_VARIABLE, PROBES, Place, official, place

CASES = [(plugin, one) for plugin, probes in PROBES.items() for one in probes]


@pytest.fixture(scope="module", params=["stand-in", "official"])
def plugins_folder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("plugins")
    if request.param == "stand-in":
        plugins.install(folder)
        return request.param, folder
    found = official(folder / "official")
    if found is None:
        pytest.skip(f"no official plugins on PATH, in Pulumi's plugin cache, or in {OFFICIAL_VARIABLE}")
    return request.param, found


@pytest.fixture(scope="module")
def surroundings(
    plugins_folder: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """A control plane for each set of plugins, because patches leave changes behind."""
    with place(tmp_path_factory.mktemp(plugins_folder[0])) as made:
        yield made


@pytest.mark.parametrize(("plugin", "one"), CASES, ids=lambda value: getattr(value, "name", value))
def test_probe(plugin: str, one: probe.Probe, surroundings: Place, plugins_folder: tuple[str, Path]) -> None:
    which, folder = plugins_folder
    recorded = probe.load(EXPECTED / f"{plugin}.json")[one.name]
    expected = deviations.expectation(one.name, recorded, standin=which == "stand-in")
    try:
        seen = probe.run(one, surroundings(one, folder))
    except probe.EngineStopped as stopped:
        print(stopped)  # shown where the second try fails as well
        seen = probe.run(one, surroundings(one, folder))
    assert not deviations.differences(expected, seen)


def test_every_deviation_is_probed() -> None:
    names = {one.name for _, one in CASES}
    assert {deviation.probe for deviation in deviations.PROBED} <= names


def test_nothing_is_recorded_that_is_not_probed() -> None:
    for plugin, probes in PROBES.items():
        assert probe.load(EXPECTED / f"{plugin}.json").keys() == {one.name for one in probes}
