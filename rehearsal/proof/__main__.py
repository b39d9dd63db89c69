"""`python -m rehearsal.proof --file Pulumi.dev.yaml`: does a real card offer what capacity computes?

It runs NVIDIA's own device plugin and feature discovery, built from their published module, with every
profile of a stack file, against a kubelet reduced to registration, ListAndWatch and Allocate. Everything is
put into a folder that can be copied to a machine with a card and its driver; it runs here if this is such a
machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from k3sgpu import capacity
from k3sgpu import settings as s
from rehearsal.lab.stack import STATE
from rehearsal.process import RehearsalError
from rehearsal.progress import Progress
from rehearsal.toolchain import golang

CARD = "CARD"  # stands for the product, which only the machine with the card knows


def main() -> int:
    """Returns 0 when the card offers what was computed, 1 when something differs, 2 when it could not run."""
    parser = argparse.ArgumentParser(prog="prove", description=__doc__)
    parser.add_argument("--file", required=True, help="the stack file, Pulumi.<stack>.yaml")
    parser.add_argument("--to", type=Path, default=STATE / "proof", help="the folder to copy to the machine")
    parser.add_argument("--output", help="a file for the tables, as Markdown")
    arguments = parser.parse_args()
    try:
        folder = prepare(s.read_stack_file(arguments.file), arguments.to, Progress())
    except (s.SettingsError, RehearsalError) as error:
        print(error, file=sys.stderr)
        return 2
    run = folder / "run"
    if not shutil.which("nvidia-smi"):
        print(f"no NVIDIA driver here: copy {folder} to a machine with a card, and there as root: ./run")
        return 2
    options = ["--output", arguments.output] if arguments.output else []
    return subprocess.run([run, *options]).returncode


def prepare(settings: s.Settings, folder: Path, progress: Progress) -> Path:
    """Puts everything that a proof needs into `folder`. Raises RehearsalError when a build fails."""
    expected = plan(settings)
    go = golang.toolchain(progress)
    programs = [golang.build(program, go, progress) for program in (golang.NVIDIA, golang.PROOF)]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in (path for built in programs for path in built.iterdir()):
        shutil.copy2(path, folder)
    source = golang.PROOF.source
    shutil.copy2(source / "run.sh", folder / "run")
    shutil.copy2(source / "cost.cu", folder)
    (folder / "plan.json").write_text(json.dumps(expected, indent=1))
    return folder


def plan(settings: s.Settings) -> dict[str, Any]:
    """What capacity computes for one card, by profile. Raises RehearsalError for a stack without cards."""
    pools = {name: pool for name, pool in settings.pools.items() if pool.gpu}
    if not pools:
        raise RehearsalError("no pool of this stack file has a gpu: section, so there is nothing to prove")
    name, pool = next(iter(sorted(pools.items())))
    return {
        "profiles": [
            _profile(profile, settings, {name: _with_one_card(pool, profile)})
            for profile in sorted(settings.sharing.profiles)
        ]
    }


def _with_one_card(pool: Any, profile: str) -> Any:
    card = {"product": CARD, "count": 1, "profile": profile}
    return pool.model_copy(update={"gpu": pool.gpu.model_copy(update=card)})


def _profile(name: str, settings: s.Settings, pools: Mapping[str, Any]) -> dict[str, Any]:
    offer = capacity.offers(dataclasses.replace(settings, pools=dict(pools)))[0]
    profile = settings.sharing.profiles[name]
    return {
        "name": name,
        "config": capacity.device_plugin_config(profile),
        "resources": offer.resources,
        # The machine may have several cards: of all counts only the devices are multiplied.
        "labels": {
            name: text for name, text in offer.discovered_labels.items() if not name.endswith(".count")
        },
        "strategy": offer.discovered_labels["nvidia.com/gpu.sharing-strategy"],
        "oneOnly": bool(profile.shared and profile.shared.fail_requests_greater_than_one),
    }


if __name__ == "__main__":
    sys.exit(main())
