"""What could be read of a stack file: the rules that span keys look at it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k3sgpu.settings.model_paths import Loc
from k3sgpu.settings.models.stack import Settings


@dataclass(frozen=True)
class Draft:
    """What could be read. Damaged paths were left out of `settings`: there, absence proves nothing."""

    settings: Settings
    raw: Mapping[str, Any]
    damaged: frozenset[Loc]

    def intact(self, *prefix: str) -> bool:
        """Nothing at or below this path, and no key above it, was left out."""
        return not any(loc[: len(prefix)] == prefix or prefix[: len(loc)] == loc for loc in self.damaged)

    def section(self, name: str) -> Mapping[str, Any]:
        """A section as it is written; empty where it is none."""
        written = self.raw.get(name)
        return written if isinstance(written, Mapping) else {}
