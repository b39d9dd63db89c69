"""Stand-ins for Pulumi's `command` and `kubernetes` resource plugins, for machines that cannot download them.

They model what this project's graph uses, with the official plugins' semantics; anything else raises
NotModelled. Expectations recorded from the official plugins hold them to that (rehearsal/tests/e2e/probes).
"""

from __future__ import annotations

import shlex
import stat
import sys
from pathlib import Path

NAMES = ("command", "kubernetes")

_LAUNCHER = """\
#!/bin/sh
# Starts a stand-in for Pulumi's {name} plugin. The folder it runs in stays the program's, and nothing is
# added to the environment: local commands inherit both.
exec {python} -P -c {code} "$@"
"""


def install(bin_dir: Path, python: Path | str = sys.executable) -> list[Path]:
    """Writes the executables `pulumi-resource-command` and `pulumi-resource-kubernetes` into `bin_dir`.

    The engine finds them when `bin_dir` is on PATH. `python` needs this project's requirements.
    Returns the files written; writing them again changes nothing.
    """
    return [
        launcher(bin_dir, name, f"rehearsal.simulators.plugins.{name}.__main__", python) for name in NAMES
    ]


def launcher(bin_dir: Path, name: str, module: str, python: Path | str = sys.executable) -> Path:
    """Writes the executable that the engine starts for plugin `name`: `main()` of a module."""
    bin_dir.mkdir(parents=True, exist_ok=True)
    root = str(Path(__file__).resolve().parents[3])
    code = f"import sys; sys.path.insert(0, {root!r}); from {module} import main; main()"
    target = bin_dir / f"pulumi-resource-{name}"
    target.write_text(_LAUNCHER.format(name=name, python=shlex.quote(str(python)), code=shlex.quote(code)))
    target.chmod(target.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return target
