"""The rules of the policy pack: plain functions of one planned resource, each with its reason.

They judge any Pulumi program; this project's own passes all of them.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

UNKNOWN = object()
"""Stands for a value that a preview does not know yet."""

SCRIPTS = ("create", "update", "delete")
EXACT_VERSION = re.compile(r"v?\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?")
LOOKS_SECRET = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a k3s token": re.compile(r"\bK10[0-9a-f]{64}::"),
    "a password or token": re.compile(r"(?i)\b\w*(password|passwd|token|secret)=[\"']?[A-Za-z0-9+/_-]{8,}"),
}
SHORTEST_SECRET = 8
MARKER = re.compile(r"--.*--")
"""A line between others, such as PEM's BEGIN and END: it says where a secret ends and is none."""
NAMED = re.compile(r"[A-Z0-9_]+=([A-Za-z0-9+/]+={0,2})")
"""A secret under a name, as this project's scripts take them."""
REHEARSED = ("dev", "single")
"""Stacks whose machines may go at any time."""


@dataclass(frozen=True)
class Planned:
    """A resource as the engine is about to register it. `provider` is the name of its provider."""

    urn: str
    type: str
    name: str
    props: Mapping[str, Any]
    protect: bool = False
    provider: str | None = None
    ignored: Sequence[str] = ()
    """Which properties' changes are ignored."""

    @property
    def stack(self) -> str:
        """The stack's name, from urn:pulumi:STACK::PROJECT::TYPE::NAME."""
        return self.urn.removeprefix("urn:pulumi:").partition("::")[0]


@dataclass(frozen=True)
class Rule:
    """`check` yields what is wrong with a resource, and what to do instead."""

    name: str
    reason: str
    check: Callable[[Planned], Iterator[str]]


def no_triggers_beside_delete(planned: Planned) -> Iterator[str]:
    """Refuse a Command with both triggers and a delete script."""
    if planned.type.startswith("command:") and planned.props.get("triggers") and planned.props.get("delete"):
        yield "has triggers and delete; remove triggers and let create (or update) converge"


def host_keys_present(planned: Planned) -> Iterator[str]:
    """Refuse an SSH connection, or a jump host of it, without a host key."""
    if not planned.type.startswith("command:remote:"):
        return
    connection, place = planned.props.get("connection"), "connection"
    while isinstance(connection, Mapping):
        if not connection.get("hostKey"):
            yield f"{place} has no hostKey; write the machine's public host key there"
        connection, place = connection.get("proxy"), f"{place}.proxy"


def explicit_provider(planned: Planned) -> Iterator[str]:
    """Refuse a default provider for a Kubernetes resource."""
    if planned.type.startswith("kubernetes:") and (planned.provider or "default").startswith("default"):
        yield "uses a default provider; pass the cluster's own: ResourceOptions(provider=cluster.provider)"


def pinned_versions(planned: Planned) -> Iterator[str]:
    """Refuse a Helm release without an exact version."""
    if planned.type != "kubernetes:helm.sh/v3:Release":
        return
    version = planned.props.get("version")
    if version is not UNKNOWN and not (isinstance(version, str) and EXACT_VERSION.fullmatch(version)):
        yield f"has the version {version!r}; write an exact one, such as v26.7.0"


def no_latest(planned: Planned) -> Iterator[str]:
    """Refuse the tag `latest`, and an image without a tag or digest."""
    if planned.type.startswith("kubernetes:"):
        texts = _texts(planned.props)
    elif planned.type.startswith("command:"):
        texts = _json_texts(planned.props.get("environment"))
    else:
        return
    for place, key, value in texts:
        image = value.partition("@")[0].rpartition("/")[2]
        in_pod = "ontainers[" in place or place.startswith("environment.")
        untagged = key == "image" and ":" not in image and "@" not in value and in_pod
        if value == "latest" or image.endswith(":latest") or untagged:
            yield f"{place} is {value!r}; write a version's tag or a digest"


def protected_servers(planned: Planned) -> Iterator[str]:
    """Refuse an unprotected server outside of the stacks in REHEARSED."""
    inside = "K3sCluster$command:remote:Command::" in planned.urn
    # <component>-server-<host>; a host of another role may be called what it likes
    server = re.match(r"[^-]+-server-", planned.name)
    if "delete" in planned.ignored:
        return  # its machine is dead, and it is on its way out of the state
    if inside and server and not planned.protect and planned.stack not in REHEARSED:
        yield f"is a server of the stack {planned.stack} without protection; write k3s.protect: true"


def no_secret_in_scripts(planned: Planned) -> Iterator[str]:
    """Refuse a script that contains a secret, or what its Command gets on stdin or as a key."""
    if not planned.type.startswith("command:"):
        return
    connection = planned.props.get("connection")
    given = [planned.props.get("stdin")]
    if isinstance(connection, Mapping):
        given += [connection.get("privateKey"), connection.get("password")]
    lines = [line for text in given if isinstance(text, str) for line in text.splitlines()]
    lines += [decoded for line in lines if (decoded := _decoded(line))]
    secrets = [line for line in lines if len(line) >= SHORTEST_SECRET and not MARKER.fullmatch(line)]
    for key in SCRIPTS:
        text = planned.props.get(key)
        if not isinstance(text, str):
            continue
        found = [what for what, pattern in LOOKS_SECRET.items() if pattern.search(text)]
        if any(line in text for line in secrets):
            found.append("what it is given on stdin or as a key")
        for what in found:
            yield f"{key} holds {what} (not shown); read it from a secret stdin instead"


def _decoded(line: str) -> str:
    """What NAME=<base64> holds; empty for any other line."""
    named = NAMED.fullmatch(line)
    try:
        return base64.b64decode(named[1], validate=True).decode() if named else ""
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _json_texts(environment: Any) -> Iterator[tuple[str, str, str]]:
    """Every text in the JSON that a Command's environment holds, such as the image of its Jobs."""
    for name, text in environment.items() if isinstance(environment, Mapping) else ():
        try:
            value = json.loads(text)
        except (TypeError, ValueError):
            continue
        yield from _texts(value, f"environment.{name}")


def _texts(value: Any, place: str = "", key: str = "") -> Iterator[tuple[str, str, str]]:
    """Every text in a value: where, below which key, and itself."""
    if isinstance(value, str):
        yield place, key, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, f"{place}.{name}" if place else name, name)
    elif isinstance(value, Sequence):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{place}[{index}]", key)


RULES = (
    Rule(
        "no-triggers-beside-delete",
        "A changed trigger replaces: first the new create runs, then the old delete, on the same machine. "
        "What was just installed is gone.",
        no_triggers_beside_delete,
    ),
    Rule(
        "host-keys-present",
        "Without a host key the plugin takes any machine that answers for the right one, and hands it the "
        "cluster's tokens.",
        host_keys_present,
    ),
    Rule(
        "explicit-provider",
        "A default provider talks to whatever cluster the person at the keyboard talked to last.",
        explicit_provider,
    ),
    Rule(
        "pinned-versions",
        "A range or no version installs something else tomorrow than what was reviewed today.",
        pinned_versions,
    ),
    Rule(
        "no-latest",
        "The same stack file would run different code on each machine and each day.",
        no_latest,
    ),
    Rule(
        "protected-servers",
        "Taking a server away takes the cluster and everything in it away. Protected, that needs two steps.",
        protected_servers,
    ),
    Rule(
        "no-secret-in-scripts",
        "A script's text lies in the state, in previews and in error messages, in plain sight.",
        no_secret_in_scripts,
    ),
)
