"""The text of a stack file with comments: why each value was chosen, and what may be changed."""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from k3sgpu.discovery.candidates import Candidate
from k3sgpu.discovery.proposal import Proposal, ProposedHost, ProposedPool, ProposedProfile
from k3sgpu.settings.config_keys import NAMESPACE
from k3sgpu.settings.models.nodes import SSH_PORT

WIDTH = 110
SCHEMA = "yaml-language-server: $schema=k3sgpu/settings/stack.schema.json"


@dataclass(frozen=True)
class Inherited:
    """The login that a host has when it says nothing."""

    user: str
    port: int
    key_file: str | None


@dataclass(frozen=True)
class SshSection:
    """The section `ssh` of a new stack file."""

    user: str
    key_file: str | None
    """None: the SSH agent's keys."""
    known_hosts_file: str

    @classmethod
    def for_most(cls, candidates: Sequence[Candidate], known_hosts_file: str) -> "SshSection":
        """The section with which most machines need nothing of their own."""
        logins = Counter((one.user, one.key_file) for one in candidates)
        user, key_file = logins.most_common(1)[0][0]
        return cls(user, key_file, known_hosts_file)

    @property
    def inherited(self) -> Inherited:
        """The login of hosts without one of their own."""
        return Inherited(self.user, SSH_PORT, self.key_file)


@dataclass(frozen=True)
class K3sSection:
    """What the section `k3s` says about the release."""

    values: Mapping[str, Any]
    """version, mirror, installScriptSha256, binarySha256."""
    note: str
    """Where the hashes come from, or why there are none."""


def new_text(
    stack: str, proposal: Proposal, ssh: SshSection, k3s: K3sSection, operator: str, waive: Sequence[str]
) -> str:
    """The text of a new stack file. `operator` is the GPU Operator's version."""
    config = CommentedMap()
    _add(
        config, "ssh", _ssh(ssh), "How the machines are reached; a pool and a host may have their own login."
    )
    _add(config, "k3s", _k3s(k3s, proposal.servers), "The release of k3s, and what it leaves out.", k3s.note)
    _add(
        config,
        "pools",
        CommentedMap((pool.name, pool_values(pool, ssh.inherited)) for pool in proposal.pools),
        "Machines of one kind form a pool. A host's name becomes its node's name.",
        "Before the first `up` names and pools may be changed freely.",
    )
    if waive:
        _add(
            config,
            "doctor",
            {"waive": _flow(waive)},
            "Checks of the machines that are left out, as you chose.",
        )
    if any(pool.cards for pool in proposal.pools):
        _add_gpu_sections(config, proposal, operator)
    else:
        _add(config, "gpuOperator", {"enabled": False}, "No machine has a card.")
    text = dump({"config": config})
    return "\n".join([f"# {SCHEMA}", *(f"# {line}" for line in _head(stack)), text]) + _tail(proposal)


def pool_values(pool: ProposedPool, inherited: Inherited) -> CommentedMap:
    """A pool as the stack file has it, with comments. `inherited` is the login of its hosts."""
    values = CommentedMap(role=pool.role, hosts=host_values(pool.hosts, inherited))
    if pool.cards:
        gpu = CommentedMap(
            product=pool.cards.product, count=pool.cards.count, memoryMiB=pool.cards.memory_mib
        )
        if pool.cards.mig:
            gpu["mig"] = CommentedMap(pool.cards.mig)
            gpu["mig"].fa.set_flow_style()
            gpu.yaml_add_eol_comment("the partitions of each card, as they are", "mig", column=0)
        gpu["profile"] = pool.profile
        gpu.yaml_add_eol_comment("cards in each machine", "count", column=0)
        gpu.yaml_add_eol_comment("of one card; sharing does not divide it", "memoryMiB", column=0)
        gpu.yaml_add_eol_comment("one of sharing.profiles, or none", "profile", column=0)
        values["gpu"] = gpu
    return values


def host_values(hosts: Sequence[ProposedHost], inherited: Inherited) -> CommentedMap:
    """Hosts as a pool has them, with what differs from the `inherited` login, and comments."""
    entries = CommentedMap()
    for host in hosts:
        one = host.seen.candidate
        values = CommentedMap(address=one.address)
        if host.node_ip:
            values["nodeIp"] = host.node_ip
        if one.user != inherited.user:
            values["user"] = one.user
        if one.port != inherited.port:
            values["port"] = one.port
        if one.key_file and one.key_file != inherited.key_file:
            values["privateKeyFile"] = one.key_file
        values.fa.set_flow_style()
        name = quoted(host.name)
        entries[name] = one.address if len(values) == 1 else values
        named = one.argument.address if one.argument.address != one.address else ""
        notes = [note for note in (named, _system(host), host.note) if note]
        entries.yaml_add_eol_comment("; ".join(notes) or "said nothing about itself", name, column=0)
    return entries


