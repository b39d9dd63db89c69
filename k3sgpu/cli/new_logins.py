"""How `new` logs in to machines that nobody has described yet: key, host keys, sudo's password."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from k3sgpu.cli.inputs import read_text
from k3sgpu.cli.output import print_progress
from k3sgpu.cli.questions import ask, ask_secret
from k3sgpu.problem import InputError, Problem, SettingsError

if TYPE_CHECKING:
    import argparse

    from k3sgpu.discovery.candidates import Candidate
    from k3sgpu.discovery.host_arguments import HostArgument
    from k3sgpu.discovery.stack_file_text import Inherited
    from k3sgpu.hosts.ssh import Failure

USUAL_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
"""Where ssh itself looks for a key."""
OWN_KNOWN_HOSTS = "~/.ssh/known_hosts"
KEYS_FLAG = "--accept-host-keys, or --known-hosts FILE with keys that you have checked"
PASSWORD_FLAG = "--sudo-password-file FILE (- is the standard input)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of logging in."""
    login = parser.add_argument_group("logging in")
    login.add_argument("--user", help="the user of machines that name none (root, or as the stack file says)")
    login.add_argument(
        "--key", metavar="FILE", help="the private key (default: that in ~/.ssh, or the SSH agent's)"
    )
    login.add_argument("--agent", action="store_true", help="use the SSH agent's keys")
    trust = login.add_mutually_exclusive_group()
    trust.add_argument(
        "--known-hosts", metavar="FILE", help="trust the host keys of this file, and no others"
    )
    trust.add_argument(
        "--accept-host-keys", action="store_true", help="trust the host keys that the machines show now"
    )
    login.add_argument(
        "--sudo-password-file", metavar="FILE", help="a file with sudo's password; - is the standard input"
    )


def private_key(options: argparse.Namespace, in_stack_file: str | None = None) -> str | None:
    """The file of the private key; None for the SSH agent's keys. `in_stack_file` goes before the usual ones.

    Raises InputError where there is neither, or where the key has a passphrase.
    """
    from k3sgpu.settings import is_encrypted

    agent = os.environ.get("SSH_AUTH_SOCK", "")
    if options.agent and not agent:
        raise InputError("--agent: SSH_AUTH_SOCK names no SSH agent; start one: eval $(ssh-agent); ssh-add")
    if options.agent:
        return None
    named = options.key or in_stack_file
    for file in [named] if named else USUAL_KEYS:
        if not named and not Path(file).expanduser().exists():
            continue
        text, _ = read_text(file)
        if not is_encrypted(text):
            return file
        if not agent:
            raise InputError(
                f"{file} has a passphrase, and nobody can type it during a run: pass --key FILE with a key "
                "without one (ssh-keygen -t ed25519 -N '' -f FILE; ssh-copy-id -i FILE USER@HOST), or start "
                "an SSH agent: eval $(ssh-agent); ssh-add"
            )
    if agent:
        return None
    raise InputError(
        f"no SSH key: none of {', '.join(USUAL_KEYS)} exists, and no SSH agent runs; pass --key FILE, or "
        "make one: ssh-keygen -t ed25519 -N '' -f ~/.ssh/id_ed25519; ssh-copy-id USER@HOST"
    )


def candidates_of(
    arguments: Sequence[HostArgument], login: Inherited
) -> tuple[list[Candidate], list[Problem]]:
    """The machines with their IPv4 addresses, and a problem for each name that has none.

    `login` is that of machines which name none. Raises SettingsError for addresses that no host may have, and
    where two machines have the same address and port.
    """
    from pydantic_core import PydanticCustomError

    from k3sgpu.discovery.candidates import Candidate
    from k3sgpu.discovery.host_arguments import same_endpoint
    from k3sgpu.hosts.names import ipv4_addresses
    from k3sgpu.hosts.ssh import Failure
    from k3sgpu.settings.models.addresses import ADDRESS

    addresses = asyncio.run(ipv4_addresses(one.address for one in arguments))
    found: dict[tuple[str, int], Candidate] = {}
    unnamed: list[Problem] = []
    wrong: list[Problem] = []
    for one in arguments:
        address = addresses[one.address]
        new = Candidate(
            one,
            one.address if isinstance(address, Failure) else address,
            one.port or login.port,
            one.user or login.user,
            one.key_file or login.key_file,
        )
        if isinstance(address, Failure):
            remedy = "correct the name, or write the address; names of ~/.ssh/config are not read"
            (problem,) = connection_problems([new], {new.name: address})
            unnamed.append(replace(problem, remedy=remedy))
            continue
        try:
            ADDRESS.check(address)
        except PydanticCustomError as error:
            shown = address if address == one.address else f"{one.address}, which is {address}"
            expected = str((error.context or {}).get("expected"))
            wrong.append(Problem(one.place, shown, expected, "write the address that the other machines use"))
            continue
        first = found.setdefault((new.address, new.port), new)
        if first is not new:
            wrong.append(same_endpoint(one, first.argument, new.name))
    if wrong:
        raise SettingsError(wrong)
    return list(found.values()), unnamed


