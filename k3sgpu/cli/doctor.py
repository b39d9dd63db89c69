"""What the command line says and takes; see `python -m k3sgpu doctor --help`."""

import argparse
import json
import os
import re
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from k3sgpu.handoff.environment import read_variable
from k3sgpu.handoff.expected_state import build_expected_state, parse_expected_state
from k3sgpu.handoff.inventory import build_inventory, parse_inventory
from k3sgpu.problem import InputError
from k3sgpu.report import Report, as_json, as_text

PROJECT = "k3s-gpu-sharing"
COULD_NOT_LOOK = 2
NO_HOSTS = "no hosts to look at: the cluster is there already (kubeconfig); look at it: doctor cluster"

_EPILOG = """\
A stack with secrets: pulumi config --show-secrets --json | python -m k3sgpu doctor hosts --file
Pulumi.<stack>.yaml

exit status: 0 fine (warnings allowed), 1 errors found, 2 could not look

--from-graph is for the Pulumi program: what to look at comes as JSON in K3SGPU_INVENTORY (hosts) or
K3SGPU_EXPECTED_STATE (cluster), secrets (a JSON object) or the kubeconfig on the standard input. What the
last look at machines printed comes as PULUMI_COMMAND_STDOUT: agents of which nothing has changed are not
asked again.
"""


