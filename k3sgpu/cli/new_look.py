"""What `new` and its --add do before they write: read which machines are meant, and look at them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from k3sgpu.cli.inputs import read_text
from k3sgpu.cli.output import print_progress
from k3sgpu.problem import InputError, Problem

if TYPE_CHECKING:
    import argparse

    from k3sgpu.discovery.candidates import Candidate, Seen
    from k3sgpu.discovery.card_kinds import CardKind
    from k3sgpu.discovery.host_arguments import HostArgument
    from k3sgpu.handoff.inventory import HostEntry
    from k3sgpu.hosts.facts import Answer
    from k3sgpu.hosts.ssh import Failure


def arguments(options: argparse.Namespace) -> list[HostArgument]:
    """The machines that the command line and the inventory name. Raises InputError and SettingsError."""
    from k3sgpu.discovery.host_arguments import parse_hosts, without_problems
    from k3sgpu.discovery.inventories import read_inventory

    named = parse_hosts(options.hosts)
    listed = read_inventory(*read_text(options.inventory)) if options.inventory else []
    if not named and not listed:
        raise InputError("no machine: pass HOST, [user@]address[:port], or --from INVENTORY")
    return without_problems([*named, *listed])


def look(
    candidates: Sequence[Candidate], urls: Sequence[str], options: argparse.Namespace
) -> tuple[list[Seen], list[Problem], str]:
    """Asks all machines for their facts: those that have answered, the problems of the others, and sudo's
    password, "" where none wants it. `urls`: what the machines must be able to download.

    Those whose sudo wants a password are asked again with it. Raises InputError where nobody can give it.
    """
    from k3sgpu.cli.new_logins import connection_problems, sudo_password
    from k3sgpu.discovery.candidates import needs_sudo_password, seen_of

    answers, password = _ask(candidates, "", urls), ""
    refused = [one.candidate for one in seen_of(candidates, answers) if needs_sudo_password(one.facts)]
    if refused:
        again = [replace(one, sudo_password=True) for one in refused]
        password = sudo_password(again, options)
        answers |= _ask(again, password, urls)
        candidates = [next((two for two in again if two.name == one.name), one) for one in candidates]
    return seen_of(candidates, answers), connection_problems(candidates, answers), password


def _ask(candidates: Sequence[Candidate], password: str, urls: Sequence[str]) -> dict[str, Answer | Failure]:
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

    return asyncio.run(collect_facts(entries, logins, None, facts_script(urls), answered))


def _in_short(answer: Answer | Failure) -> str:
    from k3sgpu.hosts.facts import Answer

    if not isinstance(answer, Answer):
        return "did not tell what it is"
    return f"{answer.facts.one('hostname')}, {answer.facts.one('os')}"


def with_known_cards(
    machines: Sequence[Seen], options: argparse.Namespace
) -> tuple[list[Seen], dict[str, CardKind], list[Problem]]:
    """The machines whose cards are known, or that have none; these cards; and the problems of the others."""
    from k3sgpu.discovery.card_kinds import Product, card_kinds

    kinds, unclear = card_kinds(machines, Product(*options.gpu) if options.gpu else None)
    return [one for one in machines if one.candidate.name in kinds or not one.has_gpu], kinds, unclear