def connection_problems(
    candidates: Sequence[Candidate], answers: Mapping[str, object], known_file: str = OWN_KNOWN_HOSTS
) -> list[Problem]:
    """The problems of the candidates whose answer is a Failure. `answers` are by candidate's name."""
    from k3sgpu.hosts.ssh import Failure
    from k3sgpu.hosts.ssh_errors import connection_problem

    failures = [(one, answers.get(one.name)) for one in candidates]
    return [
        connection_problem(one.entry(known_file), failure, "")
        for one, failure in failures
        if isinstance(failure, Failure)
    ]


def with_host_keys(
    candidates: Sequence[Candidate], options: argparse.Namespace, known_file: str = OWN_KNOWN_HOSTS
) -> tuple[list[Candidate], list[Problem]]:
    """The candidates whose host keys are trusted, and the problems of the others.

    A key is trusted that `known_file` has, or the file of --known-hosts, or that the user confirms; with
    --accept-host-keys any. Raises InputError where nobody can be asked, or somebody says no.
    """
    if options.known_hosts:
        file = options.known_hosts
        keys = _keys_in(file, candidates)
        return _keyed(candidates, keys), [_no_key(one, file) for one in candidates if one.name not in keys]
    shown = _shown_keys(candidates)
    known = _known_keys(known_file, candidates)
    problems = connection_problems(candidates, shown, known_file)
    keys = {name: key for name, key in shown.items() if isinstance(key, str)}
    changed = {name for name, key in keys.items() if name in known and _contradicts(known[name], key)}
    problems += _changed(_keyed(candidates, known), keys, changed, known_file)
    unknown = [
        one
        for one in candidates
        if one.name in keys and keys[one.name] != known.get(one.name) and one.name not in changed
    ]
    _confirm(unknown, keys, options, known_file)
    return _keyed(candidates, {name: key for name, key in keys.items() if name not in changed}), problems


def sudo_password(candidates: Sequence[Candidate], options: argparse.Namespace) -> str:
    """The password of sudo on these machines, all alike, from the file or the terminal. Raises InputError."""
    names = ", ".join(f"{one.user}@{one.name}" for one in candidates)
    if not options.sudo_password_file:
        return ask_secret(f"Password of sudo for {names}:", PASSWORD_FLAG)
    text, name = read_text(options.sudo_password_file)
    if not (password := text.rstrip("\n")):
        raise InputError(f"--sudo-password-file: {name} is empty")
    return password


def _known_keys(file: str, candidates: Sequence[Candidate]) -> dict[str, str]:
    """The candidates' keys in a known_hosts file; none where it does not exist."""
    return _keys_in(file, candidates) if Path(file).expanduser().exists() else {}


def _keys_in(file: str, candidates: Sequence[Candidate]) -> dict[str, str]:
    from k3sgpu.discovery.host_keys import keys_from

    text, name = read_text(file)
    try:
        return keys_from(text, candidates)
    except ValueError as error:
        raise InputError(f"{name} cannot be used as known_hosts: {error}") from None


def _shown_keys(candidates: Sequence[Candidate]) -> dict[str, str | Failure]:
    from k3sgpu.discovery.host_keys import fetch_host_keys

    print_progress(f"asking {len(candidates)} machine{'s' if len(candidates) > 1 else ''} for host keys ...")
    return asyncio.run(fetch_host_keys(candidates))


def _keyed(candidates: Sequence[Candidate], keys: Mapping[str, str]) -> list[Candidate]:
    return [replace(one, host_key=keys[one.name]) for one in candidates if one.name in keys]


def _contradicts(known: str, shown: str) -> bool:
    """Whether a machine shows another key of the type that is known; it may have keys of several types."""
    return known != shown and known.split()[0] == shown.split()[0]


def _changed(
    candidates: Sequence[Candidate], shown: Mapping[str, str], changed: set[str], known_file: str
) -> list[Problem]:
    from k3sgpu.discovery.host_keys import fingerprint
    from k3sgpu.hosts.ssh import Failure

    failures = {name: Failure("host-key", fingerprint(shown[name]), shown[name]) for name in changed}
    return connection_problems(candidates, failures, known_file)


def _no_key(one: Candidate, file: str) -> Problem:
    return Problem(
        one.name,
        f"no host key in {file}",
        "a key: without it nobody knows which machine answers",
        f"ssh-keyscan -p {one.port} -t ed25519 {one.address} >> {file}\n"
        "and compare its fingerprint on the machine",
        check="host-key",
    )


def _confirm(
    unknown: Sequence[Candidate], keys: Mapping[str, str], options: argparse.Namespace, known_file: str
) -> None:
    """Shows host keys that nobody knows yet, and has them confirmed. Raises InputError if they are not."""
    from k3sgpu.discovery.host_keys import fingerprint_table

    if not unknown:
        return
    print_progress(f"host keys that are not in {known_file}:\n{fingerprint_table(unknown, keys)}")
    if options.accept_host_keys:
        return
    print_progress(
        "each machine shows its own on its console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"
    )
    answer = ask("Are these the keys of your machines? yes or no:", KEYS_FLAG)
    if answer not in ("y", "yes"):
        raise InputError(f"host keys not confirmed; compare them on the machines, then again, or {KEYS_FLAG}")
