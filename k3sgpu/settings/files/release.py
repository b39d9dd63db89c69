"""A release on this computer, for machines without a way out: which files they are brought."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from k3sgpu.problem import Problem, SettingsError
from k3sgpu.settings.files.release_pins import BINARIES, listed
from k3sgpu.settings.files.ssh_keys import resolve_path
from k3sgpu.settings.models.machines import Architecture, K3s
from k3sgpu.settings.models.stack import Settings

SCRIPT = "install.sh"
ReleaseFiles = dict[Architecture, dict[str, str]]
"""By architecture, the files that a machine is brought, and their SHA-256."""


def resolve_release_files(settings: Settings, base_dir: str | Path) -> ReleaseFiles:
    """What the machines are brought; empty without `k3s.airGap`.

    They lie in FOLDER/VERSION under the names that k3s's releases give them; a relative folder counts from
    `base_dir`. Raises SettingsError with all that are missing, or are not what the stack file or the
    release's own list says.
    """
    k3s = settings.k3s
    if k3s.air_gap is None:
        return {}
    release = _Release(resolve_path(k3s.air_gap, Path(base_dir)) / k3s.version, k3s)
    script = release.checked(SCRIPT, k3s.install_script_sha256, "k3s.installScriptSha256")
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
        """Those whose binary is there; the usual one where none is."""
        there: list[Architecture] = [
            name for name, binary in BINARIES.items() if (self.folder / binary).exists()
        ]
        return there or ["amd64"]

    def files(self, architecture: Architecture) -> dict[str, str]:
        """The binary, archives of images where there are some, and the list by which converge checks both."""
        binary, pin = BINARIES[architecture], self.k3s.binary_sha256.get(architecture)
        archives = sorted(path.name for path in self.folder.glob(f"k3s-airgap-images-{architecture}.tar*"))
        found, sums, list_name = dict[str, str](), dict[str, str](), f"sha256sum-{architecture}.txt"
        if archives or not pin:
            found[list_name] = self.checked(list_name)
            sums = listed((self.folder / list_name).read_bytes()) if found[list_name] else {}
        for name in (binary, *archives):
            pinned = pin if name == binary else None
            by = f"k3s.binarySha256.{architecture}" if pinned else list_name
            found[name] = self.checked(name, pinned or sums.get(name, ""), by)
        return found

    def checked(self, name: str, expected: str | None = None, by: str = "") -> str:
        """The SHA-256 of a file. A problem where it is not there, or not `expected` (None: any will do)."""
        file = self.folder / name
        try:
            with file.open("rb") as content:
                found = hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            self._refuse(
                f"{file}: {error.strerror}",
                "the release's files under their own names: k3s (for arm64: k3s-arm64), install.sh and "
                "sha256sum-amd64.txt",
                f"put it there: https://github.com/k3s-io/k3s/releases/tag/{self.k3s.version}\n"
                "has it, and install.sh stands at the tag of that name",
            )
            return ""
        if expected is not None and found != expected:
            self._refuse(
                f"{file} has sha256 {found}",
                f"{expected}, as {by} says" if expected else f"a file that {by} names",
                f"put the files of {self.k3s.version} there as the release has them, or correct the pin",
            )
        return found

    def _refuse(self, found: str, expected: str, remedy: str) -> None:
        self.problems.append(Problem("k3s.airGap", found, expected, remedy))
