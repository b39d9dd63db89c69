"""`python -m tests.rehearsal.probes.record [PROBE…]`: keeps what probes show with the official plugins.

The plugins come from the folder in PULUMI_OFFICIAL_PLUGINS, from PATH or from Pulumi's plugin cache.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from rehearsal.tests.e2e.probes import probe
from rehearsal.tests.e2e.probes.place import EXPECTED, OFFICIAL_VARIABLE, PROBES, official, place


def main(names: list[str]) -> int:
    """Records the probes called `names`, or all of them. Returns the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        plugins = official(root / "official")
        if plugins is None:
            sys.stderr.write(
                f"No official plugins: put them on PATH, or name their folder in {OFFICIAL_VARIABLE}.\n"
            )
            return 2
        with place(root) as surroundings:
            for plugin, probes in PROBES.items():
                path = EXPECTED / f"{plugin}.json"
                recorded = probe.load(path) if names else {}
                for one in probes:
                    if not names or one.name in names:
                        sys.stderr.write(f"{plugin}: {one.name}\n")
                        recorded[one.name] = probe.run(one, surroundings(one, plugins))
                probe.save(path, recorded)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
