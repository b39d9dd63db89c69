"""`python -m rehearsal.proof --file Pulumi.dev.yaml`: does a real card offer what capacity promises?

NVIDIA's own device plugin and feature discovery, built from their published module, and a kubelet reduced to
registration, ListAndWatch and Allocate: every profile of a stack file in turn, on any machine with a card and
its driver. They are put into a folder that can be carried to such a machine, and run here where there is one.
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

CARD = "CARD"  # the product, which only the machine with the card knows


def main() -> int:
    """Exit status 0 as promised, 1 something differs, 2 could not look."""
    parser = argparse.ArgumentParser(prog="prove", description=__doc__)
    parser.add_argument("--file", required=True, help="the stack file, Pulumi.<stack>.yaml")
    parser.add_argument("--to", type=Path, default=STATE / "proof", help="the folder to carry")
    parser.add_argument("--output", help="a file for the tables, as Markdown")
    arguments = parser.parse_args()
    try:
        carried = prepare(s.read_stack_file(arguments.file), arguments.to, Progress())
    except (s.SettingsError, RehearsalError) as error:
        print(error, file=sys.stderr)
        return 2
    run = carried / "run"
    if not shutil.which("nvidia-smi"):
        print(f"no NVIDIA driver here: copy {carried} to a machine with a card, and there as root: ./run")
        return 2
    options = ["--output", arguments.output] if arguments.output else []
    return subprocess.run([run, *options]).returncode


def prepare(settings: s.Settings, folder: Path, progress: Progress) -> Path:
    """Puts everything a proof needs into `folder`. Raises RehearsalError when Go or a module is missing."""
    promised = plan(settings)
    go = golang.toolchain(progress)
    programs = [golang.build(program, go, progress) for program in (golang.NVIDIA, golang.PROOF)]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in (path for built in programs for path in built.iterdir()):
        shutil.copy2(path, folder)
    source = golang.PROOF.source
    shutil.copy2(source / "run.sh", folder / "run")
    shutil.copy2(source / "cost.cu", folder)
    (folder / "plan.json").write_text(json.dumps(promised, indent=1))
    return folder


def plan(settings: s.Settings) -> dict[str, Any]:
    """What capacity promises of one card, by profile. Raises RehearsalError for a stack without cards."""
    pools = {name: pool for name, pool in settings.pools.items() if pool.gpu}
    if not pools:
        raise RehearsalError(
            "no pool of this stack file has a gpu: section, so it promises nothing of a card"
        )
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
        # A promise is made for one card, and of all that is counted only the devices are multiplied.
        "labels": {
            name: text for name, text in offer.discovered_labels.items() if not name.endswith(".count")
        },
        "strategy": offer.discovered_labels["nvidia.com/gpu.sharing-strategy"],
        "oneOnly": bool(profile.shared and profile.shared.fail_requests_greater_than_one),
    }


if __name__ == "__main__":
    sys.exit(main())
