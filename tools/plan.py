"""The plan of a stack: every resource that it would register, and what the policies forbid.

`python -m k3sgpu plan` starts this module as a program.

The program runs under Pulumi's mocks with generated keys, so a pull request from a fork gets this preview
without a Pulumi engine, hosts, keys or secrets.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi

from k3sgpu.cli.inputs import stack_name
from k3sgpu.cli.main import run_command
from k3sgpu.cli.output import print_json, print_progress, print_text
from k3sgpu.cli.plan import add_arguments
from k3sgpu.settings import parse
from k3sgpu.settings.files.stack_file import read_keys
from policy.rules import RULES, Planned
from tools.mocked_program import KUBECONFIG, Graph, Hidden, Registered, run

KEYGEN_SECONDS = 20
SECRET = "[secret]"


def main(arguments: Sequence[str]) -> int:
    """Prints the plan of a stack file and returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.plan")
    add_arguments(parser)
    parser.set_defaults(command="plan", run=print_plan)
    return run_command(parser.parse_args(arguments))


def print_plan(options: argparse.Namespace) -> int:
    """Returns 1 when a policy is broken or the program refuses the stack."""
    stack = stack_name(options.file)
    try:
        graph = planned(Path(options.file), stack)
    except pulumi.RunError as error:
        if options.json:
            _print_json(stack, refused=str(error))
        else:
            print_progress(str(error))
        return 1
    broken = violations(graph)
    if options.json:
        _print_json(stack, resources=as_json(graph), violations=broken)
    else:
        print_text(f"stack {stack}, {len(graph.resources)} resources:\n\n{tree(graph)}")
        print_text("\n".join(["", *broken] if broken else ["", "no policy is broken"]))
    return 1 if broken else 0


def _print_json(
    stack: str,
    *,
    resources: Sequence[Mapping[str, Any]] = (),
    violations: Sequence[str] = (),
    refused: str | None = None,
) -> None:
    plan = {"stack": stack, "resources": resources, "violations": violations, "refused": refused}
    print_json(plan)


def planned(file: Path, stack: str) -> Graph:
    """The graph of a stack file. Raises SettingsError and, for what the program refuses, pulumi.RunError."""
    plain, secrets = read_keys(file)
    settings = parse(plain, secrets)
    with tempfile.TemporaryDirectory() as folder:
        key, known = Path(folder, "key"), Path(folder, "known_hosts")
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]
        subprocess.run(keygen, check=True, timeout=KEYGEN_SECONDS)
        public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
        known.write_text(f"* {public}\n")
        if settings.kubeconfig:
            there = Path(folder, "kubeconfig")
            there.write_text(KUBECONFIG)
            return run({**plain, "kubeconfig": {"file": str(there)}}, stack=stack)
        generated: dict[str, Any] = {"privateKeyFile": str(key), "knownHostsFile": str(known)}
        if settings.k3s.air_gap:  # a generated release, whose hashes differ from those of the stack file
            generated["airGap"] = str(make_release(Path(folder), settings.k3s.version))
            generated |= {"binarySha256": {}, "installScriptSha256": None}
        config = replace_paths(
            {**plain, "ssh": {"knownHostsFile": "", **_mapping(plain.get("ssh"))}}, generated
        )
        return run(config, stack=stack, secrets=made_up_secrets(secrets, key.read_text()))


def made_up_secrets(names: Collection[str], private_key: str) -> dict[str, str]:
    """A text in the right form for each secret key."""
    login = {"username": "planned", "password": "planned"}
    forms = {
        "sshPrivateKey": private_key,
        "registryCredentials": json.dumps({"registry.example.org": login}),
        "vpnAuth": "name=tailscale,joinKey=planned",
        "datastoreEndpoint": "postgres://planned@db.invalid:5432/planned",
    }
    return {name: forms.get(name, "planned") for name in names}


def make_release(folder: Path, version: str) -> Path:
    """Makes a release of small files below `folder`: the path for `k3s.airGap`."""
    place = folder / "releases" / version
    place.mkdir(parents=True)
    for name in ("k3s", "install.sh"):
        (place / name).write_text(f"{name}\n")
    digest = hashlib.sha256((place / "k3s").read_bytes()).hexdigest()
    (place / "sha256sum-amd64.txt").write_text(f"{digest}  k3s\n")
    return place.parent


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def replace_paths(value: Any, files: Mapping[str, str]) -> Any:
    """A configuration with the value of every key that is in `files` replaced."""
    if isinstance(value, Mapping):
        return {
            key: files[key] if key in files else replace_paths(item, files) for key, item in value.items()
        }
    return [replace_paths(item, files) for item in value] if isinstance(value, list) else value


def ordered(graph: Graph) -> list[Registered]:
    """The resources with dependencies first, in the same order in every run.

    A component stands where the first of its resources does.
    """
    waits = {one.urn: len(graph.before(one)) for one in graph}
    frames: dict[str, int] = {}
    for one in graph:
        if one.parent in waits:
            frames[one.parent] = min(waits[one.urn], frames.get(one.parent, len(waits)))
    waits |= frames
    return sorted(graph, key=lambda one: (waits[one.urn], one.urn))


def tree(graph: Graph) -> str:
    """A text with every resource below its parent, with its type."""
    width = max(len(one.name) for one in graph) + 4
    rows: list[str] = []
    children: dict[str, list[Registered]] = {}
    for one in ordered(graph):
        children.setdefault(one.parent if one.parent in graph.resources else "", []).append(one)

    def show(parent: str, depth: int) -> None:
        for one in children.get(parent, []):
            rows.append(f"{'  ' * depth}{one.name:<{width - 2 * depth}}{kind(one)}")
            show(one.urn, depth + 1)

    show("", 0)
    return "\n".join(rows)


def kind(one: Registered) -> str:
    """The short name of a type: `remote Command` for `command:remote:Command`."""
    package, module, name = one.type.split(":")
    if package == "pulumi":
        return f"Provider ({name})"
    return (
        f"{module} {name}" if package == "command" else name if package == "k3sgpu" else f"{name} ({package})"
    )


def as_json(graph: Graph) -> list[dict[str, Any]]:
    """Every resource as plain values, in the order of `ordered`; a secret input is "[secret]"."""
    return [
        {
            "type": one.type,
            "name": one.name,
            "urn": one.urn,
            "parent": one.parent,
            "provider": one.provider,
            "protect": one.options.protect,
            "dependencies": sorted(one.depends_on),
            "inputs": _masked(one.inputs),
        }
        for one in ordered(graph)
    ]


def _masked(value: Any) -> Any:
    """A value with every secret in it replaced by "[secret]"."""
    if isinstance(value, Hidden):
        return SECRET
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list) else value


def violations(graph: Graph) -> list[str]:
    """The policies that the resources break, each as a text."""
    return [
        f"{rule.name}: {one.name} {wrong}.\n  {rule.reason}"
        for one in graph
        for rule in RULES
        for wrong in rule.check(policy_input(one))
    ]


def policy_input(one: Registered) -> Planned:
    """A resource in the form that the policies check."""
    provider = one.provider.rsplit("::", 2)[-2] if one.provider else None
    ignored = list(one.options.ignoreChanges)
    return Planned(one.urn, one.type, one.name, _open(one.inputs), one.options.protect, provider, ignored)


def _open(value: Any) -> Any:
    """A value with its secrets in plain text, as policies get them."""
    if isinstance(value, Hidden):
        return _open(value.value)
    if isinstance(value, dict):
        return {key: _open(item) for key, item in value.items()}
    return [_open(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
