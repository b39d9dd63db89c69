"""Check the hosts over SSH before an install, or the cluster over its API afterwards. Changes nothing.

A stack with secrets:
  pulumi config --show-secrets --json | python -m k3sgpu doctor hosts --file Pulumi.<stack>.yaml

--from-graph is for the Pulumi program:
  hosts reads the inventory as JSON from K3SGPU_INVENTORY and secrets as a JSON object from stdin. It skips
  agents that have not changed since the preflight whose output is in PULUMI_COMMAND_STDOUT.
  cluster reads the expected state as JSON from K3SGPU_EXPECTED_STATE and the kubeconfig from stdin.

Exit status 1: errors found. Warnings alone are status 0.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from k3sgpu.cli import check_list
from k3sgpu.cli.arguments import add_file, add_json
from k3sgpu.cli.host_logins import check_ssh_agent, host_logins, read_login_secrets
from k3sgpu.cli.inputs import STDIN, read_json_variable, read_text, stack_name
from k3sgpu.cli.output import print_json, print_progress, print_text
from k3sgpu.problem import InputError
from k3sgpu.report import Report, as_json, as_text
from k3sgpu.wellknown import PROJECT

if TYPE_CHECKING:
    from k3sgpu.handoff.expected_state import ExpectedState
    from k3sgpu.handoff.inventory import Inventory
    from k3sgpu.hosts.facts import Facts

NO_HOSTS = "no hosts to check: the stack uses an existing cluster (kubeconfig). Check it with: doctor cluster"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    subjects = parser.add_subparsers(required=True, metavar="hosts|cluster|checks")
    hosts = subjects.add_parser("hosts", help="check machines over SSH, before an install")
    hosts.set_defaults(run=check_hosts)
    cluster = subjects.add_parser("cluster", help="check a cluster over its API, after an install")
    cluster.set_defaults(run=check_cluster)
    cluster.add_argument("--kubeconfig", metavar="FILE", help="the kubeconfig of the cluster; - is stdin")
    cluster.add_argument(
        "--wait", action="store_true", help="wait until the cluster is in its expected state"
    )
    listing = subjects.add_parser("checks", help="list every check of hosts with its severity and remedy")
    listing.set_defaults(run=check_list.run)
    add_json(listing)
    for subject in (hosts, cluster):
        source = subject.add_mutually_exclusive_group(required=True)
        add_file(source)
        source.add_argument(
            "--from-graph", action="store_true", help="for the Pulumi program, see doctor --help"
        )
        add_json(subject)


def check_hosts(options: argparse.Namespace) -> int:
    """Checks the hosts. Returns the exit status: 1 if a host has an error."""
    if options.from_graph:
        return _check_hosts_from_graph(options)
    inventory = _inventory(options.file)
    if not inventory["hosts"]:
        return _print_report(Report("doctor hosts", {}, [], [NO_HOSTS]), options)
    report, _ = _look(inventory, read_login_secrets(inventory), {})
    return _print_report(report, options)


def _check_hosts_from_graph(options: argparse.Namespace) -> int:
    """Runs the preflight. Returns the exit status: 1 if a host has an error.

    Without an error, it prints on stdout the text that the next preflight reads.
    """
    from k3sgpu.doctor import preflight_cache
    from k3sgpu.handoff.inventory import parse_inventory

    by_hand = "python -m k3sgpu doctor hosts --file Pulumi.dev.yaml"
    inventory = parse_inventory(read_json_variable("K3SGPU_INVENTORY", by_hand))
    secrets = sys.stdin.read()
    check_ssh_agent(required=inventory["agent"])
    digests = preflight_cache.host_digests(inventory, secrets, os.environ.get("K3SGPU_GENERATION", ""))
    # Servers are always checked: nodes join them, and the rules for joining compare with them.
    agents = {host["name"]: digests[host["name"]] for host in inventory["hosts"] if host["role"] == "agent"}
    known = preflight_cache.read_cache(os.environ.get("PULUMI_COMMAND_STDOUT", ""), agents)
    report, facts = _look(inventory, secrets, known)
    if report.errors:
        return _print_report(report, options)
    print_text(preflight_cache.write_cache(digests, facts))
    print_progress(preflight_cache.shorten_report(as_text(report)))
    return report.exit_code


def _look(inventory: Inventory, secrets: str, known: Mapping[str, Facts]) -> tuple[Report, dict[str, Facts]]:
    """Checks the hosts that are not `known`: the report, and the facts of every host."""
    from k3sgpu.doctor.host_check import check_hosts
    from k3sgpu.handoff.inventory import ssh_targets

    logins = host_logins(ssh_targets(inventory), secrets, agent=inventory["agent"])
    return check_hosts(inventory, logins, known)


def check_cluster(options: argparse.Namespace) -> int:
    """Checks the cluster. Returns the exit status: 1 if it is not in its expected state."""
    from k3sgpu.cluster.client import parse_kubeconfig
    from k3sgpu.cluster.readiness import check_once, wait_until_ready
    from k3sgpu.handoff.expected_state import EXPECTED_STATE_VARIABLE, parse_expected_state

    if options.from_graph:
        by_hand = "python -m k3sgpu doctor cluster --file Pulumi.dev.yaml --kubeconfig FILE"
        expected = parse_expected_state(read_json_variable(EXPECTED_STATE_VARIABLE, by_hand))
        config = parse_kubeconfig(sys.stdin.read(), STDIN)
    else:
        expected = _expected_state(options.file)
        source = read_text(options.kubeconfig) if options.kubeconfig else _stack_kubeconfig(options.file)
        config = parse_kubeconfig(*source)
    if options.wait or options.from_graph:
        report = wait_until_ready(expected, config, print_progress)
    else:
        report = check_once(expected, config)
    return _print_report(report, options)


def _print_report(report: Report, options: argparse.Namespace) -> int:
    """Prints the report; with errors inside the graph on stderr, which Pulumi shows."""
    if options.json:
        print_json(as_json(report))
    elif options.from_graph and report.errors:
        print_progress(as_text(report))
    else:
        print_text(as_text(report))
    return report.exit_code


def _inventory(file: str) -> Inventory:
    """The inventory of a stack file. Raises InputError and SettingsError."""
    from k3sgpu.handoff.inventory import build_inventory
    from k3sgpu.settings import read_stack_file, resolve_ssh

    stack, settings = stack_name(file), read_stack_file(file)
    # Relative paths in a stack file start at the project's folder, where pulumi runs: the working directory.
    access = resolve_ssh(settings, Path.cwd())
    return build_inventory(settings, access, PROJECT, stack)


def _stack_kubeconfig(file: str) -> tuple[str, str]:
    """The kubeconfig that a stack file names, and the file's name. Raises InputError and SettingsError."""
    from k3sgpu.settings import read_stack_file, resolve_kubeconfig

    settings = read_stack_file(file)
    if not settings.kubeconfig or not settings.kubeconfig.file:
        raise InputError("--file needs --kubeconfig FILE: the stack file does not say which cluster to check")
    return resolve_kubeconfig(settings, Path.cwd()), settings.kubeconfig.file


def _expected_state(file: str) -> ExpectedState:
    """The expected state of a stack file. Raises SettingsError."""
    from k3sgpu.capacity import offers
    from k3sgpu.handoff.expected_state import build_expected_state
    from k3sgpu.settings import read_stack_file

    settings = read_stack_file(file)
    return build_expected_state(settings, offers(settings))
