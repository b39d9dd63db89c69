"""Kubeconfigs of members of teams; for the Pulumi program also their tokens, and evictions.

  python -m k3sgpu team kubeconfig ana --stack lab --output ana.kubeconfig

`kubeconfig` reads the stack's secret outputs through the program pulumi, which needs the stack's passphrase
or key as always.

For the Pulumi program, with the administrator's kubeconfig on stdin:
  tokens reads the plan as JSON from K3SGPU_TEAM_TOKENS and prints the tokens as JSON. It keeps those of
  PULUMI_COMMAND_STDOUT (its output of the last run) that are still good.
  evict reads the teams' shares as JSON from K3SGPU_TEAM_SHARES and evicts the pods above them; with
  --preview it only names them.
Exit status 1: tokens could not be made, or pods not evicted.
"""

import argparse
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from k3sgpu.cli.inputs import STDIN, read_json_variable
from k3sgpu.cli.output import print_json, print_progress, print_text
from k3sgpu.cli.pulumi_process import PulumiFailed, run_pulumi
from k3sgpu.foreign_text import escape
from k3sgpu.problem import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="kubeconfig|tokens|evict")
    kubeconfig = actions.add_parser("kubeconfig", help="print a member's kubeconfig")
    kubeconfig.set_defaults(run=print_kubeconfig)
    kubeconfig.add_argument("member", metavar="MEMBER", help="the member's name in the stack file")
    kubeconfig.add_argument("--stack", required=True, metavar="STACK", help="the stack's name")
    kubeconfig.add_argument(
        "--output", metavar="FILE", type=Path, help="write it into this file, which only you can read"
    )
    actions.add_parser("tokens", help="for the Pulumi program: make the members' tokens").set_defaults(
        run=tokens
    )
    evicting = actions.add_parser("evict", help="for the Pulumi program: evict pods above the shares")
    evicting.set_defaults(run=evict)
    evicting.add_argument("--preview", action="store_true", help="only name them")


def print_kubeconfig(options: argparse.Namespace) -> int:
    """Prints a member's kubeconfig, or writes it to a file. Returns the exit status: 0. Raises InputError."""
    name, stack = options.member, options.stack
    members = _stack_output(stack, "members")
    if name not in members:
        known = ", ".join(sorted(members)) or "none"
        raise InputError(
            f"found no member {escape(name)} in stack {escape(stack)}; expected one of: {escape(known)}\n"
            "remedy: add the name to the members of a team in the stack file, and run pulumi up"
        )
    text = _stack_output(stack, "memberKubeconfigs", "--show-secrets")[name]
    if options.output:
        _write_private(options.output, text)
    else:
        print_text(text, end="")
    team, expires = members[name]["team"], members[name]["expires"]
    print_progress(f"{name} of team {team}: {_remaining(expires)}")
    return 0


def _stack_output(stack: str, output: str, *more: str) -> dict[str, Any]:
    """An output of a stack, by member. Raises InputError."""
    try:
        found = json.loads(run_pulumi(["stack", "output", output, "--json", "--stack", stack, *more]))
    except PulumiFailed as error:
        raise InputError(
            f"stack {escape(stack)} gives no output {output}: {escape(error)}\n"
            "remedy: run this in the project's folder, after a pulumi up with teams in the stack file"
        ) from None
    return found if isinstance(found, dict) else {}


def _remaining(expires: str) -> str:
    """When a token ends, in words."""
    days = (datetime.fromisoformat(expires) - datetime.now(UTC)) / timedelta(days=1)
    if days < 0:
        return f"the token has ended on {expires}; run pulumi up, which makes a new one"
    return f"the token is valid until {expires} ({days:.0f} days); pulumi up makes a new one every 30 days"


def _write_private(file: Path, text: str) -> None:
    """Writes a file that only its owner can read. Raises InputError."""
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            os.fchmod(handle, 0o600)  # it may have been there before, for others to read
            opened.write(text)
    except OSError as error:
        raise InputError(f"--output {escape(file)} cannot be written: {error.strerror}") from None


def tokens(options: argparse.Namespace) -> int:
    """Prints the members' tokens. Returns the exit status: 1 if they could not be made."""
    from k3sgpu.cluster.client import parse_kubeconfig
    from k3sgpu.cluster.member_tokens import issue_tokens
    from k3sgpu.cluster.team_enforcement import TeamNotReady
    from k3sgpu.handoff.teams import TOKENS_VARIABLE, parse_tokens_plan, read_issued_tokens

    plan = parse_tokens_plan(read_json_variable(TOKENS_VARIABLE))
    before = read_issued_tokens(os.environ.get("PULUMI_COMMAND_STDOUT", ""))
    try:
        issued = issue_tokens(plan, parse_kubeconfig(sys.stdin.read(), STDIN), before, print_progress)
    except TeamNotReady as reason:
        print_progress(f"team tokens: {reason}")
        return 1
    print_json(issued, indent=None)
    return 0


def evict(options: argparse.Namespace) -> int:
    """Evicts pods above the shares, or names them. Returns the exit status: 1 if that was not possible."""
    from k3sgpu.cluster.client import ApiUnavailable, parse_kubeconfig
    from k3sgpu.cluster.team_evictions import EvictionsFailed, evict_excess_pods, planned_evictions
    from k3sgpu.handoff.teams import SHARES_VARIABLE, parse_eviction_plan
    from k3sgpu.teams.evictions import describe_eviction

    teams, shares = parse_eviction_plan(read_json_variable(SHARES_VARIABLE))
    config = parse_kubeconfig(sys.stdin.read(), STDIN)
    if options.preview:
        try:
            planned = planned_evictions(config, teams, shares)
        except ApiUnavailable as reason:
            print_progress(str(reason))
            return 1
        print_text("\n".join(f"up would evict {describe_eviction(one)}" for one in planned))
        return 0
    try:
        evicted = evict_excess_pods(teams, shares, config, print_progress)
    except EvictionsFailed as reason:
        print_progress(f"team evict: {reason}")
        return 1
    print_text("\n".join(evicted) or "no pod holds more than its team may have")
    return 0
