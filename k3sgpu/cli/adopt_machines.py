"""What `adopt` does with machines: reads their k3s, and writes the stack file that takes it over as it is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from k3sgpu.cli.new_file import Files, check_names, doctors_report
from k3sgpu.cli.output import print_json, print_progress, print_text
from k3sgpu.cli.pulumi_process import PulumiFailed, run_pulumi
from k3sgpu.problem import InputError, Problem, SettingsError, render
from k3sgpu.wellknown import PROJECT

if TYPE_CHECKING:
    import argparse

    from k3sgpu.adoption.cluster_objects import ClusterObjects, SliceUser
    from k3sgpu.adoption.k3s_settings import Proposal
    from k3sgpu.adoption.machine_k3s import FoundK3s
    from k3sgpu.discovery.candidates import Seen
    from k3sgpu.discovery.stack_file_text import SshSection


@dataclass
class _Draft:
    """The stack file on its way."""

    sections: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    problems: list[Problem] = field(default_factory=list)
    users: tuple[SliceUser, ...] = ()
    """Workloads that ask for slices."""
    refused: bool = False
    """Whether --partial cannot help: the machines' k3s would not be taken over as it is."""

    @property
    def failed(self) -> bool:
        return any(one.severity == "error" for one in self.problems)


def run(options: argparse.Namespace) -> int:
    """Writes the stack file for the machines. Returns the exit status: 1 if something is in the way.

    Raises InputError and SettingsError for input that cannot be used.
    """
    files = check_names(options.stack)
    machines, password, problems = _look(options)
    found, unread = _read(machines, password)
    draft = _draft(options, files, machines, found, [*problems, *unread], password)
    written = bool(draft.sections) and not draft.refused and (options.partial or not draft.failed)
    if written:
        _write(files, draft, [one for one in machines if one.candidate.name in found], options)
    if options.json:
        problems = [asdict(problem) for problem in draft.problems]
        print_json({"file": str(files.stack_file) if written else None, "problems": problems})
    elif draft.problems:
        print_text(render(draft.problems) + "\n")
    if not written:
        print_progress(
            f"{files.stack_file} is not written, and nothing was changed; correct this, and run adopt again"
        )
        return 1
    kept = _keep_secrets(options.stack, draft.secrets)
    if not options.json:
        _next_steps(options.stack, found, draft, wants_password=bool(password))
    return 0 if kept and not draft.failed else 1


def _look(options: argparse.Namespace) -> tuple[list[Seen], str, list[Problem]]:
    """The machines that answer, sudo's password, and the problems of the others."""
    from k3sgpu.cli import new, new_logins, new_look
    from k3sgpu.discovery.host_arguments import parse_hosts
    from k3sgpu.discovery.stack_file_text import Inherited
    from k3sgpu.doctor.machine import Machine
    from k3sgpu.doctor.rules.ownership import other_distributions
    from k3sgpu.settings.models.nodes import SSH_PORT

    new.check_release_options(options)
    login = Inherited(options.user or "root", SSH_PORT, new_logins.private_key(options))
    candidates, problems = new_logins.candidates_of(parse_hosts(options.hosts), login)
    trusted, unknown = new_logins.with_host_keys(candidates, options)
    machines, unanswered, password = new_look.look(trusted, (), options)
    problems += [*unknown, *unanswered]
    for one in machines:
        problems += other_distributions(Machine(one.candidate.entry(""), one.facts))
        problems += _not_root(one)
    return machines, password, problems


def _not_root(one: Seen) -> list[Problem]:
    if one.facts.one("privileges") in ("root", "sudo"):
        return []
    return [
        Problem(
            one.candidate.name,
            "a login that does not become root",
            "root, or a login with sudo: k3s's files are root's",
            "name the host as root@ADDRESS, or allow sudo to this login",
        )
    ]


def _read(machines: Sequence[Seen], password: str) -> tuple[dict[str, FoundK3s], list[Problem]]:
    """By candidate, the k3s of the machines, and why others have none that can be taken over."""
    from k3sgpu.adoption.machine_k3s import FoundK3s
    from k3sgpu.adoption.reading import read_machines
    from k3sgpu.cli.new_logins import connection_problems
    from k3sgpu.hosts.logins import Secrets, logins_for

    entries = [one.candidate.entry("") for one in machines if not _not_root(one)]
    if not entries:
        return {}, []
    print_progress(f"reading k3s on {len(entries)} machine{'s' if len(entries) > 1 else ''} ...")
    logins = logins_for(entries, Secrets(sudo_password=password), os.environ.get("SSH_AUTH_SOCK"))
    results = asyncio.run(read_machines(entries, logins, None))
    found = {name: one for name, one in results.items() if isinstance(one, FoundK3s)}
    problems = [problem for one in results.values() if isinstance(one, list) for problem in one]
    return found, problems + connection_problems([one.candidate for one in machines], results)


