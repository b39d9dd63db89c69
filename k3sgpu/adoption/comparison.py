"""Whether a stack file describes the k3s that is on a machine: the options in effect, and those planned.

k3s reads the planned ones at its next start only, so a takeover restarts nothing. That is right as long as
both mean the same; PENDING has the options that may differ until then.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import yaml

from k3sgpu.adoption import found_options
from k3sgpu.adoption.machine_k3s import FoundK3s
from k3sgpu.foreign_text import escape
from k3sgpu.handoff.k3s_config import (
    agent_config_file,
    cluster_config,
    config_text,
    host_config,
    server_config_file,
)
from k3sgpu.problem import Problem
from k3sgpu.settings import Node, Settings, node_secret_texts, server_secret_texts
from k3sgpu.settings.models.k3s import CLUSTER_CIDR, FLANNEL_BACKEND, SERVICE_CIDR
from k3sgpu.settings.models.k3s_config_values import CONFIG_TYPES
from k3sgpu.settings.models.k3s_flags import KEY_TYPES

_HALF = 32
"""Hex digits of each hash in a permission."""
_SECRET = frozenset(
    "token agent-token datastore-endpoint vpn-auth etcd-s3-access-key etcd-s3-secret-key".split()
)
_COMMAS = frozenset("disable tls-san cluster-cidr service-cidr node-ip node-external-ip cluster-dns".split())
_DEFAULTS = {
    "cluster-cidr": CLUSTER_CIDR,
    "service-cidr": SERVICE_CIDR,
    "flannel-backend": FLANNEL_BACKEND,
    "data-dir": "/var/lib/rancher/k3s",
    "https-listen-port": "6443",
    "private-registry": "/etc/rancher/k3s/registries.yaml",
    "write-kubeconfig": "/etc/rancher/k3s/k3s.yaml",
}
"""k3s's own values of options that are not set."""
_UNORDERED = frozenset({"disable", "kubelet-arg"})

PENDING: Mapping[str, str] = {
    "agent-token": "k3s has stored it: converge.sh writes it to a file, from server/agent-token",
    "agent-token-file": "its content is the token that agents use now",
    "token": "a server has stored it in server/token; an agent gets the same one in a file",
    "token-file": "its content is the token that this agent uses now",
    "server": "another address of the same cluster, or of no effect on a server that has its database",
    "cluster-init": "k3s reads it only while there is no database",
    "write-kubeconfig-mode": "the kubeconfig is root's alone from the next start on; adopt warns of it",
    "write-kubeconfig-group": "as write-kubeconfig-mode",
    "node-label": "k3s reads it only when a Node registers",
    "node-taint": "k3s reads it only when a Node registers",
}
"""Options that may differ until k3s's next start, and why."""


@dataclass(frozen=True)
class PlannedK3s:
    """What converge.sh would write on a machine, in its variables. Its texts hold secrets."""

    config: str
    node_config: str
    server_config: str
    registries: str
    environment: str

    @property
    def options(self) -> found_options.Options:
        """The options that k3s would read."""
        return found_options.file_options([self.config, self.node_config, self.server_config])


def planned(settings: Settings, node: Node, secrets: Mapping[str, str]) -> PlannedK3s:
    """What the program would write for a host of the stack file."""
    host, cluster = host_config(node), cluster_config(settings)
    is_server = node.role == "server"
    config = (
        server_config_file(host, cluster)
        if is_server
        else agent_config_file(host, cluster, settings.server.node_ip)
    )
    texts = node_secret_texts(settings, secrets)
    return PlannedK3s(
        config=config_text(config),
        node_config=texts.get("NODE_CONFIG", ""),
        server_config=server_secret_texts(secrets).get("SERVER_CONFIG", "") if is_server else "",
        registries=texts.get("REGISTRIES", ""),
        environment=texts.get("ENVIRONMENT", ""),
    )


def permission(found: FoundK3s, plan: PlannedK3s) -> str:
    """The key `adopt` of a host: half of the hash of what is there, and half of that of what replaces it.

    parts/adopt.sh computes both again.
    """
    return found.files_hash[:_HALF] + _planned_hash(plan)[:_HALF]


def _planned_hash(plan: PlannedK3s) -> str:
    """As planned_hash of parts/adopt.sh: sh drops newlines at the end of the texts that come on stdin."""
    lines, skips = list[str](), False
    for line in plan.config.splitlines(keepends=True):
        if not line.startswith(("-", " ")):
            skips = line.startswith(("node-label:", "node-taint:"))
        if not skips:
            lines.append(line)
    texts = (plan.node_config, plan.server_config, plan.registries, plan.environment)
    rest = "".join(text.rstrip("\n") + "\n--\n" for text in texts)
    return hashlib.sha256(("".join(lines) + rest).encode()).hexdigest()


def differences(found: FoundK3s, plan: PlannedK3s, node_ip: str) -> Iterator[Problem]:
    """What would be another k3s after its next start. `node_ip`: the address that its Node has."""
    expected = {"node-name": found.node_name, "node-ip": node_ip}
    after = plan.options
    for option in sorted({*found.options, *after}):
        if option in PENDING or not (option in KEY_TYPES or option.startswith("etcd-s3")):
            continue
        now, then = _values(option, found.options), _values(option, after)
        if option in expected:
            now = (expected[option],)
        if now == then or (option == "tls-san" and set(now) <= set(then)):
            continue
        yield _difference(found.where, f"the option {option}", _show(option, now), _show(option, then))
    for what, here, there in (
        ("registries.yaml", _document(found.registries), _document(plan.registries)),
        ("the proxy", *_proxies(found, plan)),
    ):
        if here != there:
            yield _difference(found.where, what, "what is there (not shown)", "something else (not shown)")


def _values(option: str, options: found_options.Options) -> tuple[str, ...]:
    values = options.get(option, ())
    if option in _COMMAS:
        values = tuple(part for value in values for part in value.split(",") if part)
    kind = KEY_TYPES.get(option, "text")
    if kind == "flag":
        return (str(values[-1].lower() == "true").lower() if values else "false",)
    if not CONFIG_TYPES[kind].is_list and option not in _COMMAS:
        values = values[-1:]
    if not values and option in _DEFAULTS:
        values = (_DEFAULTS[option],)
    return (
        tuple(sorted(values))
        if option in _UNORDERED
        else tuple(value.rstrip("/") or value for value in values)
    )


def _show(option: str, values: tuple[str, ...]) -> str:
    if not values:
        return "not set"
    return "a secret (not shown)" if option in _SECRET else escape(", ".join(values), 200)


def _document(text: str) -> object:
    try:
        return yaml.safe_load(text) or {}
    except yaml.YAMLError:
        return text


def _proxies(found: FoundK3s, plan: PlannedK3s) -> tuple[object, object]:
    """The proxies now and then; NO_PROXY may get more, which k3s's next start reads."""
    now, then = dict(found.proxies), found_options.proxies(found_options.environment(plan.environment))
    split: Callable[[dict[str, str]], set[str]] = lambda one: set(one.pop("NO_PROXY", "").split(",")) - {""}  # noqa: E731
    direct, later = split(now), split(then)
    if not then:
        return now, {}
    return (now, sorted(direct - later)), (then, [])


def _difference(where: str, what: str, now: str, then: str) -> Problem:
    return Problem(
        where,
        f"{what}: {now}; this stack file would make it: {then}",
        "the k3s that is there, so that nothing restarts",
        "report it with k3s's unit and config.yaml without secrets; the stack file was not written",
    )
