"""Image archives without a registry and without Docker: one layer, made of files.

The form is that of `docker save`, which `ctr images import` and k3s read. The same files give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True)
class Image:
    """An image: its references, its `files` and `links` by their absolute path in it, and its configuration.

    A file is a path on this computer or a text. Both are executable, and belong to root.
    """

    references: tuple[str, ...]
    files: Mapping[str, Path | str]
    entry_point: tuple[str, ...]
    links: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""


def write(image: Image, path: Path) -> None:
    """Writes the archive of `image` to `path`; beside it there must be room for the layer once more."""
    layer = path.with_name(f".{path.name}.layer")
    with layer.open("wb") as stream:
        write_layer(image, stream)
    digest = digest_of(layer)
    config = json.dumps(configuration(image, digest), sort_keys=True).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    layer_name = f"{digest}.tar"
    manifest = [{"Config": config_name, "RepoTags": list(image.references), "Layers": [layer_name]}]
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive, layer.open("rb") as stream:
        add_bytes(archive, "manifest.json", json.dumps(manifest).encode(), mode=0o644)
        add_bytes(archive, config_name, config, mode=0o644)
        member = tarfile.TarInfo(layer_name)
        member.size = layer.stat().st_size
        archive.addfile(member, stream)
    layer.unlink()


def write_layer(image: Image, stream: BinaryIO) -> None:
    """Writes the root file system of `image` as a tar file, sorted by name."""
    named = [*image.files, *image.links]
    parents = {str(parent) for name in (*named, *image.folders) for parent in PurePosixPath(name).parents}
    folders = {*parents, *image.folders} - {"/"}
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as layer:
        for name in sorted({*folders, *named}):
            if name in image.links:
                member = tarfile.TarInfo(name.lstrip("/"))
                member.type, member.linkname, member.mode = tarfile.SYMTYPE, image.links[name], 0o777
                layer.addfile(member)
            elif name in image.files:
                content = image.files[name]
                data = content.encode() if isinstance(content, str) else content.read_bytes()
                add_bytes(layer, name.lstrip("/"), data, mode=0o755)
            else:
                member = tarfile.TarInfo(name.lstrip("/"))
                member.type, member.mode = tarfile.DIRTYPE, 0o1777 if name == "/tmp" else 0o755
                layer.addfile(member)


def configuration(image: Image, layer: str) -> dict[str, object]:
    """The configuration in the form of the OCI image specification; `layer` is the layer's SHA-256."""
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": EPOCH,
        "config": {
            "Entrypoint": list(image.entry_point),
            "Env": [f"{name}={value}" for name, value in image.environment.items()],
            "User": image.user,
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
        "history": [{"created": EPOCH, "created_by": "k3s-gpu-sharing"}],
    }


def add_bytes(archive: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    """Adds a file with `data` to `archive`."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), mode
    archive.addfile(member, io.BytesIO(data))


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
