"""What a machine said about itself, as facts.sh prints it."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SCRIPT = Path(__file__).parent / "scripts" / "facts.sh"

_LINE = re.compile(r"([a-z][a-z0-9-]*)\t(.*)")


def facts_script(inventory: Mapping[str, Any]) -> str:
    """facts.sh, told what the machines of an inventory have to reach."""
    downloads, server = inventory.get("downloads", []), inventory.get("registration", "")
    hosts = [urlsplit(url).hostname or "" for url in downloads] + [server]
    # An address needs no name service.
    names = dict.fromkeys(name for name in hosts if re.search("[a-z]", name, re.IGNORECASE))
    told = {"downloads": " ".join(downloads), "server": server, "names": " ".join(names)}
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in told.items()) + SCRIPT.read_text()


@dataclass(frozen=True)
class Facts:
    """Values by name, in the order they came. An empty value counts as not said."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def all(self, name: str) -> tuple[str, ...]:
        return self.values.get(name, ())

    def one(self, name: str) -> str:
        """The first value of `name`, "" when the machine did not say."""
        return next(iter(self.all(name)), "")

    def number(self, name: str) -> int | None:
        """The first value of `name` as a number, None when it is none."""
        value = self.one(name)
        return int(value) if value.isdecimal() else None

    @property
    def complete(self) -> bool:
        """facts.sh got to its end."""
        return self.one("end") == "ok"


def parse(text: str) -> Facts:
    """Reads the lines of facts.sh; what a login shell prints around them is passed over."""
    values: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        if (match := _LINE.fullmatch(line)) and match[2].strip():
            values[match[1]] = (*values.get(match[1], ()), match[2].strip())
    return Facts(values)
