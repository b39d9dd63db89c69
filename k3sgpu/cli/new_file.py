"""What `new` does with machines that it has looked at: the report, the stack file, the slice map."""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from k3sgpu.cli.output import print_progress, print_text
from k3sgpu.foreign_text import escape
from k3sgpu.problem import InputError, Problem, SettingsError, render
from k3sgpu.report import Report, as_text, names
from k3sgpu.wellknown import PROJECT

if TYPE_CHECKING:
    import argparse

    from k3sgpu.discovery.candidates import Seen
    from k3sgpu.discovery.card_kinds import CardKind
    from k3sgpu.discovery.proposal import Choices, Proposal, ProposedHost
    from k3sgpu.discovery.stack_file_text import K3sSection
    from k3sgpu.settings import Settings
    from k3sgpu.settings.models.k3s import K3s

SET_PASSWORD = "pulumi config set --secret sudoPassword"
ADOPT = "to go on with a cluster that was built by hand: python -m k3sgpu adopt, docs/guides/adopt.md"


@dataclass(frozen=True)
class Files:
    """The files of a new stack, in the working directory: the project's folder."""

    stack_file: Path
    known_hosts: Path


@dataclass(frozen=True)
class Pins:
    """What the stack file says about the release, and the problem where it must say more."""

    section: K3sSection
    problems: Sequence[Problem]


def check_names(stack: str) -> Files:
    """The files of a stack. Raises InputError for a name that Pulumi refuses, and for files that exist."""
    return Files(new_stack_file(stack), _new(Path(f"Pulumi.{stack}.known_hosts")))


def new_stack_file(stack: str) -> Path:
    """The stack file. Raises InputError for a name that Pulumi refuses, and for a file that exists."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", stack):
        expected = "expected the name of a stack: at most 100 letters, digits, '-', '_' and '.'"
        raise InputError(f"found {escape(stack, 100)!r}; {expected}")
    return _new(Path(f"Pulumi.{stack}.yaml"))


def _new(file: Path) -> Path:
    if file.exists():
        raise InputError(
            f"{file} exists already, and is not overwritten; choose another STACK, or move it away"
        )
    return file


def start_reading_pins(release: K3s, script_sha256: str | None) -> Callable[[], Pins]:
    """Starts `read_pins` beside what the caller does next; the function that is returned waits for its end.

    The thread does not keep the program from ending, so that an error elsewhere is not shown late.
    """
    done: list[Pins] = []
    thread = threading.Thread(target=lambda: done.append(read_pins(release, script_sha256)), daemon=True)
    thread.start()

    def result() -> Pins:
        if thread.is_alive():
            print_progress(f"reading the hashes of k3s {release.version} ...")
        thread.join()
        return done[0]

    return result


def read_pins(release: K3s, script_sha256: str | None) -> Pins:
    """The hashes of a release, from where it is published or from `script_sha256`, or what is missing."""
    from k3sgpu.discovery.stack_file_text import K3sSection
    from k3sgpu.settings.files import release_pins
    from k3sgpu.settings.models.k3s import RELEASES

    values: dict[str, object] = {"version": release.version}
    if release.mirror != RELEASES:
        values["mirror"] = release.mirror
    if release.mirror.startswith("file:"):
        return Pins(
            K3sSection(values, "The files lie on the machines; their own list of hashes checks them."), ()
        )
    script, binaries, unread = release_pins.pins(release, release_pins.read)
    if script_sha256 or script:
        values["installScriptSha256"] = script_sha256 or script
    if binaries:
        values["binarySha256"] = dict(binaries)
    if "installScriptSha256" not in values:
        # For the rules and the report only: a file with it is never written.
        return Pins(K3sSection({**values, "installScriptSha256": "0" * 64}, ""), [_no_pin(release, unread)])
    note = "The hashes are those that the release had when this file was written."
    return Pins(
        K3sSection(values, note if binaries else "The binary is checked by the release's own list."), ()
    )


def _no_pin(release: K3s, unread: Sequence[str]) -> Problem:
    return Problem(
        "k3s.installScriptSha256",
        "\n".join(unread),
        "the SHA-256 of k3s's install script: what is run on the machines must be known",
        f"on a computer that reaches it: make pins VERSION={release.version}\n"
        "then here: --install-script-sha256 HASH\n"
        "or --mirror https://… with a copy of the release, or --mirror file:///… where the machines have it",
        check="pins",
    )


def write(
    options: argparse.Namespace,
    files: Files,
    machines: Sequence[Seen],
    kinds: Mapping[str, CardKind],
    choices: Choices,
    pins: Pins,
    problems: Sequence[Problem],
) -> int:
    """Proposes, reports, and writes the files where nothing is in the way. Returns the exit status."""
    from k3sgpu.discovery.proposal import propose

    problems = [*problems, *pins.problems]
    if not machines:
        return nothing_to_write(options.stack, files.stack_file, problems)
    proposal = propose(machines, kinds, choices, options.stack, PROJECT)
    hosts = [host for pool in proposal.pools for host in pool.hosts]
    secrets = {"sudoPassword"} if any(one.candidate.sudo_password for one in machines) else set[str]()
    with draft(_text(options, files, proposal, hosts, pins), files.stack_file) as written:
        settings = accepted(written, secrets)
        told = report(f"new {options.stack}", settings, hosts, problems, (PROJECT, options.stack))
        # A file without the hash of k3s's install script would not be accepted, even as a part.
        if not tell(told, settings, files.stack_file, partial=options.partial and not pins.problems):
            return 1
        _publish(written, files, hosts, options)
    both = files.stack_file if options.known_hosts else f"{files.stack_file} and {files.known_hosts}"
    print_text(f"\n{both}: written, with {names([host.name for host in hosts])}\n")
    next_steps(options.stack, settings, secrets, exists=False)
    return told.exit_code


def nothing_to_write(stack: str, file: Path, problems: Sequence[Problem]) -> int:
    """Reports problems that leave no machine over. Returns the exit status."""
    print_text(as_text(Report(f"new {stack}", {}, problems)))
    _not_written(file)
    return 1


def tell(told: Report, settings: Settings, file: Path, *, partial: bool) -> bool:
    """Prints the report and the stack file's warnings. Returns whether the file may be written."""
    print_text(as_text(told))
    if settings.warnings:
        print_text("\n" + render(settings.warnings))
    if told.errors and not partial:
        _not_written(file)
        return False
    return True


