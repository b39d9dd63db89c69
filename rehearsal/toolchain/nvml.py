"""Builds the stand-in for NVIDIA's management library (NVML), which runs NVIDIA's programs without a card.

It is compiled against NVIDIA's own header nvml.h, from the published module go-nvml, so every structure has
NVIDIA's layout. A function of the header that the stand-in does not implement answers "not supported".
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from rehearsal.process import run
from rehearsal.progress import Progress
from rehearsal.toolchain import cache, golang

SOURCE = golang.REHEARSAL / "simulators" / "nvml"
LIBRARY = "libnvidia-ml.so.1"
BINDINGS = "github.com/NVIDIA/go-nvml"  # pinned by the module of NVIDIA's programs
DOWNLOAD_SECONDS = 300
COMPILE_SECONDS = 120
NOT_SUPPORTED = 3  # NVML_ERROR_NOT_SUPPORTED


def build(go: golang.Go, progress: Progress) -> Path:
    """The folder with the library, from the cache or built now."""
    pins = (golang.NVIDIA.source / "go.sum").read_text()
    key = cache.digest(
        cache.digest_of_files(SOURCE),
        Path(__file__).read_bytes(),
        *(line for line in pins.splitlines() if line.startswith(f"{BINDINGS} ")),
    )
    what = "building the stand-in for NVIDIA's management library"
    return cache.entry("nvml", key, lambda place: compile_into(place, go), progress, what, 5)


def compile_into(place: Path, go: golang.Go) -> None:
    """Builds the library into the folder `place`."""
    header = header_folder(go) / "nvml.h"
    fallbacks = place / "fallbacks.c"
    fallbacks.write_text(fallback_source(header.read_text()))
    command = ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"]
    command += ["-DNVML_NO_UNVERSIONED_FUNC_DEFS", "-isystem", str(header.parent)]
    command += [f"-Wl,-soname,{LIBRARY}", "-o", str(place / LIBRARY)]
    run([*command, *sorted(SOURCE.glob("*.c")), fallbacks], timeout=COMPILE_SECONDS)
    fallbacks.unlink()


def header_folder(go: golang.Go) -> Path:
    """The folder with NVIDIA's header, downloaded if it is missing."""
    output = run(
        [go.command, "mod", "download", "-json", BINDINGS],
        timeout=DOWNLOAD_SECONDS,
        cwd=golang.NVIDIA.source,
        env={"GOTOOLCHAIN": "local", "GOWORK": "off"},
    )
    return Path(json.loads(output)["Dir"]) / "pkg" / "nvml"


def fallback_source(header: str) -> str:
    """A C program text with every function that `header` declares, each weak and without support."""
    names = sorted(set(re.findall(r"nvmlReturn_t +DECLDIR +(nvml\w+)", header)))
    lines = [f"__attribute__((weak)) int {name}(void) {{ return {NOT_SUPPORTED}; }}" for name in names]
    return "\n".join(lines) + "\n"