def _draft(
    options: argparse.Namespace,
    files: Files,
    machines: Sequence[Seen],
    found: Mapping[str, FoundK3s],
    problems: Sequence[Problem],
    password: str,
) -> _Draft:
    """The stack file for the machines, with everything that is in its way."""
    from k3sgpu.adoption.k3s_settings import propose
    from k3sgpu.adoption.same_cluster import cluster_problems

    draft = _Draft(problems=list(problems))
    if (draft.failed and not options.partial) or not found:
        return draft
    machines = [one for one in machines if one.candidate.name in found]
    own = cluster_problems(list(found.values()))
    draft.problems += own
    if any(one.severity == "error" for one in own):
        draft.refused = True
        return draft
    addresses = {found[one.candidate.name].node_name: one.candidate.address for one in machines}
    by_node = {one.node_name: one for one in found.values()}
    proposal = propose(by_node, addresses)
    draft.problems += proposal.problems
    draft.secrets |= proposal.secrets
    if any(one.severity == "error" for one in proposal.problems):
        draft.refused = True
        return draft
    objects = _cluster_objects(machines, found, password)
    draft.users = objects.slice_users
    _add_sections(draft, options, files, machines, found, proposal, objects)
    _compare(draft, by_node, objects)
    if not draft.refused:
        draft.problems += _doctor(
            draft, options.stack, {found[one.candidate.name].node_name: one for one in machines}
        )
    return draft


def _cluster_objects(
    machines: Sequence[Seen], found: Mapping[str, FoundK3s], password: str
) -> ClusterObjects:
    """What the cluster has of the operator, over the API of its first server. Raises InputError."""
    from k3sgpu.adoption.cluster_objects import read_cluster_objects
    from k3sgpu.adoption.reading import read_kubeconfig
    from k3sgpu.cluster.client import ApiUnavailable, client, parse_kubeconfig
    from k3sgpu.hosts.logins import Secrets, logins_for
    from k3sgpu.hosts.root_shell import ScriptError
    from k3sgpu.hosts.ssh import Failure

    server = next(one.candidate for one in machines if found[one.candidate.name].role == "server")
    entry = server.entry("")
    logins = logins_for([entry], Secrets(sudo_password=password), os.environ.get("SSH_AUTH_SOCK"))
    print_progress(f"reading the cluster of {server.name} ...")

    async def look() -> ClusterObjects:
        text = await read_kubeconfig(entry, logins[server.name])
        if isinstance(text, Failure):
            raise InputError(f"{server.name}: {text.detail}")
        return await read_cluster_objects(client(parse_kubeconfig(text, f"the kubeconfig of {server.name}")))

    try:
        return asyncio.run(look())
    except (ApiUnavailable, ScriptError) as error:
        raise InputError(str(error)) from None


def _add_sections(
    draft: _Draft,
    options: argparse.Namespace,
    files: Files,
    machines: Sequence[Seen],
    found: Mapping[str, FoundK3s],
    proposal: Proposal,
    objects: ClusterObjects,
) -> None:
    from k3sgpu.adoption.machine_pools import labelled_kinds, pool_values, ssh_values
    from k3sgpu.adoption.operator_settings import OperatorSettings, operator_settings
    from k3sgpu.cli.new_file import read_pins
    from k3sgpu.discovery.card_kinds import Product, card_kinds
    from k3sgpu.discovery.proposal import Choices
    from k3sgpu.discovery.proposal import propose as propose_pools
    from k3sgpu.settings.files import release_pins

    has_operator = bool(objects.releases or objects.policies)
    operator = operator_settings(objects, options.chart) if has_operator else OperatorSettings()
    names = {name: one.node_name for name, one in found.items()}
    labelled = labelled_kinds(operator.nodes, names)
    unknown = [one for one in machines if one.candidate.name not in labelled]
    kinds, unclear = card_kinds(unknown, Product(*options.gpu) if options.gpu else None)
    pins = read_pins(
        release_pins.release(proposal.k3s["version"], options.mirror), options.install_script_sha256
    )
    draft.problems += [*operator.problems, *unclear, *pins.problems]
    draft.refused = draft.refused or bool(pins.problems)
    servers = tuple(name for name, one in found.items() if one.role == "server")
    pools = propose_pools(machines, kinds | labelled, Choices(servers), options.stack, PROJECT).pools
    ssh = _ssh_section(machines, options, files)
    draft.sections |= {
        "ssh": ssh_values(ssh),
        "k3s": {**pins.section.values, **proposal.k3s},
        "pools": pool_values(pools, names, proposal.hosts, operator.profiles, ssh),
        **(operator.sections or {"gpuOperator": {"enabled": False}}),
    }
    if operator.sections:
        draft.sections["gpuOperator"] = {**operator.sections["gpuOperator"], "protect": True}
    if options.waive:
        draft.sections["doctor"] = {"waive": options.waive}