def main(arguments: Sequence[str]) -> int:
    """Runs one look and returns the exit status. Mistakes of the user are one line and status 2."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except InputError as refusal:
        print(f"doctor: {refusal}", file=sys.stderr)
        return COULD_NOT_LOOK
    except KeyboardInterrupt:
        print("doctor: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m k3sgpu doctor",
        description="Looks and judges, never changes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    looks = parser.add_subparsers(required=True, metavar="hosts|cluster")
    hosts = looks.add_parser("hosts", help="machines over SSH, before an install")
    hosts.set_defaults(run=_hosts)
    cluster = looks.add_parser("cluster", help="a cluster over its API, afterwards")
    cluster.set_defaults(run=_cluster)
    cluster.add_argument("--kubeconfig", metavar="FILE", help="the cluster to look at; - is stdin")
    cluster.add_argument("--wait", action="store_true", help="wait until everything is as expected")
    for look in (hosts, cluster):
        source = look.add_mutually_exclusive_group(required=True)
        source.add_argument("--file", metavar="FILE", help="the stack file, Pulumi.<stack>.yaml")
        source.add_argument("--from-graph", action="store_true", help="for the Pulumi program, see below")
        look.add_argument("--json", action="store_true", help="for programs: one flat JSON object")
    return parser


def _hosts(options: argparse.Namespace) -> int:
    # Imported here: each look needs one of two large libraries.
    from k3sgpu.doctor import preflight_cache
    from k3sgpu.doctor.host_check import NOBODY, look
    from k3sgpu.hosts.logins import logins_for, read_secrets

    agent = os.environ.get("SSH_AUTH_SOCK", "")
    digests, known = {}, NOBODY
    if options.from_graph:
        told, given = parse_inventory(_from_environment("K3SGPU_INVENTORY", "hosts")), sys.stdin.read()
        digests = preflight_cache.digests(told, given, os.environ.get("K3SGPU_GENERATION", ""))
        # Servers are asked whatever is known: nodes join them, and the rules for joining compare with them.
        agents = {host["name"]: digests[host["name"]] for host in told["hosts"] if host["role"] == "agent"}
        known = preflight_cache.recall(os.environ.get("PULUMI_COMMAND_STDOUT", ""), agents)
    else:
        told = _inventory_of(options.file)
        if not told["hosts"]:
            return _tell(Report("doctor hosts", {}, [], [NO_HOSTS]), options)
        given = sys.stdin.read() if told["secrets"] and not sys.stdin.isatty() else ""
    # Pulumi's command plugin dials the agent that its environment names, even with a key of its own, and
    # fails on every host when nobody answers there: a shell that outlived its login.
    if agent and (options.from_graph or told.get("agent")):
        _agent_answers(agent)
    elif told.get("agent"):
        raise InputError(
            "ssh.agent is true, and SSH_AUTH_SOCK names no SSH agent; start one and give it the key: "
            'eval "$(ssh-agent)"; ssh-add'
        )
    report, facts = look(told, logins_for(told, read_secrets(given), agent), known)
    if options.from_graph and not report.errors:
        print(preflight_cache.leave(digests, facts))
        print(preflight_cache.short(as_text(report)), file=sys.stderr)
        return report.exit_code
    return _tell(report, options)


def _agent_answers(path: str) -> None:
    """Raises InputError where nobody listens."""
    try:
        with socket.socket(socket.AF_UNIX) as agent:
            agent.settimeout(5)
            agent.connect(path)
    except OSError as error:
        raise InputError(
            f"SSH_AUTH_SOCK is {path}, where no SSH agent answers ({error.strerror or error}); "
            "Pulumi's command plugin would fail on every host. Run env -u SSH_AUTH_SOCK pulumi up"
        ) from None


def _cluster(options: argparse.Namespace) -> int:
    from k3sgpu.cluster.client import kubeconfig
    from k3sgpu.cluster.readiness import check_once, wait_until_ready

    if options.from_graph:
        expected = parse_expected_state(_from_environment("K3SGPU_EXPECTED_STATE", "cluster"))
        config = kubeconfig(sys.stdin.read(), "the standard input")
    else:
        expected = _expected_state_of(options.file)
        source = _text_of(options.kubeconfig) if options.kubeconfig else _given_by(options.file)
        config = kubeconfig(*source)
    patient = options.wait or options.from_graph
    report = wait_until_ready(expected, config, _progress) if patient else check_once(expected, config)
    return _tell(report, options)


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _tell(report: Report, options: argparse.Namespace) -> int:
    """Prints the report once; errors of a look inside the graph go where Pulumi looks for them."""
    text = json.dumps(as_json(report), indent=2) if options.json else as_text(report)
    print(text, file=sys.stderr if options.from_graph and report.errors else sys.stdout)
    return report.exit_code


def _from_environment(variable: str, look: str) -> Any:
    text = read_variable(variable)
    if not text:
        raise InputError(
            f"{variable} is not set; --from-graph is for the Pulumi program. "
            f"By hand: python -m k3sgpu doctor {look} --file Pulumi.dev.yaml"
        )
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{variable} holds no JSON: {error}") from None


def _text_of(file: str) -> tuple[str, str]:
    """The text of a file ("-": the standard input), and what to call it."""
    if file == "-":
        return sys.stdin.read(), "the standard input"
    try:
        return Path(file).expanduser().read_text(), file
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InputError(f"{file} cannot be read: {reason}") from None


def _stack_of(file: str) -> str:
    match = re.fullmatch(r"Pulumi\.(.+)\.ya?ml", Path(file).name)
    if not match:
        raise InputError(f"{file}: a stack file is called Pulumi.<stack>.yaml; machines are marked with it")
    return match[1]


def _settings_of(file: str) -> Any:
    from k3sgpu.settings import SettingsError, read_stack_file

    try:
        return read_stack_file(file)
    except SettingsError as error:
        raise InputError(f"{file}:\n{error}") from None


def _inventory_of(file: str) -> dict[str, Any]:
    from k3sgpu.settings import SettingsError, resolve_ssh

    stack, settings = _stack_of(file), _settings_of(file)
    try:
        # Relative paths in a stack file count from the project's folder, where pulumi runs: here.
        access = resolve_ssh(settings, Path.cwd())
    except SettingsError as error:
        raise InputError(f"{file}:\n{error}") from None
    return build_inventory(settings, access, PROJECT, stack)


def _given_by(file: str) -> tuple[str, str]:
    """The kubeconfig that a stack file names, and what to call it."""
    from k3sgpu.settings import SettingsError, resolve_kubeconfig

    settings = _settings_of(file)
    if not settings.kubeconfig or not settings.kubeconfig.file:
        raise InputError("--file needs --kubeconfig FILE: the cluster to look at is never guessed")
    try:
        return resolve_kubeconfig(settings, Path.cwd()), settings.kubeconfig.file
    except SettingsError as error:
        raise InputError(f"{file}:\n{error}") from None


def _expected_state_of(file: str) -> dict[str, Any]:
    from k3sgpu.capacity import offers

    settings = _settings_of(file)
    return build_expected_state(settings, offers(settings))
