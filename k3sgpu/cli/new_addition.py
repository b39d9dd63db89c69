"""`new --add`: adds machines to a stack file that is there, and keeps its user's text."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k3sgpu.cli import new_file, new_logins, new_look
from k3sgpu.cli.output import print_text
from k3sgpu.problem import InputError, Problem, SettingsError
from k3sgpu.wellknown import PROJECT

if TYPE_CHECKING:
    from k3sgpu.discovery.additions import Additions
    from k3sgpu.settings import Settings

ONLY_NEW = (
    "server", "servers", "driver", "toolkit", "k3s_version", "mirror", "install_script_sha256", "waive",
)  # fmt: skip
"""Options about what the stack file says already."""
OPERATOR_IS_OFF = Problem(
    "gpuOperator.enabled",
    "false, and machines with cards are added",
    "the GPU Operator: without it the cluster offers no GPUs",
    "remove enabled: false; driver and toolkit say whether the machines or the operator bring them",
    "warning",
)


@dataclass(frozen=True)
class Existing:
    """A stack file that is there."""

    file: Path
    text: str
    raw: Mapping[str, Any]
    settings: Settings

    @property
    def known_hosts(self) -> Path:
        """Its known_hosts file."""
        return _known_hosts(self.settings)


def run(options: argparse.Namespace) -> int:
    """Adds machines to the stack file. Returns the exit status: 1 if one has an error.

    Raises InputError and SettingsError for input that cannot be used.
    """
    from k3sgpu.discovery.additions import propose_additions, repeated
    from k3sgpu.discovery.stack_file_text import Inherited
    from k3sgpu.handoff.inventory import downloads

    stack = read(options)
    ssh = stack.settings.ssh
    key = new_logins.private_key(options, ssh.private_key_file)
    login = Inherited(options.user or ssh.user, ssh.port, key)
    candidates, problems = new_logins.candidates_of(new_look.arguments(options), login)
    if there := repeated(stack.settings, candidates):
        raise SettingsError(there)
    trusted, unknown = new_logins.with_host_keys(candidates, options, str(stack.known_hosts))
    answered, unanswered, _ = new_look.look(trusted, downloads(stack.settings.k3s), options)
    known, kinds, unclear = new_look.with_known_cards(answered, options)
    owner = (PROJECT, options.stack)
    additions, taken = propose_additions(known, kinds, stack.settings, options.slices, owner)
    problems += [*unknown, *unanswered, *unclear, *taken]
    if kinds and not stack.settings.gpu_operator.enabled:
        problems.append(OPERATOR_IS_OFF)
    if not additions.all_hosts:
        return new_file.nothing_to_write(options.stack, stack.file, problems)
    secrets = {"sudoPassword"} if any(one.candidate.sudo_password for one in known) else set[str]()
    with new_file.draft(_text(stack, additions), stack.file) as draft:
        settings = new_file.accepted(draft, {*stack.settings.secrets, *secrets})
        _check_only_added(stack, draft)
        report = new_file.report(f"new {options.stack} --add", settings, additions.all_hosts, problems, owner)
        if not new_file.tell(report, settings, stack.file, partial=options.partial):
            return 1
        _append_known_hosts(stack, additions, options)
        draft.chmod(stack.file.stat().st_mode & 0o777)
        draft.replace(stack.file)
    print_text(f"\n{stack.file}: {len(additions.all_hosts)} hosts added\n")
    new_file.next_steps(options.stack, settings, secrets - stack.settings.secrets, exists=True)
    return report.exit_code


def read(options: argparse.Namespace) -> Existing:
    """The stack file to add to. Raises SettingsError for a wrong one, InputError for one of another kind."""
    from k3sgpu.settings import parse
    from k3sgpu.settings.files.stack_file import read_keys

    file = Path(f"Pulumi.{options.stack}.yaml")
    if not file.exists():
        raise InputError(f"--add: there is no {file}; without --add it is written")
    for option in ONLY_NEW:
        if getattr(options, option):
            name = f"--{option.replace('_', '-')}"
            raise InputError(f"{name} has no effect with --add: the stack file decides; change it there")
    raw, encrypted = read_keys(file)
    settings = parse(raw, encrypted)
    if settings.kubeconfig:
        raise InputError(
            f"--add: {file} uses an existing cluster (kubeconfig), which has no hosts of its own"
        )
    if settings.bastion:
        raise InputError(
            f"--add: the machines of {file} are behind a bastion, which this command does not use"
        )
    known = _known_hosts(settings).resolve()
    if options.known_hosts and Path(options.known_hosts).expanduser().resolve() != known:
        raise InputError(
            f"--known-hosts {options.known_hosts}: {file} takes host keys from "
            f"{settings.ssh.known_hosts_file}; name that file, or add the keys to it"
        )
    return Existing(file, file.read_text(encoding="utf-8-sig"), raw, settings)


def _known_hosts(settings: Settings) -> Path:
    """The known_hosts file of a stack file."""
    from k3sgpu.settings.files.ssh_keys import resolve_path

    return resolve_path(settings.ssh.known_hosts_file, Path.cwd())


def _text(stack: Existing, additions: Additions) -> str:
    from k3sgpu.discovery.additions import added
    from k3sgpu.discovery.stack_file_edits import CannotAdd

    try:
        return added(stack.text, stack.settings, additions)
    except CannotAdd as error:
        raise InputError(
            f"{stack.file} is written in a form to which nothing can be added: {error}"
        ) from None


def _check_only_added(stack: Existing, draft: Path) -> None:
    """Raises InputError if the draft changes or lacks a value of the file, as with an anchor used twice."""
    from k3sgpu.settings.files.stack_file import read_keys

    if not _contains(read_keys(draft)[0], stack.raw):
        raise InputError(
            f"{stack.file} is written in a form in which an addition would change what is there; add by hand"
        )


def _contains(new: Any, old: Any) -> bool:
    if isinstance(old, dict):
        return isinstance(new, dict) and all(key in new and _contains(new[key], old[key]) for key in old)
    return new == old


def _append_known_hosts(stack: Existing, additions: Additions, options: argparse.Namespace) -> None:
    """Adds the new machines' keys to the stack's known_hosts, unless it has them."""
    from k3sgpu.discovery.host_keys import keys_from, known_hosts_lines

    candidates = [host.seen.candidate for host in additions.all_hosts]
    file = stack.known_hosts
    there = keys_from(file.read_text(), candidates) if file.exists() else {}
    new = [one for one in candidates if there.get(one.name) != one.host_key]
    if options.known_hosts or not new:
        return
    try:
        with file.open("a", encoding="utf-8") as known:
            known.write(known_hosts_lines(new))
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}") from None