def _not_written(file: Path) -> None:
    print_text(
        f"\n{file} is not written. Correct this and run the command again. --partial writes it in spite of "
        "machines that have an error or do not answer"
    )


def _text(
    options: argparse.Namespace, files: Files, proposal: Proposal, hosts: Sequence[ProposedHost], pins: Pins
) -> str:
    from k3sgpu.discovery.stack_file_text import SshSection, new_text
    from k3sgpu.settings.models.gpu_operator import GpuOperator

    candidates = [host.seen.candidate for host in hosts]
    ssh = SshSection.for_most(candidates, options.known_hosts or str(files.known_hosts))
    return new_text(options.stack, proposal, ssh, pins.section, GpuOperator().version, options.waive)


@contextmanager
def draft(text: str, file: Path) -> Iterator[Path]:
    """A file with the text, beside the place where it will lie; gone at the end unless it was renamed."""
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(text)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def accepted(written: Path, secrets: set[str]) -> Settings:
    """The settings of a draft. Raises InputError where the program's own rules refuse it."""
    from k3sgpu.settings import read_stack_file

    try:
        return read_stack_file(written, secrets)
    except SettingsError as error:
        raise InputError(
            "the rules of stack files refuse what is proposed for these machines, and nothing is written. "
            "Unless an option of yours is the reason, this is a mistake of this program: please report it "
            f"with the following.\n{error}"
        ) from None


def report(
    title: str,
    settings: Settings,
    hosts: Sequence[ProposedHost],
    problems: Sequence[Problem],
    owner: tuple[str, str],
) -> Report:
    """Doctor's report about these hosts, with the problems of the machines that are not among them.

    `owner`: project and stack.
    """
    seen = {host.name: host.seen for host in hosts}
    built = doctors_report(settings, seen, owner)
    found = [_for_now(problem) for problem in built.problems]
    notes = [ADOPT] if any(_has_foreign_k3s(one) for one in seen.values()) else []
    return replace(built, title=title, problems=[*problems, *found], notes=[*built.notes, *notes])


def doctors_report(settings: Settings, seen: Mapping[str, Seen], owner: tuple[str, str]) -> Report:
    """What doctor says about machines that were looked at, by their hosts' names.

    `owner`: project and stack.
    """
    from k3sgpu.doctor.host_check import build_report
    from k3sgpu.handoff.inventory import build_inventory
    from k3sgpu.settings import SshAccess

    access = {
        node.name: SshAccess(seen[node.name].candidate.host_key if node.name in seen else "", None)
        for node in settings.machines
    }
    inventory = build_inventory(settings, access, *owner)
    inventory["hosts"] = [host for host in inventory["hosts"] if host["name"] in seen]
    return build_report(inventory, {name: one.answer for name, one in seen.items()}, {})


def _for_now(problem: Problem) -> Problem:
    """A problem of doctor whose remedy does not ask for a stack that does not exist yet."""
    instead = problem.remedy.replace(SET_PASSWORD, "run this command again with sudo's password")
    return replace(problem, remedy=instead)


def _has_foreign_k3s(one: Seen) -> bool:
    """Whether somebody has installed k3s there by hand."""
    return bool(one.facts.one("k3s-binary") or one.facts.one("k3s-unit")) and not one.facts.all("owner")


def _publish(written: Path, files: Files, hosts: Sequence[ProposedHost], options: argparse.Namespace) -> None:
    """Puts the files in their places. Raises InputError where somebody has written one in the meantime."""
    from k3sgpu.discovery.host_keys import known_hosts_lines

    try:
        if not options.known_hosts:
            with files.known_hosts.open("x", encoding="utf-8") as known:
                known.write(known_hosts_lines(host.seen.candidate for host in hosts))
        written.chmod(0o644)
        os.link(written, files.stack_file)
    except OSError as error:
        raise InputError(f"{error.filename2 or error.filename} cannot be written: {error.strerror}") from None


def next_steps(stack: str, settings: Settings, secrets: set[str], *, exists: bool) -> None:
    """Prints the slice map and the commands to type next; `exists`: the stack is there already."""
    from k3sgpu.capacity import fit, offers, render_slice_map

    print_text(render_slice_map(fit(settings, offers(settings))))
    commands = [
        *([] if exists else [f"pulumi stack init {stack}"]),
        *([f"{SET_PASSWORD} --stack {stack}"] if secrets else []),
        f"pulumi preview --stack {stack}",
        f"pulumi up --stack {stack}",
    ]
    print_text("\n".join(["next:", *(f"  {command}" for command in commands)]))
    print_progress(f"look at Pulumi.{stack}.yaml first: its comments say why each value was chosen")
