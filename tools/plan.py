"""`python -m tools.plan --file F`: what a stack would register, without engine, machines, keys.

The program runs under Pulumi's mocks with keys made up on the spot: a pull request from a fork gets this
preview. It shows every resource as a tree, and what the policies forbid. `--mermaid` draws who waits for whom
instead, as docs/graph.md has it.
"""

import argparse
import functools
import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi

from k3sgpu.settings import SettingsError, parse
from k3sgpu.settings.files.stack_file import read_keys
from policy.rules import RULES, Planned
from tools.mocked_program import KUBECONFIG, Graph, Hidden, Registered, run

KEY_SECONDS = 20
PAGE = """\
# The graph

Drawn from the program by `make graph`: `Pulumi.dev.yaml` run under Pulumi's mocks. An arrow leads from what
has to exist to what waits for it; arrows that follow from others are left out. A destroy goes the other way.

```mermaid
{picture}
```
"""


def main() -> int:
    """Exit status 0, 1 when a policy or the fit is broken, 2 when the stack file is refused."""
    parser = argparse.ArgumentParser(prog="python -m tools.plan", description=__doc__)
    parser.add_argument(
        "--file", type=Path, required=True, help="the stack file, for instance Pulumi.dev.yaml"
    )
    parser.add_argument("--mermaid", action="store_true", help="docs/graph.md on stdout")
    options = parser.parse_args()
    stack = re.sub(r"^Pulumi\.|\.ya?ml$", "", options.file.name)
    try:
        graph = planned(options.file, stack)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except pulumi.RunError as error:
        print(error, file=sys.stderr)
        return 1
    if options.mermaid:
        print(PAGE.format(picture=mermaid(graph)), end="")
        return 0
    broken = violations(graph)
    print(f"stack {stack}, {len(list(graph))} resources:\n\n{tree(graph)}")
    print("\n".join(["", *broken] if broken else ["", "no policy is broken"]))
    return 1 if broken else 0


def planned(file: Path, stack: str) -> Graph:
    """The graph of a stack file. Raises SettingsError and, for what the program refuses, pulumi.RunError."""
    plain, secrets = read_keys(file)
    settings = parse(plain, secrets)
    with tempfile.TemporaryDirectory() as folder:
        key, known = Path(folder, "key"), Path(folder, "known_hosts")
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]
        subprocess.run(keygen, check=True, timeout=KEY_SECONDS)
        public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
        known.write_text(f"* {public}\n")
        if settings.kubeconfig:
            there = Path(folder, "kubeconfig")
            there.write_text(KUBECONFIG)
            return run({**plain, "kubeconfig": {"file": str(there)}}, stack=stack)
        made_up: dict[str, Any] = {"privateKeyFile": str(key), "knownHostsFile": str(known)}
        if settings.k3s.air_gap:  # nor need the release be at hand, and its hashes are no longer those
            made_up["airGap"] = str(a_release(Path(folder), settings.k3s.version))
            made_up |= {"binarySha256": {}, "installScriptSha256": None}
        config = with_files({**plain, "ssh": {"knownHostsFile": "", **_mapping(plain.get("ssh"))}}, made_up)
        return run(config, stack=stack, secrets=dict.fromkeys(secrets, key.read_text()))


def a_release(folder: Path, version: str) -> Path:
    """A folder for `k3s.airGap`, with a release of small files."""
    place = folder / "releases" / version
    place.mkdir(parents=True)
    for name in ("k3s", "install.sh"):
        (place / name).write_text(f"{name}\n")
    digest = hashlib.sha256((place / "k3s").read_bytes()).hexdigest()
    (place / "sha256sum-amd64.txt").write_text(f"{digest}  k3s\n")
    return place.parent


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def with_files(value: Any, files: Mapping[str, str]) -> Any:
    """A configuration with other paths wherever it names one of `files`."""
    if isinstance(value, Mapping):
        return {key: files[key] if key in files else with_files(item, files) for key, item in value.items()}
    return [with_files(item, files) for item in value] if isinstance(value, list) else value


