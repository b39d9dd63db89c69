"""Where probes run: a machine, a control plane with somebody who plays its kubelets, the engine and helm."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rehearsal.lab import providers
from rehearsal.simulators import plugins
from rehearsal.tests.e2e.controlplane import BINARIES_VARIABLE, control_plane
from rehearsal.tests.e2e.probes import command_probes, kubernetes_probes
from rehearsal.tests.e2e.probes.kubelet import kubelet
from rehearsal.tests.e2e.probes.machine import machine
from rehearsal.tests.e2e.probes.probe import Probe, Surroundings
from rehearsal.toolchain import toolbox

# Folder of the official plugins; without it they are looked for on PATH and in Pulumi's plugin cache.
OFFICIAL_VARIABLE: Final = "PULUMI_OFFICIAL_PLUGINS"
EXPECTED: Final = Path(__file__).parent / "expected"
PROBES: Final = {"command": command_probes.PROBES, "kubernetes": kubernetes_probes.PROBES}

Place = Callable[[Probe, Path], Surroundings]


@contextmanager
def place(root: Path) -> Iterator[Place]:
    """Starts everything, with files in `root`. Gives what makes a probe's surroundings for given plugins."""
    programs, pulumi, helm = _programs()
    (root / "control-plane").mkdir()
    with (
        machine() as reached,
        control_plane(root / "control-plane", programs) as cluster,
        kubelet(cluster),
    ):

        def surroundings(probe: Probe, plugins_folder: Path) -> Surroundings:
            folder = root / f"{probe.name}-{len(list(root.iterdir()))}"
            folder.mkdir()
            return Surroundings(
                folder=folder,
                plugins=plugins_folder,
                pulumi=pulumi,
                machine=reached,
                control_plane=cluster,
                tools=(helm.parent,),
                replaced={"server": cluster.server},
            )

        yield surroundings


def _programs() -> tuple[Path, Path, Path]:
    """The folder of the control plane's programs, the engine, and helm."""
    folder = os.environ.get(BINARIES_VARIABLE)
    if folder:
        return Path(folder), Path(folder) / "pulumi", Path(folder) / "helm"
    tools = toolbox.prepare()
    return tools.bin, tools.pulumi, tools.helm


def official(folder: Path) -> Path | None:
    """A folder with links to both official plugins; None where one of them is not to be had."""
    named = os.environ.get(OFFICIAL_VARIABLE)
    found = {
        name: shutil.which(f"pulumi-resource-{name}", path=named)
        if named
        else providers.on_path(name) or providers.cached(name)
        for name in plugins.NAMES
    }
    if not all(found.values()):
        return None
    folder.mkdir(exist_ok=True)
    for name, path in found.items():
        (folder / f"pulumi-resource-{name}").symlink_to(str(path))
    return folder
