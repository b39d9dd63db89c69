"""A broken stack file with pieces of its message, and the functions that make one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from tests.data.stack_files import with_

NAMESPACE = "k3s-gpu-sharing:"
KEY = asyncssh.generate_private_key("ssh-ed25519")
LOCKED = KEY.export_private_key(passphrase="secret").decode()
PKCS8 = KEY.export_private_key("pkcs8-pem", passphrase="secret").decode()
HOST_KEY = " ".join(KEY.export_public_key().decode().split()[:2])


@dataclass(frozen=True)
class Broken:
    """A stack file, and a piece of each part of its only problem."""

    text: str
    path: str
    found: str
    expected: str
    remedy: str
    beside: Mapping[str, str | bytes] = field(default_factory=dict)
    """By name: files beside the stack file, which replace the valid key and known_hosts."""

    def write(self, folder: Path) -> Path:
        """Write the stack file, a private key and known_hosts to `folder`; the path of the stack file."""
        good = {"key": KEY.export_private_key(), "known": f"10.0.0.11,10.0.0.21,10.0.0.22 {HOST_KEY}\n"}
        for name, content in {**good, **self.beside}.items():
            (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        file = folder / "Pulumi.broken.yaml"
        file.write_text(self.text)
        return file


def text_of(changes: Mapping[str, Any]) -> str:
    """The good file with changes, as JSON, which is YAML."""
    config = {NAMESPACE + key: value for key, value in with_(changes).items()}
    return json.dumps({"config": config}, indent=1)


def existing(pools: str, path: str, found: str, expected: str, remedy: str, **more: str) -> Broken:
    """A stack file for an existing cluster; `more` adds or replaces keys."""
    keys = {"kubeconfig": "config", "pools": pools, **more}
    return written(
        "".join(f"  {NAMESPACE}{key}: {value}\n" for key, value in keys.items()),
        path,
        found,
        expected,
        remedy,
    )


def changed(
    changes: Mapping[str, Any], path: str, found: str, expected: str, remedy: str, **beside: str | bytes
) -> Broken:
    """The good file with changes. `beside` replaces files beside it."""
    return Broken(text_of({"ssh/knownHostsFile": "known", **changes}), path, found, expected, remedy, beside)


def written(text: str, path: str, found: str, expected: str, remedy: str) -> Broken:
    """A text below `config:` and a key of another namespace."""
    return Broken(f"config:\n  x:y: 1\n{text}", path, found, expected, remedy)