def ordered(graph: Graph) -> list[Registered]:
    """What has to exist stands before what waits for it, the same way in every run; a component begins with
    the first of its resources."""
    waits = {one.urn: len(graph.before(one)) for one in graph}
    frames = {parent: [waits[one.urn] for one in graph if one.parent == parent] for parent in waits}
    waits |= {parent: min(inside) for parent, inside in frames.items() if inside}
    return sorted(graph, key=lambda one: (waits[one.urn], one.urn))


def tree(graph: Graph) -> str:
    """Every resource below its parent, with its type."""
    width = max(len(one.name) for one in graph) + 4
    rows: list[str] = []

    def show(parent: str, depth: int) -> None:
        for one in ordered(graph):
            if one.parent == parent or (depth == 0 and one.parent not in graph.resources):
                rows.append(f"{'  ' * depth}{one.name:<{width - 2 * depth}}{kind(one)}")
                show(one.urn, depth + 1)

    show("", 0)
    return "\n".join(rows)


def kind(one: Registered) -> str:
    """`command:remote:Command` as people say it: remote Command."""
    package, module, name = one.type.split(":")
    if package == "pulumi":
        return f"Provider ({name})"
    return (
        f"{module} {name}" if package == "command" else name if package == "k3sgpu" else f"{name} ({package})"
    )


def violations(graph: Graph) -> list[str]:
    """What the policies say of every resource."""
    return [
        f"{rule.name}: {one.name} {wrong}.\n  {rule.reason}"
        for one in graph
        for rule in RULES
        for wrong in rule.check(as_planned(one))
    ]


def as_planned(one: Registered) -> Planned:
    """A resource as policies see it."""
    provider = one.provider.rsplit("::", 2)[-2] if one.provider else None
    ignored = list(one.options.ignoreChanges)
    return Planned(one.urn, one.type, one.name, _open(one.inputs), one.options.protect, provider, ignored)


def _open(value: Any) -> Any:
    """Secrets as policies see them: in plain text."""
    if isinstance(value, Hidden):
        return _open(value.value)
    if isinstance(value, dict):
        return {key: _open(item) for key, item in value.items()}
    return [_open(item) for item in value] if isinstance(value, list) else value


def mermaid(graph: Graph) -> str:
    """Components as frames, resources as boxes, and who waits for whom."""
    resources = ordered(graph)
    ids = {one.urn: f"r{number}" for number, one in enumerate(resources)}
    lines = ["flowchart TD"]
    for one in resources:
        inside = [child for child in resources if child.parent == one.urn]
        if inside:
            lines.append(f'  subgraph {ids[one.urn]}["{kind(one)} {one.name}"]')
            lines += [f'    {ids[child.urn]}["{child.name}<br/>{kind(child)}"]' for child in inside]
            lines.append("  end")
        elif one.parent not in graph.resources:
            lines.append(f'  {ids[one.urn]}["{one.name}<br/>{kind(one)}"]')
    lines += [f"  {ids[before]} --> {ids[after]}" for before, after in edges(graph)]
    return "\n".join(lines)


def edges(graph: Graph) -> list[tuple[str, str]]:
    """URNs: what has to exist, and what waits for it; without those that follow from others."""
    frames = {one.parent for one in graph}
    boxes = [one for one in ordered(graph) if one.urn not in frames]
    direct = {one.urn: waits_for(one) & {box.urn for box in boxes} for one in boxes}

    @functools.cache
    def all_before(urn: str) -> set[str]:
        return direct[urn].union(*(all_before(before) for before in direct[urn]))

    return [
        (before.urn, after.urn)
        for after in boxes
        for before in boxes
        if before.urn in direct[after.urn]
        and not any(before.urn in all_before(other) for other in direct[after.urn])
    ]


def waits_for(one: Registered) -> set[str]:
    """Its dependencies and its provider."""
    return {*one.depends_on, one.provider.rsplit("::", 1)[0]} - {one.urn}


if __name__ == "__main__":
    sys.exit(main())
