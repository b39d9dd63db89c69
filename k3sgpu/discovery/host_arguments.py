"""The machines that a user names on the command line: [user@]address[:port]."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from k3sgpu.foreign_text import escape
from k3sgpu.problem import Problem, SettingsError
from k3sgpu.settings.models.addresses import HOST, PORT

Role = Literal["server", "agent", ""]

EXPECTED = "[user@]address[:port], the address a name or an IPv4 address"
_REMEDY = "write for instance ubuntu@10.0.0.11 or 10.0.0.11:2222"
_HOST = re.compile(
    rf"(?:(?P<user>[A-Za-z_][A-Za-z0-9_.-]{{0,31}})@)?(?P<address>{HOST})(?::(?P<port>{PORT}))?"
)


@dataclass(frozen=True)
class HostArgument:
    """A machine that the user named, by the command line or in an inventory."""

    address: str
    """A name or an IPv4 address."""
    place: str
    """Where it is named, for messages: `HOST gpu.example.org` or `hosts.ini: line 4`."""
    user: str = ""
    """The login's user; "" where none is named."""
    port: int = 0
    """SSH's port; 0 where none is named."""
    role: Role = ""
    """What an inventory says it is; "" where nothing does."""
    name: str = ""
    """The name that an inventory has for it, where that is no address."""
    key_file: str = ""
    """The file of the private key that an inventory names."""

    @property
    def endpoint(self) -> str:
        """The address with its port where one is named, as known_hosts and messages show it."""
        return f"{self.address}:{self.port}" if self.port else self.address


def parse_host(text: str, place: str) -> HostArgument | Problem:
    """The machine that `text` names, or the problem of a text that names none."""
    match = _HOST.fullmatch(text)
    if not match:
        found = "an IPv6 address" if text.count(":") > 1 else "no such text"
        return Problem(place, f"{escape(text, 80)}: {found}", EXPECTED, _REMEDY)
    return HostArgument(match["address"], place, match["user"] or "", int(match["port"] or 0))


def parse_hosts(texts: Iterable[str]) -> list[HostArgument]:
    """The machines of the command line. Raises SettingsError with every text that names none."""
    return without_problems(parse_host(text, f"HOST {escape(text, 80)}") for text in texts)


def same_endpoint(one: HostArgument, first: HostArgument, endpoint: str) -> Problem:
    """The problem of a machine that `first` names already."""
    found = f"{endpoint} is named twice (also: {first.place})"
    return Problem(one.place, found, "each machine once", "remove one of them")


def without_problems(parsed: Iterable[HostArgument | Problem]) -> list[HostArgument]:
    """The machines. Raises SettingsError with all problems if there is one, also for one named twice."""
    hosts: dict[tuple[str, int], HostArgument] = {}
    problems: list[Problem] = []
    for one in parsed:
        if isinstance(one, Problem):
            problems.append(one)
            continue
        first = hosts.setdefault((one.address, one.port), one)
        if first is not one:
            problems.append(same_endpoint(one, first, one.endpoint))
    if problems:
        raise SettingsError(problems)
    return list(hosts.values())
