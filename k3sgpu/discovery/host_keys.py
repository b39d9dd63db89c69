"""Host keys of machines: those that they show to a stranger, fingerprints, and lines for known_hosts."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import asyncssh

from k3sgpu.discovery.candidates import Candidate
from k3sgpu.hosts.fleet import MAX_LOGINS
from k3sgpu.hosts.ssh import Failure, shown_host_key
from k3sgpu.settings.files.ssh_keys import HOST_KEY_TYPES, export_key, trusted_key
from k3sgpu.settings.models.nodes import SSH_PORT


async def fetch_host_keys(candidates: Sequence[Candidate]) -> dict[str, str | Failure]:
    """By candidate's name, the host key that the machine shows, as a public key line, or why it shows none.

    Nobody has checked these keys yet. Takes at most SSH_CONNECT_SECONDS for each MAX_LOGINS machines.
    """
    asking = asyncio.Semaphore(MAX_LOGINS)

    async def ask(one: Candidate) -> str | Failure:
        async with asking:
            shown = await shown_host_key(one.address, one.port, HOST_KEY_TYPES)
        return shown if isinstance(shown, Failure) else export_key(shown)

    keys = await asyncio.gather(*(ask(one) for one in candidates))
    return {one.name: key for one, key in zip(candidates, keys, strict=True)}


def keys_from(known_hosts: str, candidates: Iterable[Candidate]) -> dict[str, str]:
    """By candidate's name, its key in the text of a known_hosts file; those without a key are left out.

    Raises ValueError for a text that is no known_hosts file.
    """
    known = asyncssh.import_known_hosts(known_hosts)
    found = {one.name: trusted_key(known, one.address, one.port)[0] for one in candidates}
    return {name: key for name, key in found.items() if key}


def fingerprint(key: str) -> str:
    """The fingerprint of a public key line, as `ssh-keygen -l` prints it: SHA256:…"""
    return asyncssh.import_public_key(key).get_fingerprint()


def fingerprint_table(candidates: Sequence[Candidate], keys: Mapping[str, str]) -> str:
    """The machines with the type and the fingerprint of their keys, a line each."""
    width = max((len(one.name) for one in candidates), default=0)
    rows = [(one.name, keys[one.name]) for one in candidates if one.name in keys]
    return "\n".join(f"  {name:<{width}}  {_kind(key):<7}  {fingerprint(key)}" for name, key in rows)


def known_hosts_lines(candidates: Iterable[Candidate]) -> str:
    """The lines of a known_hosts file for these machines."""
    return "".join(f"{_pattern(one)} {one.host_key}\n" for one in candidates)


def _pattern(one: Candidate) -> str:
    return one.address if one.port == SSH_PORT else f"[{one.address}]:{one.port}"


def _kind(key: str) -> str:
    kind = key.split()[0]
    return "ecdsa" if kind.startswith("ecdsa") else kind.removeprefix("ssh-")
