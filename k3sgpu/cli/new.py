"""Look at machines and write the stack file for them. Changes nothing on the machines.

HOST is [user@]address[:port]. The command asks for host keys and for sudo's password where it needs them;
every question has an option, and without a terminal the missing one is named.

It writes Pulumi.STACK.yaml and Pulumi.STACK.known_hosts, says whether anything is in the way, and prints the
slice map and the next commands.

Exit status 1: a machine has an error, so that nothing was written, or with --partial not everything.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from k3sgpu.cli.inputs import read_text
from k3sgpu.cli.output import print_progress
from k3sgpu.problem import InputError, Problem

if TYPE_CHECKING:
    from k3sgpu.discovery.candidates import Candidate, Seen
    from k3sgpu.discovery.host_arguments import HostArgument
    from k3sgpu.discovery.proposal import Choices
    from k3sgpu.handoff.inventory import HostEntry
    from k3sgpu.hosts.facts import Answer
    from k3sgpu.hosts.ssh import Failure
    from k3sgpu.settings.models.k3s import K3s

K3S_VERSION = "v1.36.2+k3s1"
"""The release that is proposed: the newest on which the rehearsal was run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stack", metavar="STACK", help="the stack's name: the file is Pulumi.STACK.yaml")
    parser.add_argument("hosts", metavar="HOST", nargs="*", help="a machine: [user@]address[:port]")
    parser.add_argument(
        "--from",
        metavar="FILE",
        dest="inventory",
        help="also the machines of an inventory: k3s-ansible's, SkyPilot's ssh_node_pools.yaml, or a list "
        "with one HOST a line",
    )
    login = parser.add_argument_group("logging in")
    login.add_argument("--user", default="root", help="the user of machines that name none (root)")
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
    _add_choices(parser.add_argument_group("what is proposed"))


def _add_choices(choices: argparse._ArgumentGroup) -> None:
    choices.add_argument(
        "--server",
        metavar="HOST",
        action="append",
        default=[],
        help="this machine is a server; three times for three servers (default: the first without a GPU)",
    )
    choices.add_argument(
        "--servers",
        type=int,
        choices=(1, 3),
        help="how many servers, where three or more machines have no GPU",
    )
    choices.add_argument(
        "--slices", type=_slices, metavar="N", help="slices of each card (1: shares nothing)"
    )
    choices.add_argument("--driver", choices=("host", "operator"), help="who installs NVIDIA's driver")
    choices.add_argument("--toolkit", choices=("host", "operator"), help="who installs the container toolkit")
    choices.add_argument(
        "--gpu",
        metavar="PRODUCT:MIB",
        type=_product,
        help="what cards are that no driver names, for instance NVIDIA-GeForce-RTX-2080-Ti:11264",
    )
    choices.add_argument("--k3s-version", metavar="VERSION", default=K3S_VERSION, help=f"({K3S_VERSION})")
    choices.add_argument("--mirror", metavar="URL", help="where k3s is downloaded from, as k3s.mirror")
    choices.add_argument(
        "--install-script-sha256",
        metavar="HASH",
        help="of k3s's install.sh, where it cannot be read from here",
    )
    choices.add_argument(
        "--waive", metavar="CHECK,...", default="", help="checks of the machines to leave out"
    )
    choices.add_argument(
        "--partial",
        action="store_true",
        help="write the file although a machine has an error or does not answer",
    )


def _slices(text: str) -> int:
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError("a number from 1 to 1000")
    return int(text)


def _product(text: str) -> tuple[str, int]:
    product, _, memory = text.rpartition(":")
    if not product or not re.fullmatch("[1-9][0-9]{2,6}", memory):
        raise argparse.ArgumentTypeError("PRODUCT:MIB, for instance NVIDIA-GeForce-RTX-2080-Ti:11264")
    return product, int(memory)


def run(options: argparse.Namespace) -> int:
    """Looks at the machines and writes the stack file. Returns the exit status: 1 if one has an error.

    Raises InputError and SettingsError for input that cannot be used.
    """
    from k3sgpu.cli import new_file, new_logins
    from k3sgpu.settings.files import release_pins

    files = new_file.check_names(options.stack)
    arguments = _arguments(options)
    release = release_pins.release(options.k3s_version, options.mirror)
    key = new_logins.private_key(options)
    candidates, problems = new_logins.candidates_of(arguments, options.user, key)
    servers = _named_servers(options.server, candidates)
    with ThreadPoolExecutor(1) as beside:  # a vendor that does not answer takes as long as the machines do
        pins = beside.submit(new_file.read_pins, release, options.install_script_sha256)
        trusted, unknown = new_logins.with_host_keys(candidates, options)
        machines, unanswered = look(trusted, release, options)
        problems += [*unknown, *unanswered]
        choices = _choices(options, machines, servers, ask=not problems or options.partial)
        return new_file.write(options, files, machines, choices, pins.result(), problems)


