"""Check the release files on this computer that are uploaded to air-gapped hosts (k3s.airGap)."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from k3sgpu.problem import Problem, SettingsError
from k3sgpu.settings.files.release_pins import BINARIES, listed
from k3sgpu.settings.files.ssh_keys import resolve_path
from k3sgpu.settings.models.k3s import Architecture, K3s
from k3sgpu.settings.models.resolved import Settings

SCRIPT = "install.sh"
ReleaseFiles = dict[Architecture, dict[str, str]]
"""By architecture: the files to upload to a host, and their SHA-256."""


def resolve_release_files(settings: Settings, base_dir: str | Path) -> ReleaseFiles:
    """The files to upload; empty without k3s.airGap.

    They lie in FOLDER/VERSION under the names of k3s's releases; a relative folder starts at `base_dir`.
    Raises SettingsError with every file that is missing or whose SHA-256 differs from the stack file or the
    release's own list.
    """
    k3s = settings.k3s
    if k3s.air_gap is None:
        return {}
    release = _Release(resolve_path(k3s.air_gap, Path(base_dir)) / k3s.version, k3s)
    script = release.sha256_of(SCRIPT, k3s.install_script_sha256, "k3s.installScriptSha256")
    files: ReleaseFiles = {name: {SCRIPT: script, **release.files(name)} for name in release.architectures}
    if release.problems:
        raise SettingsError(release.problems)
    return files


@dataclass(frozen=True)
class _Release:
    folder: Path
    k3s: K3s
    problems: list[Problem] = field(default_factory=list)

    @property
    def architectures(self) -> list[Architecture]:
        """The architectures whose binary exists; amd64 where none does."""
        present: list[Architecture] = [
            name for name, binary in BINARIES.items() if (self.folder / binary).exists()
        ]
        return present or ["amd64"]

    def files(self, architecture: Architecture) -> dict[str, str]:
        """The binary, the image archives if any, and the checksum list by which converge.sh checks them."""
        binary, pin = BINARIES[architecture], self.k3s.binary_sha256.get(architecture)
        archives = sorted(path.name for path in self.folder.glob(f"k3s-airgap-images-{architecture}.tar*"))
        found, sums, list_name = dict[str, str](), dict[str, str](), f"sha256sum-{architecture}.txt"
        if archives or not pin:
            found[list_name] = self.sha256_of(list_name)
            sums = listed((self.folder / list_name).read_bytes()) if found[list_name] else {}
        for name in (binary, *archives):
            pinned = pin if name == binary else None
            by = f"k3s.binarySha256.{architecture}" if pinned else list_name
            found[name] = self.sha256_of(name, pinned or sums.get(name, ""), by)
        return found

    def sha256_of(self, name: str, expected: str | None = None, by: str = "") -> str:
        """The SHA-256 of a file. Adds a problem if it is missing or is not `expected` (None: any)."""
        file = self.folder / name
        try:
            with file.open("rb") as content:
                found = hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            self._add_problem(
                f"{file}: {error.strerror}",
                "the release's files under their own names: k3s (for arm64: k3s-arm64), install.sh and "
                "sha256sum-amd64.txt",
                f"download it: https://github.com/k3s-io/k3s/releases/tag/{self.k3s.version}\n"
                "has the files, and the tag of that name has install.sh",
            )
            return ""
        if expected is not None and found != expected:
            self._add_problem(
                f"{file} has sha256 {found}",
                f"{expected}, as {by} says" if expected else f"a file that {by} names",
                f"download the files of {self.k3s.version} again, or correct the SHA-256",
            )
        return found

    def _add_problem(self, found: str, expected: str, remedy: str) -> None:
        self.problems.append(Problem("k3s.airGap", found, expected, remedy))
