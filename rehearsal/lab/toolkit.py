"""NVIDIA's container toolkit on a machine with real containers, as its Debian packages install it."""

from __future__ import annotations

import filecmp
import shutil
from pathlib import Path

from rehearsal.process import run

CONFIGURATION = Path("/etc/nvidia-container-runtime/config.toml")
SECONDS = 30


def install(programs: Path, root: Path) -> None:
    """Copies the toolkit's `programs` into `root`, and writes its configuration unless there is one.

    Works on a running machine, where a program that has not changed stays as it is. The package
    nvidia-container-toolkit-base makes that file in the same way when it is installed.
    """
    for program in sorted(programs.iterdir()):
        target = root / "usr/bin" / program.name
        if not target.exists() or not filecmp.cmp(program, target, shallow=False):
            new = target.with_name(f".{target.name}.new")
            shutil.copy2(program, new)
            new.rename(target)  # a container that starts meanwhile finds one of both
    if not (root / CONFIGURATION.relative_to("/")).exists():
        (root / CONFIGURATION.relative_to("/")).parent.mkdir(parents=True, exist_ok=True)
        command = ["nvidia-ctk", "--quiet", "config", f"--config-file={CONFIGURATION}", "--in-place"]
        run(["chroot", root, *command], timeout=SECONDS)
