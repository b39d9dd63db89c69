"""Which provider plugins the engine gets: the official ones where they can be had, stand-ins otherwise."""

import os
import shutil
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

from rehearsal import cache, plugins
from rehearsal.progress import Progress

DOWNLOAD_SECONDS = 60
ASK_AGAIN_SECONDS = 24 * 3600


def provide(folder: Path, pulumi: Path, progress: Progress) -> dict[str, str]:
    """Fills `folder` so that the engine, with it in front of PATH, finds every plugin.

    Returns by plugin name where it came from, for people to read.
    """
    shutil.rmtree(folder, ignore_errors=True)
    plugins.install(folder)
    return {name: _better(name, folder, pulumi, progress) for name in plugins.NAMES}


def _better(name: str, folder: Path, pulumi: Path, progress: Progress) -> str:
    """Puts the official plugin in the stand-in's place, and says which of the two it is now."""
    place = folder / f"pulumi-resource-{name}"
    official = on_path(name) or cached(name) or downloaded(name, pulumi, progress)
    if official is None:
        return "stand-in"
    place.unlink()
    place.symlink_to(official)
    return f"Pulumi's ({official})"


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
            progress.note(
                f"  not to be had here; the stand-in under rehearsal/plugins/{name} takes its place"
            )
    return cached(name)


def wanted(name: str) -> str:
    """The plugin version that belongs to the installed SDK."""
    return version(f"pulumi-{name}")
