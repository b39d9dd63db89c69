"""What one look tells the next, so that an agent more is looked at without asking all that were there before.

It is what the program's look prints, and comes back to it as PULUMI_COMMAND_STDOUT. A look that found an
error leaves nothing behind: the next one asks the same machines again.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from k3sgpu.hosts.facts import Facts

CACHED_FACTS = ("machine-id", "product-uuid", "hostname")
"""The facts by which a new machine is told from one that is not asked again."""

MAX_BYTES = 100_000
"""Bytes. Both of a look's streams come back in the environment of the next (PULUMI_COMMAND_STDOUT, _STDERR),
and Linux takes no longer string than 128 KiB there (execve(2))."""


def host_digests(inventory: Mapping[str, Any], *rest: str) -> dict[str, str]:
    """By host: a digest of all that its verdict depends on beside the machine itself.

    That is what doctor was told of it and of the cluster, without the other hosts, and `rest`. Secrets may be
    among that, so the digest is one as well.
    """
    servers = sum(host["role"] == "server" for host in inventory["hosts"])
    common = {**inventory, "hosts": servers}

    def digest(host: Mapping[str, Any]) -> str:
        return hashlib.sha256(json.dumps([common, host, rest], sort_keys=True).encode()).hexdigest()[:16]

    return {host["name"]: digest(host) for host in inventory["hosts"]}


def write_cache(digests: Mapping[str, str], facts: Mapping[str, Facts]) -> str:
    """The text for the next look, from what everybody said; none where it would be too long to come back."""
    kept = {name: [digests[name], *(said.one(fact) for fact in CACHED_FACTS)] for name, said in facts.items()}
    text = json.dumps(kept, separators=(",", ":"))
    return text if len(text) <= MAX_BYTES else ""


def shorten_report(report: str) -> str:
    """A report that can come back, which nobody reads there: its end is left out where it is too long."""
    if len(report.encode()) <= MAX_BYTES:
        return report
    begin = report.encode()[:MAX_BYTES].decode(errors="ignore").rpartition("\n")[0]
    return f"{begin}\n… and more: python -m k3sgpu doctor hosts --file Pulumi.<stack>.yaml shows all of it"


def read_cache(text: str, digests: Mapping[str, str]) -> dict[str, Facts]:
    """By host: what is still known of it, where nothing has changed since the look that left `text`."""
    try:
        kept = json.loads(text)
        return {
            name: Facts({fact: (value,) for fact, value in zip(CACHED_FACTS, values, strict=True) if value})
            for name, (digest, *values) in kept.items()
            if digests.get(name) == digest
        }
    except (ValueError, TypeError, AttributeError):
        return {}  # no look before, or one of another version of this program
