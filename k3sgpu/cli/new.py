"""Look at machines and write the stack file for them. Changes nothing on the machines.

HOST is [user@]address[:port]. The command asks for host keys and for sudo's password where it needs them;
every question has an option, and without a terminal the missing one is named.

It writes Pulumi.STACK.yaml and Pulumi.STACK.known_hosts, says whether anything is in the way, and prints the
slice map and the next commands.

Exit status 1: a machine has an error, so that nothing was written, or with --partial not everything.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from k3sgpu.cli import new_logins
from k3sgpu.problem import InputError

if TYPE_CHECKING:
    from k3sgpu.discovery.candidates import Candidate, Seen
    from k3sgpu.discovery.proposal import Choices
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
    new_logins.add_arguments(parser)
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
    choices.add_argument("--k3s-version", metavar="VERSION", help=f"the release of k3s ({K3S_VERSION})")
    add_machine_choices(choices)
    choices.add_argument(
        "--add", action="store_true", help="add the machines to the stack file, as agents; its text stays"
    )
    choices.add_argument(
        "--partial",
        action="store_true",
        help="write the file although a machine has an error or does not answer",
    )


def add_machine_choices(choices: argparse._ArgumentGroup) -> None:
    """Adds the options about machines that `adopt` has as well."""
    choices.add_argument(
        "--gpu",
        metavar="PRODUCT:MIB",
        type=_product,
        help="what cards are that no driver names, for instance NVIDIA-GeForce-RTX-2080-Ti:11264",
    )
    choices.add_argument("--mirror", metavar="URL", help="where k3s is downloaded from, as k3s.mirror")
    choices.add_argument(
        "--install-script-sha256",
        metavar="HASH",
        help="of k3s's install.sh, where it cannot be read from here",
    )
    choices.add_argument(
        "--waive", metavar="CHECK,...", type=_names, default=[], help="checks of the machines to leave out"
    )


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _slices(text: str) -> int:
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError("a number from 1 to 1000")
    return int(text)


def _product(text: str) -> tuple[str, int]:
    from k3sgpu.gpu_products import product_label

    name, _, memory = text.rpartition(":")
    product = product_label(name)  # nvidia-smi's name will do as well
    if not product or not re.fullmatch("[1-9][0-9]{2,6}", memory):
        raise argparse.ArgumentTypeError("PRODUCT:MIB, for instance NVIDIA-GeForce-RTX-2080-Ti:11264")
    return product, int(memory)


def check_release_options(options: argparse.Namespace, version: str | None = None) -> K3s:
    """The release that the options name.

    Raises SettingsError with every option that a stack file cannot have. Call it before machines are asked.
    """
    from k3sgpu.settings.files import release_pins

    return release_pins.release(
        version or K3S_VERSION, options.mirror, options.install_script_sha256, options.waive
    )


def run(options: argparse.Namespace) -> int:
    """Looks at the machines and writes the stack file. Returns the exit status: 1 if one has an error.

    Raises InputError and SettingsError for input that cannot be used.
    """
    from k3sgpu.cli import new_addition

    return new_addition.run(options) if options.add else _new(options)


def _new(options: argparse.Namespace) -> int:
    from k3sgpu.cli import new_file, new_look
    from k3sgpu.discovery.stack_file_text import Inherited
    from k3sgpu.handoff.inventory import downloads
    from k3sgpu.settings.models.nodes import SSH_PORT

    files = new_file.check_names(options.stack)
    arguments = new_look.arguments(options)
    release = check_release_options(options, options.k3s_version)
    login = Inherited(options.user or "root", SSH_PORT, new_logins.private_key(options))
    candidates, problems = new_logins.candidates_of(arguments, login)
    servers = _named_servers(options.server, candidates)
    # Beside the machines: a vendor that does not answer takes as long as they do.
    pins = new_file.start_reading_pins(release, options.install_script_sha256)
    trusted, unknown = new_logins.with_host_keys(candidates, options)
    answered, unanswered, _ = new_look.look(trusted, downloads(release), options)
    machines, kinds, unclear = new_look.with_known_cards(answered, options)
    problems += [*unknown, *unanswered, *unclear]
    choices = _choices(options, machines, servers, complete=not problems or options.partial)
    return new_file.write(options, files, machines, kinds, choices, pins(), problems)


def _named_servers(named: Sequence[str], candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """The names of the candidates that --server names. Raises InputError for another one."""
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
    return tuple(found)


def _choices(
    options: argparse.Namespace, machines: Sequence[Seen], servers: tuple[str, ...], *, complete: bool
) -> Choices:
    """The choices, with the servers. Asks how many where that is open.

    `complete`: the file may be written. Else the choices are for the report alone: nobody is asked, and one
    server will do. Raises InputError for an even number of servers, and where those that were named did not
    answer.
    """
    from k3sgpu.discovery.proposal import Choices, choose_servers, server_count_is_open

    choices = Choices(servers, options.servers, options.slices, options.driver, options.toolkit)
    if complete and server_count_is_open(machines, choices):
        choices = replace(choices, server_count=_ask_server_count())
    chosen = tuple(one.candidate.name for one in choose_servers(machines, choices))
    if not complete or not machines:
        return replace(choices, servers=chosen[:1] or tuple(one.candidate.name for one in machines[:1]))
    if len(chosen) % 2 == 0:
        raise InputError(
            f"{len(chosen)} servers{': ' if chosen else ''}{', '.join(chosen)}; expected one, three or five "
            "that answer, because etcd needs more than half of them: pass --server HOST, once or three times"
        )
    return replace(choices, servers=chosen)


def _ask_server_count() -> int:
    from k3sgpu.cli import questions

    question = (
        "Three machines or more have no GPU. Three servers survive the loss of one; a single one is simpler. "
        "How many servers? 1 or 3:"
    )
    answer = questions.ask(question, "--servers 1 or --servers 3")
    if answer not in ("1", "3"):
        raise InputError(f"how many servers: {answer!r}, expected 1 or 3")
    return int(answer)
