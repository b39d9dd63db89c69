"""The SHA-256 of a k3s release's files, from the files themselves and the release's own checksum lists."""

import hashlib
import re
from collections.abc import Callable, Sequence
from http.client import HTTPException
from typing import get_args
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

from pydantic import ValidationError

from k3sgpu.foreign_text import escape
from k3sgpu.problem import SettingsError
from k3sgpu.settings.models.k3s import RELEASES, Architecture, K3s
from k3sgpu.settings.models.resolved import Settings
from k3sgpu.settings.models.sections import Sections
from k3sgpu.settings.pydantic_errors import translate
from k3sgpu.timeouts import PINS_SECONDS

LARGEST = 4 * 1024 * 1024
"""Bytes; k3s's install script has some 40 KiB, a release's list of checksums less than one."""

# As k3s's releases name the binary for each processor.
BINARIES: dict[Architecture, str] = {"amd64": "k3s", "arm64": "k3s-arm64"}


class ReadError(Exception):
    """A hash that cannot be read. Its text is for the user."""


def release(
    version: str, mirror: str | None, script_sha256: str | None = None, waive: Sequence[str] = ()
) -> K3s:
    """The settings of a release by its version, at a mirror or where k3s publishes.

    `script_sha256` and `waive` (of `doctor`) are checked with it, so that all mistakes are found at once.
    Raises SettingsError.
    """
    k3s = {"version": version, "mirror": mirror or RELEASES}
    if script_sha256:
        k3s["installScriptSha256"] = script_sha256
    raw = {"k3s": k3s, "doctor": {"waive": list(waive)}, "pools": {}}
    try:
        return Settings.of(Sections.model_validate(raw), frozenset()).k3s
    except ValidationError as error:
        raise SettingsError(translate(Sections, error, raw)) from None


def pins(k3s: K3s, read: Callable[[str], bytes]) -> tuple[str | None, dict[Architecture, str], list[str]]:
    """The SHA-256 of install.sh, that of the binary by architecture, and why each missing one is missing."""
    unread: list[str] = []

    def known(pin: Callable[[], str]) -> str | None:
        try:
            return pin()
        except ReadError as error:
            unread.append(str(error))
            return None

    script = known(lambda: script_sha256(k3s, read))
    found = {name: known(lambda name=name: binary_sha256(k3s, name, read)) for name in get_args(Architecture)}
    return script, {name: sha256 for name, sha256 in found.items() if sha256}, unread


def script_sha256(k3s: K3s, read: Callable[[str], bytes]) -> str:
    """The SHA-256 of install.sh at the release's tag.

    Raises ReadError, also for a text that is no shell script, such as the login page of a proxy.
    """
    url = k3s.install_script_url
    script = read(url)
    if not script.startswith(b"#!/bin/sh"):
        raise ReadError(
            f"installScriptSha256: {url} begins with {script[:20]!r}, expected k3s's install script "
            "(#!/bin/sh): open the address in a browser"
        )
    return hashlib.sha256(script).hexdigest()


def binary_sha256(k3s: K3s, architecture: Architecture, read: Callable[[str], bytes]) -> str:
    """The SHA-256 of the binary in the release's own checksum file. Raises ReadError."""
    version = k3s.version if k3s.mirror.startswith("file:") else quote(k3s.version)
    url = f"{k3s.mirror}/{version}/sha256sum-{architecture}.txt"
    sums = listed(read(url))
    if sha256 := sums.get(BINARIES[architecture]):
        return sha256
    raise ReadError(
        f"binarySha256.{architecture}: {url} names {escape(', '.join(sums)) or 'no file'}, "
        f"expected {BINARIES[architecture]}: is {k3s.version} a release of k3s?"
    )


def listed(sums: bytes) -> dict[str, str]:
    """The SHA-256 by file name in a release's checksum list (sha256sum-amd64.txt)."""
    found = re.findall(r"^([0-9a-f]{64})[ \t]+\*?(\S+)$", sums.decode("utf-8", "replace"), re.MULTILINE)
    return {name: sha256 for sha256, name in found}


def stack_file_lines(k3s: K3s, script: str | None, binaries: dict[Architecture, str]) -> str:
    """The lines to paste into the stack file."""
    lines = ["  k3s-gpu-sharing:k3s:", f"    version: {k3s.version}"]
    if k3s.mirror != RELEASES:
        lines.append(f"    mirror: {k3s.mirror}")
    if script:
        lines.append(f"    installScriptSha256: {script}")
    if binaries:
        lines += ["    binarySha256:", *(f"      {name}: {sha256}" for name, sha256 in binaries.items())]
    return "\n".join(lines)


def read(url: str) -> bytes:
    """The contents of a release's file, over HTTPS or from this computer. Raises ReadError."""
    try:
        with urlopen(url, timeout=PINS_SECONDS) as answer:
            if urlsplit(answer.url).scheme != urlsplit(url).scheme:
                raise ReadError(f"{url} led to {escape(answer.url)}, expected an https address")
            content = answer.read(LARGEST + 1)
    except (OSError, HTTPException) as error:
        raise ReadError(
            f"{url}: {escape(error)}; check that this computer reaches it, or name a mirror"
        ) from error
    if len(content) > LARGEST:
        raise ReadError(
            f"{url}: more than {LARGEST // 1024} KiB, which no file of that name in a release has"
        )
    return content
