"""Which provider plugins the engine gets: the official ones where they can be had, stand-ins otherwise."""

import os
import shutil
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

from rehearsal.progress import Progress
from rehearsal.simulators import plugins
from rehearsal.toolchain import cache

DOWNLOAD_SECONDS = 60
ASK_AGAIN_SECONDS = 24 * 3600


def install_plugins(home: Path, pulumi: Path, progress: Progress) -> dict[str, str]:
    """Fills the plugin cache of the engine whose PULUMI_HOME is `home`.

    Returns by plugin name where it came from, for people to read. A plugin on PATH goes before the cache.
    """
    stand_ins = home / "stand-ins"
    plugins.install(stand_ins)
    origins = {}
    for name in plugins.NAMES:
        official = on_path(name) or cached(name) or downloaded(name, pulumi, progress)
        place = home / "plugins" / f"resource-{name}-v{wanted(name)}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        executable = f"pulumi-resource-{name}"
        (place / executable).symlink_to(official or stand_ins / executable)
        origins[name] = f"Pulumi's ({official})" if official else "stand-in"
    return origins


def on_path(name: str) -> Path | None:
    """The plugin that somebody has put on PATH; the engine takes it at any version."""
    found = shutil.which(f"pulumi-resource-{name}")
    return Path(found) if found else None


def cached(name: str) -> Path | None:
    """The plugin of the SDK's version in Pulumi's own plugin cache."""
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    found = home / "plugins" / f"resource-{name}-v{wanted(name)}" / f"pulumi-resource-{name}"
    return found if found.exists() else None


def downloaded(name: str, pulumi: Path, progress: Progress) -> Path | None:
    """The plugin from the vendor's host, None where that cannot be reached; asked once a day."""
    refused = cache.folder() / f"no-plugin-{name}-{wanted(name)}"
    if refused.exists() and time.time() - refused.stat().st_mtime < ASK_AGAIN_SECONDS:
        return None
    with progress.step(f"Pulumi's {name} plugin", "10 s, or not to be had"):
        try:
            subprocess.run(
                [pulumi, "plugin", "install", "resource", name, wanted(name)],
                capture_output=True,
                timeout=DOWNLOAD_SECONDS,
                check=True,
                env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            refused.parent.mkdir(parents=True, exist_ok=True)
            refused.touch()
            progress.note(f"  not to be had here; rehearsal/simulators/plugins/{name} takes its place")
    return cached(name)


def wanted(name: str) -> str:
    """The plugin version that belongs to the installed SDK."""
    return version(f"pulumi-{name}")
