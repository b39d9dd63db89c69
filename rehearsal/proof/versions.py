"""The versions of the parts that a proof runs on."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping

from rehearsal.process import run
from rehearsal.toolchain import golang
from rehearsal.toolchain.toolbox import Tools

# By the name of a part: the folder of the module that pins it, and the module that it comes from.
PINS: Mapping[str, tuple[str, str]] = {
    "Kubernetes": ("kubernetes", "k8s.io/kubernetes"),
    "containerd": ("containers", "github.com/containerd/containerd/v2"),
    "CNI plugins": ("containers", "github.com/containernetworking/plugins"),
    "runc": ("runc", "github.com/opencontainers/runc"),
    "NVIDIA Container Toolkit": ("toolkit", "github.com/NVIDIA/nvidia-container-toolkit"),
    "NVIDIA device plugin": ("nvidia", "github.com/NVIDIA/k8s-device-plugin"),
    "node feature discovery": ("nfd", "sigs.k8s.io/node-feature-discovery"),
    "kine": ("kine", "github.com/k3s-io/kine"),
}
VERSION_SECONDS = 20


def of_parts(tools: Tools) -> dict[str, str]:
    """By part: its version. Raises RehearsalError when the engine does not run."""
    found = {name: pinned(folder, module) for name, (folder, module) in PINS.items()}
    engine = run([tools.pulumi, "version"], timeout=VERSION_SECONDS).strip()
    return {"Linux": platform.release(), **found, "Pulumi": engine}


def pinned(folder: str, module: str) -> str:
    """The version of `module` in the go.mod of a folder of simulators/go."""
    text = (golang.GO_FOLDER / folder / "go.mod").read_text()
    found = re.search(rf"^\s*(?:require )?{re.escape(module)} (\S+)", text, re.MULTILINE)
    return found[1] if found else "unknown"
