"""What the rules check: the readable part of a stack file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k3sgpu.problem import Severity
from k3sgpu.settings.model_paths import Loc
from k3sgpu.settings.models.kubelet_flags import KUBERNETES_MINOR
from k3sgpu.settings.models.resolved import NO_K3S, Settings


@dataclass(frozen=True)
class Draft:
    """A stack file as far as it could be read.

    Keys with a problem of their own are left out of `settings`; `damaged` holds their paths. Before a rule
    reports a missing key, it calls `intact`: the key may be there but invalid. `raw` is the file as written.
    """

    settings: Settings
    raw: Mapping[str, Any]
    damaged: frozenset[Loc]

    def intact(self, *prefix: str) -> bool:
        """Whether no key at, below or above this path was left out."""
        return not any(loc[: len(prefix)] == prefix or prefix[: len(loc)] == loc for loc in self.damaged)

    def section(self, name: str) -> Mapping[str, Any]:
        """A section as written; empty where it is missing or no mapping."""
        written = self.raw.get(name)
        return written if isinstance(written, Mapping) else {}

    @property
    def flag_severity(self) -> Severity:
        """The severity of an unknown flag: a warning if the tables are not those of the k3s release."""
        version = self.settings.k3s.version
        in_tables = version == NO_K3S or version.split(".")[1] == str(KUBERNETES_MINOR)
        return "error" if in_tables else "warning"
