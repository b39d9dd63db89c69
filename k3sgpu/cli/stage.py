"""For the Pulumi program: put on every host what its Commands need: the scripts, and the release of k3s.

Reads the stage plan as JSON from K3SGPU_STAGE_PLAN, and on stdin a JSON object with the login secrets and
`environment`, k3s's own. It contacts only hosts for which something has changed since the run whose output is
in PULUMI_COMMAND_STDOUT, and prints the text that the next run reads.

--remove cleans the hosts of the inventory in K3SGPU_INVENTORY on which k3s was never installed. A host that
does not answer is only named.

Exit status 1: a host lacks something.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from shlex import quote
from typing import TYPE_CHECKING

from k3sgpu.cli.host_logins import host_logins
from k3sgpu.cli.inputs import read_json_variable
from k3sgpu.cli.output import print_progress, print_text
from k3sgpu.problem import InputError

if TYPE_CHECKING:
    from k3sgpu.handoff.inventory import Owner, SshTarget
    from k3sgpu.handoff.staging import StageTarget
    from k3sgpu.hosts.ssh import Login
    from k3sgpu.hosts.staging import Outcome


TOO_MANY_HOSTS = (
    "too many hosts for the record of this run: the next change stages all of them again, and a host that is "
    "removed before k3s was installed there is not cleaned"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--remove", action="store_true", help="clean hosts on which k3s was never installed")


def run(options: argparse.Namespace) -> int:
    """Stages the hosts. Returns the exit status: 1 if one of them lacks something."""
    return _remove() if options.remove else _stage()


def _stage() -> int:
    from k3sgpu.handoff.environment import read_variable
    from k3sgpu.handoff.staging import (
        hosts_to_stage,
        parse_stage_plan,
        read_record,
        removed_hosts,
        write_record,
    )
    from k3sgpu.hosts.scripts import staged_hashes
    from k3sgpu.hosts.staging import stage_hosts

    plan = parse_stage_plan(read_json_variable("K3SGPU_STAGE_PLAN"))
    if plan["scripts"] != staged_hashes():
        raise InputError("the program's files have changed since it planned this run; run up again")
    before = read_record(read_variable("PULUMI_COMMAND_STDOUT").strip())
    secrets = sys.stdin.read()
    hosts = hosts_to_stage(plan, before)
    logins = _logins(hosts, plan["bastion"], secrets, agent=plan["agent"])
    outcome = asyncio.run(stage_hosts(plan, hosts, logins, _environment(secrets), print_progress))
    _print_outcome(outcome)
    if outcome.failures:
        known = {host["name"] for host in before["hosts"]} if before else set[str]()
        _name_new_hosts(plan["owner"], [host["name"] for host in plan["hosts"] if host["name"] not in known])
        return 1
    _clean(plan["owner"], removed_hosts(plan, before), plan["bastion"], secrets, agent=plan["agent"])
    if not (record := write_record(plan)):
        print_progress(TOO_MANY_HOSTS)
    print_text(record)
    return 0


def _name_new_hosts(owner: "Owner", new: Sequence[str]) -> None:
    """Names the hosts that a failed run may have staged: no record has them, so no later run cleans them."""
    from k3sgpu.report import names

    if new:
        script = (
            f"/usr/local/lib/k3s-gpu-sharing/clean {quote(owner['project'])} {quote(owner['stack'])} HOST"
        )
        print_progress(
            f"{names(new)}: one without k3s that is taken out of the stack file now keeps what was staged; "
            f"remove that there with: sudo {script}"
        )


def _remove() -> int:
    from k3sgpu.handoff.inventory import parse_inventory
    from k3sgpu.handoff.staging import stage_targets

    try:
        inventory = parse_inventory(read_json_variable("K3SGPU_INVENTORY"))
    except InputError as error:  # an inventory of another version
        print_progress(f"what was staged on hosts without k3s stays there: {error}")
        return 0
    hosts = stage_targets(inventory["hosts"])
    _clean(inventory["owner"], hosts, inventory["bastion"], sys.stdin.read(), agent=inventory["agent"])
    return 0


def _clean(
    owner: "Owner", hosts: "Sequence[StageTarget]", bastion: "SshTarget | None", secrets: str, *, agent: bool
) -> None:
    """Cleans hosts as far as it can, and names the others."""
    from k3sgpu.hosts.staging import clean_hosts

    if not hosts:
        return
    try:
        logins = _logins(hosts, bastion, secrets, agent=agent)
    except InputError as error:
        print_progress(f"what was staged on {', '.join(host['name'] for host in hosts)} stays there: {error}")
        return
    _print_outcome(asyncio.run(clean_hosts(owner, hosts, logins, bastion)))


def _print_outcome(outcome: "Outcome") -> None:
    for line in [*outcome.summary(), *outcome.failures]:
        print_progress(line)


def _logins(
    hosts: "Sequence[StageTarget]", bastion: "SshTarget | None", secrets: str, *, agent: bool
) -> "dict[str, Login]":
    return host_logins([*hosts, *([bastion] if bastion else [])], secrets, agent=agent)


def _environment(secrets: str) -> str:
    """k3s's environment, of the JSON object that `read_secrets` has accepted."""
    environment = json.loads(secrets or "{}").get("environment", "")
    return environment if isinstance(environment, str) else ""
