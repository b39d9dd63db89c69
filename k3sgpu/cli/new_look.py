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
    from k3sgpu.settings.models.k3s import K3s


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


def with_known_cards(
    machines: Sequence[Seen], options: argparse.Namespace
) -> tuple[list[Seen], dict[str, CardKind], list[Problem]]:
    """The machines whose cards are known, or that have none; these cards; and the problems of the others."""
    from k3sgpu.discovery.card_kinds import Product, card_kinds

    kinds, unclear = card_kinds(machines, Product(*options.gpu) if options.gpu else None)
    return [one for one in machines if one.candidate.name in kinds or not one.has_gpu], kinds, unclear
