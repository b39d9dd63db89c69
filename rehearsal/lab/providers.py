"""Installs the engine's provider plugins: the official ones if available, stand-ins otherwise."""

import os
import shutil
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

from rehearsal.progress import Progress
from rehearsal.simulators import plugins
from rehearsal.toolchain import cache, toolbox

DOWNLOAD_SECONDS = 60
ASK_AGAIN_SECONDS = 24 * 3600


def install_plugins(home: Path, pulumi: Path, progress: Progress) -> dict[str, str]:
    """Fills the plugin cache of the engine with PULUMI_HOME `home`. Returns the origin of each plugin by
    name.

    A plugin on PATH precedes the cache.
    """
    stand_ins = home / "stand-ins"
    plugins.install(stand_ins)
    origins = {}
    for name in plugins.NAMES:
        official = on_path(name) or cached(name) or download(name, pulumi, progress)
        place = home / "plugins" / f"resource-{name}-v{sdk_version(name)}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        executable = f"pulumi-resource-{name}"
        (place / executable).symlink_to(official or stand_ins / executable)
        origins[name] = f"Pulumi's ({official})" if official else "stand-in"
    return origins


def on_path(name: str) -> Path | None:
    """The plugin on PATH; the engine accepts any version of it."""
    found = shutil.which(f"pulumi-resource-{name}")
    return Path(found) if found else None


def cached(name: str) -> Path | None:
    """The plugin of the SDK's version in Pulumi's own plugin cache."""
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    found = home / "plugins" / f"resource-{name}-v{sdk_version(name)}" / f"pulumi-resource-{name}"
    return found if found.exists() else None


def download(name: str, pulumi: Path, progress: Progress) -> Path | None:
    """The plugin from the vendor's host; None when it cannot be reached. It is tried once a
    day, and not by a bundle, which is for computers without a network."""
    if toolbox.bundled():
        return None
    refused = cache.folder() / f"no-plugin-{name}-{sdk_version(name)}"
    if refused.exists() and time.time() - refused.stat().st_mtime < ASK_AGAIN_SECONDS:
        return None
    with progress.step(f"Pulumi's {name} plugin", "10 s, or not available"):
        try:
            subprocess.run(
                [pulumi, "plugin", "install", "resource", name, sdk_version(name)],
                capture_output=True,
                timeout=DOWNLOAD_SECONDS,
                check=True,
                env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            refused.parent.mkdir(parents=True, exist_ok=True)
            refused.touch()
            progress.note(f"  not available here; rehearsal/simulators/plugins/{name} replaces it")
    return cached(name)


def sdk_version(name: str) -> str:
    """The version of the installed SDK, which is the plugin's as well."""
    return version(f"pulumi-{name}")
