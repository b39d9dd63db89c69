"""Runs the policy pack without Pulumi's language host for Python.

Where the engine finds no language host, it calls `pulumi-analyzer-policy-python ADDRESS .` in the pack's
folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rehearsal.process import run
from rehearsal.progress import Progress
from rehearsal.toolchain import cache

PACK = Path(__file__).resolve().parents[2] / "policy"
PIP_SECONDS = 300


def prepare(progress: Progress) -> Path:
    """The folder with the command that the engine calls, and with the pack's packages."""
    key = cache.digest((PACK / "requirements.txt").read_bytes(), str(interpreter()), sys.version)
    return cache.entry("policy", key, install, progress, "the policy pack's packages", 30)


def interpreter() -> Path:
    """This Python without its virtual environment, so that the command outlives this checkout."""
    return Path(sys.executable).resolve()


def install(place: Path) -> None:
    """Installs the packages into `place`/packages, apart from the program's: they include an older
    protobuf.
    """
    packages = Path("packages")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--target", place / packages, "-r", PACK / "requirements.txt"], timeout=PIP_SECONDS)
    command = place / "pulumi-analyzer-policy-python"
    command.write_text(
        "#!/bin/sh\n"
        'here=$(dirname "$(readlink -f "$0")")\n'
        f'PYTHONPATH=$here/{packages} exec {interpreter()} -u . "$@"\n'
    )
    command.chmod(0o755)
