"""Where the stand-ins differ from the official plugins, and why: the only place that says so.

The expectations were recorded from command 1.2.1 and from kubernetes 4.32.0 (its repository 27 commits after
that tag; 4.34.2, which the SDK belongs to, was not to be had). Sentences of error messages are the stand-ins'
own: probes compare what kind of failure it was (normal.FACTS), and the exact text only where it carries a
script, its exit status and its output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Deviation:
    """One probe in which a stand-in shows something else: `seen` takes the place of what was recorded."""

    probe: str
    reason: str
    seen: dict[str, Any]


def _refused(name: str) -> dict[str, Any]:
    resources = {name: {"operations": [], "errors": [["stand-in"]]}}
    return {"create": {"result": "failed", "resources": resources, "state": {}}}


PROBED: Final = (
    Deviation(
        "any-host-key",
        "Without hostKey the official plugin talks to whoever answers. Every connection of this project has "
        "one, so a missing one is a mistake that a rehearsal should show.",
        _refused("any-host-key"),
    ),
    Deviation(
        "previous-output",
        "The official plugin sends the last outputs as environment variables, which sshd drops unless "
        "AcceptEnv allows them. Whether it does is a machine's setting: no rehearsal should depend on it.",
        _refused("previous-output"),
    ),
)

# What no probe shows, because a stand-in refuses it, or because showing it would take too long.
UNPROBED: Final = """\
command: perDialTimeout bounds the SSH handshake as well. The official plugin bounds the TCP connection, and
    waits for ever for a server that accepts and says nothing.
command: passwords, agentSocketPath and the environment of remote commands are refused.
command: behind a proxy every dial opens a way of its own. The official plugin repeats the handshake on the
    first one, so its words for another host key behind a proxy are those of the last try.
command: assets and archives of local commands are refused, so are CopyToRemote, CopyFile and local.run.
command: output lines of more than 64 KiB are logged. The official plugin stops reading them and hangs.
command: a host key of type ssh-rsa is accepted with SHA-2 signatures. The official plugin asks for SHA-1
    alone then, which today's servers refuse.
kubernetes: a kubeconfig is contents, never a path, and never taken from the environment or from home; exec
    plugins, basic authentication and connections without a check of the server are refused.
kubernetes: only the kinds of this project's graph (kinds.MODELLED), patches of custom resources, and
    helm.sh/v3:Release without post-rendering, verification, credentials and generated names.
kubernetes: names are never generated; replaceUnready and ignoreChanges on an update are refused; amounts have
    to be written in the API's canonical form.
kubernetes: import and get know Namespaces, ConfigMaps and Releases. The probe of imports was recorded from
    the repository 94977969, without its component resources, and with the inputs of these kinds as schema.
kubernetes: JSONPath in waitFor knows names, quoted names and numbers only.
kubernetes: a Deployment's volume claims are not waited for.
kubernetes: releases are made by Helm 4 with --server-side=false --wait=legacy; the official plugin is Helm 3.
kubernetes: an API server that does not answer is given up after 30 s, or kubeClientSettings.timeout.
"""


def expectation(probe: str, recorded: dict[str, Any], *, standin: bool) -> dict[str, Any]:
    """What a probe has to show: what was recorded, or what a deviation says instead."""
    if standin:
        for deviation in PROBED:
            if deviation.probe == probe:
                return deviation.seen
    return recorded


def differences(expected: Any, seen: Any, path: str = "") -> list[str]:
    """Each place where the two differ, for people to read."""
    if isinstance(expected, dict) and isinstance(seen, dict):
        found = []
        for key in sorted(expected.keys() | seen.keys()):
            place = f"{path}/{key}"
            if key not in seen:
                found.append(f"{place}: expected {expected[key]!r}, found nothing")
            elif key not in expected:
                found.append(f"{place}: expected nothing, found {seen[key]!r}")
            else:
                found += differences(expected[key], seen[key], place)
        return found
    return [] if expected == seen else [f"{path}: expected {expected!r}, found {seen!r}"]
