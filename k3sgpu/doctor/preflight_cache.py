"""The cache between two preflights: when an agent is added, the unchanged agents are not checked again.

The Pulumi program's preflight prints it on stdout, and Pulumi passes it to the next preflight as
PULUMI_COMMAND_STDOUT. A preflight that found an error prints none: the next one checks all machines again.
"""

import json
from collections.abc import Mapping

from k3sgpu.digest import digest
from k3sgpu.doctor.rules.between_hosts import COMPARED_FACTS
from k3sgpu.handoff.environment import MAX_CHARACTERS
from k3sgpu.handoff.inventory import Inventory
from k3sgpu.hosts.facts import Facts

_DIGEST_LENGTH = 16
"""Hexadecimal digits of each digest in the cache."""


def host_digests(inventory: Inventory, *rest: str) -> dict[str, str]:
    """Returns, by host name, a digest of the inputs of the host's check.

    The inputs are the host's entry, the inventory without the other hosts, and `rest`, for instance the
    secrets. What its machine answers is not among them. A digest of secrets is itself a secret.
    """
    hosts = inventory["hosts"]
    # Of the other hosts only the number of servers matters, and whether there are any.
    common = {**inventory, "hosts": [sum(host["role"] == "server" for host in hosts), len(hosts) > 1]}
    return {host["name"]: digest([common, host, rest], _DIGEST_LENGTH) for host in hosts}


def write_cache(digests: Mapping[str, str], facts: Mapping[str, Facts]) -> str:
    """The text for the next preflight; "" where it would be too long to be passed on.

    `digests` and `facts`: by host name, as of this preflight.
    """
    rows = {name: [digests[name], *(one.one(fact) for fact in COMPARED_FACTS)] for name, one in facts.items()}
    text = json.dumps(rows, separators=(",", ":"))
    return text if len(text) <= MAX_CHARACTERS else ""


def read_cache(text: str, digests: Mapping[str, str]) -> dict[str, Facts]:
    """By host name, the facts in `text` about the hosts whose digest is still the same."""
    try:
        return {
            name: Facts({fact: (value,) for fact, value in zip(COMPARED_FACTS, values, strict=True) if value})
            for name, (stored, *values) in json.loads(text).items()
            if digests.get(name) == stored
        }
    except (ValueError, TypeError, AttributeError):
        return {}  # no preflight before, or one of another version of this program


def shorten_report(report: str) -> str:
    """Cuts the end of a report that is too long: Pulumi passes stderr on too, as PULUMI_COMMAND_STDERR."""
    if len(report.encode()) <= MAX_CHARACTERS:
        return report
    begin = report.encode()[:MAX_CHARACTERS].decode(errors="ignore").rpartition("\n")[0]
    return f"{begin}\n… and more: python -m k3sgpu doctor hosts --file Pulumi.<stack>.yaml shows all of it"