def _ssh_section(machines: Sequence[Seen], options: argparse.Namespace, files: Files) -> SshSection:
    from k3sgpu.discovery.stack_file_text import SshSection

    candidates = [one.candidate for one in machines]
    return SshSection.for_most(candidates, options.known_hosts or str(files.known_hosts))


def _compare(draft: _Draft, by_node: Mapping[str, FoundK3s], objects: ClusterObjects) -> None:
    """Adds what differs between the machines and the stack file, or where nothing does, the permissions."""
    from k3sgpu.adoption.comparison import differences, permission, planned
    from k3sgpu.adoption.existing_cluster import problems_of
    from k3sgpu.settings import parse

    draft.problems += problems_of(draft.sections, objects, draft.secrets)
    try:
        settings = parse(draft.sections, draft.secrets)
    except SettingsError:
        draft.refused = True
        return
    nodes = {node.name: node for node in settings.nodes}
    entries = {
        name: hosts for pool in draft.sections["pools"].values() for name, hosts in pool["hosts"].items()
    }
    for name, one in by_node.items():
        plan = planned(settings, nodes[name], draft.secrets)
        different = list(differences(one, plan, nodes[name].node_ip))
        draft.problems += different
        draft.refused = draft.refused or bool(different)
        entries[name]["adopt"] = permission(one, plan)


def _doctor(draft: _Draft, stack: str, machines: Mapping[str, Seen]) -> list[Problem]:
    """What doctor says about the machines, by their Nodes: an error would stop the first `up`."""
    from k3sgpu.settings import parse

    report = doctors_report(parse(draft.sections, draft.secrets), machines, (PROJECT, stack))
    return [one for one in report.problems if one.severity != "waived"]


def _write(files: Files, draft: _Draft, machines: Sequence[Seen], options: argparse.Namespace) -> None:
    """Writes the files. Raises InputError where somebody has written one in the meantime."""
    from k3sgpu.adoption.stack_file import stack_file_text
    from k3sgpu.discovery.host_keys import known_hosts_lines

    try:
        if not options.known_hosts:
            with files.known_hosts.open("x", encoding="utf-8") as known:
                known.write(known_hosts_lines(one.candidate for one in machines))
        with files.stack_file.open("x", encoding="utf-8") as opened:
            opened.write(stack_file_text(draft.sections))
    except OSError as error:
        raise InputError(f"{error.filename} cannot be written: {error.strerror}") from None


def _keep_secrets(stack: str, secrets: Mapping[str, str]) -> bool:
    """Puts the secrets into the stack, by Pulumi's standard input. Says what to do where that fails."""
    if not secrets:
        return True
    try:
        run_pulumi(["stack", "select", "--create", stack])
        for name, secret in secrets.items():
            run_pulumi(["config", "set", "--secret", name, "--stack", stack], secret)
    except PulumiFailed as failed:
        commands = "\n".join(f"  pulumi config set --secret {name} --stack {stack}" for name in secrets)
        print_progress(f"secrets are missing in the stack: {failed}\nset them as k3s has them:\n{commands}")
        return False
    print_progress(f"secrets of the stack, encrypted by Pulumi: {', '.join(secrets)}")
    return True


def _next_steps(stack: str, found: Mapping[str, FoundK3s], draft: _Draft, *, wants_password: bool) -> None:
    machines = "\n".join(
        f"  {one.node_name}: {one.role}, k3s {one.version}, {where}" for where, one in found.items()
    )
    if draft.users:
        users = ", ".join(user.text for user in draft.users)
        print_text(f"not taken over, and goes on running: {users}\n")
    commands = [
        "" if draft.secrets else f"pulumi stack init {stack}",
        f"pulumi config set --secret sudoPassword --stack {stack}" if wants_password else "",
        f"pulumi preview --stack {stack}    # creates Commands; replaces and deletes nothing",
        f"pulumi up --stack {stack}         # restarts no k3s",
    ]
    shown = "\n".join(f"  {command}" for command in commands if command)
    print_text(f"Pulumi.{stack}.yaml describes this cluster as it is:\n{machines}\nnext:\n{shown}")
