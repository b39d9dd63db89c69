"""NVIDIA's container toolkit on a machine with real containers, as its Debian packages install it."""

from __future__ import annotations

import shutil
from pathlib import Path

from rehearsal.process import run

CONFIGURATION = Path("/etc/nvidia-container-runtime/config.toml")
SECONDS = 30


def install(programs: Path, root: Path) -> None:
    """Copies the toolkit's `programs` into `root`, and writes its configuration unless there is one.

    The package nvidia-container-toolkit-base makes that file in the same way when it is installed.
    """
    for program in sorted(programs.iterdir()):
        target = root / "usr/bin" / program.name
        target.unlink(missing_ok=True)  # a program that runs cannot be written to
        shutil.copy2(program, target)
    if not (root / CONFIGURATION.relative_to("/")).exists():
        (root / CONFIGURATION.relative_to("/")).parent.mkdir(parents=True, exist_ok=True)
        command = ["nvidia-ctk", "--quiet", "config", f"--config-file={CONFIGURATION}", "--in-place"]
        run(["chroot", root, *command], timeout=SECONDS)