def look(
    candidates: Sequence[Candidate], release: K3s, options: argparse.Namespace
) -> tuple[list[Seen], list[Problem]]:
    """Asks all machines for their facts: those that have answered, and the problems of the others.

    Those whose sudo wants a password are asked again with it. Raises InputError where nobody can give it.
    """
    from k3sgpu.cli.new_logins import connection_problems, sudo_password
    from k3sgpu.discovery.candidates import needs_sudo_password, seen_of

    answers = _ask(candidates, "", release)
    refused = [one.candidate for one in seen_of(candidates, answers) if needs_sudo_password(one.facts)]
    if refused:
        again = [replace(one, sudo_password=True) for one in refused]
        answers |= _ask(again, sudo_password(again, options), release)
        candidates = [next((two for two in again if two.name == one.name), one) for one in candidates]
    return seen_of(candidates, answers), connection_problems(candidates, answers)


def _ask(candidates: Sequence[Candidate], password: str, release: K3s) -> dict[str, Answer | Failure]:
    from k3sgpu.handoff.inventory import downloads
    from k3sgpu.hosts.facts import collect_facts, facts_script
    from k3sgpu.hosts.logins import Secrets, logins_for

    entries = [one.entry("") for one in candidates]
    if not entries:
        return {}
    logins = logins_for(entries, Secrets(sudo_password=password), os.environ.get("SSH_AUTH_SOCK"))
    print_progress(f"looking at {len(entries)} machine{'s' if len(entries) > 1 else ''} ...")
    done: list[str] = []

    def answered(host: HostEntry, answer: Answer | Failure) -> None:
        done.append(host["name"])
        print_progress(f"  {len(done)} of {len(entries)}: {host['name']} {_in_short(answer)}")

    return asyncio.run(collect_facts(entries, logins, None, facts_script(downloads(release)), answered))


def _in_short(answer: Answer | Failure) -> str:
    from k3sgpu.hosts.facts import Answer

    if not isinstance(answer, Answer):
        return "did not tell what it is"
    return f"{answer.facts.one('hostname')}, {answer.facts.one('os')}"


def _arguments(options: argparse.Namespace) -> list[HostArgument]:
    from k3sgpu.discovery.host_arguments import parse_hosts, without_problems
    from k3sgpu.discovery.inventories import read_inventory

    named = parse_hosts(options.hosts)
    listed = read_inventory(*read_text(options.inventory)) if options.inventory else []
    if not named and not listed:
        raise InputError("no machine: pass HOST, [user@]address[:port], or --from INVENTORY")
    return without_problems([*named, *listed])


def _named_servers(named: Sequence[str], candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """The candidates' names that --server names. Raises InputError for another one, or an even number."""
    from k3sgpu.discovery.host_arguments import parse_hosts

    found: list[str] = []
    for one in parse_hosts(named):
        match = [
            candidate.name
            for candidate in candidates
            if one.address in (candidate.address, candidate.argument.address, candidate.argument.name)
            and one.port in (0, candidate.port)
        ]
        if len(match) != 1:
            among = ", ".join(candidate.name for candidate in candidates)
            raise InputError(f"--server {one.endpoint}: expected one of the machines: {among}")
        found += match
    if named and len(found) % 2 == 0:
        raise InputError(
            f"--server names {len(found)} servers; one, three or five: etcd needs more than half"
        )
    return tuple(found)


def _choices(
    options: argparse.Namespace, machines: Sequence[Seen], servers: tuple[str, ...], *, ask: bool
) -> Choices:
    from k3sgpu.cli import questions
    from k3sgpu.discovery.proposal import Choices, server_count_is_open

    choices = Choices(servers, options.servers, options.slices, options.driver, options.toolkit)
    if not ask or not server_count_is_open(machines, choices):
        return choices
    question = (
        "Three machines or more have no GPU. Three servers survive the loss of one; a single one is simpler. "
        "How many servers? 1 or 3:"
    )
    answer = questions.ask(question, "--servers 1 or --servers 3")
    if answer not in ("1", "3"):
        raise InputError(f"how many servers: {answer!r}, expected 1 or 3")
    return Choices(servers, int(answer), options.slices, options.driver, options.toolkit)