def profile_values(profiles: Mapping[str, ProposedProfile], indent: int) -> CommentedMap:
    """Profiles as `sharing.profiles` has them, each below the reason for it; `indent` is that of comments."""
    entries = CommentedMap((name, one.content) for name, one in profiles.items())
    for name, one in profiles.items():
        entries.yaml_set_comment_before_after_key(name, before=one.reason, indent=indent)
    return entries


def _system(host: ProposedHost) -> str:
    facts = host.seen.facts
    cpus, memory = facts.number("cpus"), facts.number("memory-kib")
    parts = [
        facts.one("os")[:60],
        f"{cpus} CPUs" if cpus else "",
        f"{memory // 1024**2} GiB" if memory else "",
    ]
    return ", ".join(part for part in parts if part)


def _add(config: CommentedMap, key: str, value: Any, *comment: str) -> None:
    config[f"{NAMESPACE}{key}"] = value
    before = "\n".join(line for line in comment if line)
    config.yaml_set_comment_before_after_key(f"{NAMESPACE}{key}", before=before, indent=2)


def _ssh(ssh: SshSection) -> CommentedMap:
    values = CommentedMap(user=ssh.user)
    values["privateKeyFile" if ssh.key_file else "agent"] = ssh.key_file or True
    values["knownHostsFile"] = ssh.known_hosts_file
    values.yaml_add_eol_comment("any other host key is refused", "knownHostsFile", column=0)
    return values


def _k3s(k3s: K3sSection, servers: Sequence[ProposedHost]) -> CommentedMap:
    values = CommentedMap(k3s.values)
    values["disable"] = _flow(["traefik"])
    values.yaml_add_eol_comment("remove it to have k3s's own ingress controller", "disable", column=0)
    if len(servers) > 1:
        values["initialServer"] = servers[0].name
        values["registrationAddress"] = servers[0].node_ip or servers[0].seen.candidate.address
        values.yaml_add_eol_comment(
            "better: a load balancer for port 6443 of all servers; while this one is down, none can join",
            "registrationAddress",
            column=0,
        )
    return values


def _add_gpu_sections(config: CommentedMap, proposal: Proposal, operator: str) -> None:
    section = CommentedMap(version=operator, driver=proposal.driver, toolkit=proposal.toolkit)
    section.yaml_add_eol_comment(proposal.driver_reason, "driver", column=0)
    section.yaml_add_eol_comment(proposal.toolkit_reason, "toolkit", column=0)
    if proposal.driver_version:
        section["values"] = {"driver": {"version": proposal.driver_version}}
    _add(
        config,
        "gpuOperator",
        section,
        "NVIDIA's GPU Operator. host: as the machines have it; operator: it installs it.",
    )
    if proposal.profiles:
        profiles = profile_values(proposal.profiles, indent=6)
        note = "How cards become slices. Change replicas at any time: `up` then moves nothing that runs."
        _add(config, "sharing", {"profiles": profiles}, note)


def _head(stack: str) -> list[str]:
    return [
        f"Proposed by `python -m k3sgpu new {stack}` from what the machines showed. It is yours now: change",
        f"what you like, and look at the result: python -m k3sgpu fit --file Pulumi.{stack}.yaml",
        "docs/reference/stack-file.md lists every key.",
    ]


def _tail(proposal: Proposal) -> str:
    """A comment that shows how workloads are written; "" without cards."""
    if not any(pool.cards for pool in proposal.pools):
        return ""
    return (
        "  # What runs on the slices. This one is ready-made: remove the comment signs, and run `up` again.\n"
        f"  # {NAMESPACE}workloads:\n"
        "  #   nvidia-plugin-test: {replicas: 2}\n"
    )


def _flow(items: Sequence[str]) -> CommentedSeq:
    sequence = CommentedSeq(items)
    sequence.fa.set_flow_style()
    return sequence


def quoted(text: str) -> str:
    """A text that is written in quotes if YAML 1.1, which editors know, takes it for something else: yes."""
    try:
        same = yaml.safe_load(text) == text
    except (yaml.YAMLError, ValueError):
        same = True  # ruamel quotes what is no plain text in any version
    return text if same else DoubleQuotedScalarString(text)


def dump(document: Mapping[str, Any]) -> str:
    """A document as text, in the form of stack files here."""
    form, stream = YAML(), io.StringIO()
    form.width = WIDTH
    form.indent(mapping=2, sequence=4, offset=2)
    form.dump(document, stream)
    return stream.getvalue()
