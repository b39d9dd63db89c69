"""The pools of a stack file for adopted machines: as `new` groups them, with the Nodes' own names."""

from collections.abc import Mapping, Sequence
from typing import Any

from k3sgpu.adoption.gpu_nodes import GpuNode
from k3sgpu.discovery.candidates import Candidate
from k3sgpu.discovery.card_kinds import CardKind
from k3sgpu.discovery.proposal import ProposedPool
from k3sgpu.discovery.stack_file_text import SshSection
from k3sgpu.settings.models.nodes import SSH_PORT


def labelled_kinds(nodes: Sequence[GpuNode], names: Mapping[str, str]) -> dict[str, CardKind]:
    """By candidate, the cards that NVIDIA's feature discovery has found there.

    `names`: by candidate, its Node. Cards of one product differ by some MiB: all have the smallest memory.
    """
    by_name = {node.name: node for node in nodes}
    smallest = dict[tuple[str, int], int]()
    for node in nodes:
        alike = node.product, node.count
        smallest[alike] = min(node.memory_mib, smallest.get(alike, node.memory_mib))
    found = {candidate: by_name[name] for candidate, name in names.items() if name in by_name}
    return {
        candidate: CardKind(node.product, smallest[node.product, node.count], node.count)
        for candidate, node in found.items()
    }


def ssh_values(ssh: SshSection) -> dict[str, Any]:
    """The section ssh."""
    key = {"privateKeyFile": ssh.key_file} if ssh.key_file else {"agent": True}
    return {"user": ssh.user, **key, "knownHostsFile": ssh.known_hosts_file}


def pool_values(
    pools: tuple[ProposedPool, ...],
    names: Mapping[str, str],
    hosts: Mapping[str, Mapping[str, Any]],
    profiles: Mapping[str, str],
    ssh: SshSection,
) -> dict[str, Any]:
    """The section pools.

    `names`: by candidate, the name of its Node. `hosts`: by Node, the keys of its host. `profiles`: by Node,
    the sharing profile of its cards; a pool has one.
    """
    values: dict[str, Any] = {}
    for pool in pools:
        groups: dict[str, dict[str, Any]] = {}
        for host in pool.hosts:
            name = names[host.seen.candidate.name]
            entry = {**_login(host.seen.candidate, ssh), **hosts[name]}
            groups.setdefault(profiles.get(name, ""), {})[name] = entry
        for number, (profile, members) in enumerate(groups.items(), 1):
            name = pool.name if number == 1 else f"{pool.name}-{number}"
            values[name] = {"role": pool.role, "hosts": members}
            if pool.cards:
                values[name]["gpu"] = {
                    "product": pool.cards.product,
                    "count": pool.cards.count,
                    "memoryMiB": pool.cards.memory_mib,
                    **({"mig": dict(pool.cards.mig)} if pool.cards.mig else {}),
                    **({"profile": profile} if profile else {}),
                }
    return values


def _login(one: Candidate, ssh: SshSection) -> dict[str, Any]:
    values: dict[str, Any] = {"address": one.address}
    if one.user != ssh.user:
        values["user"] = one.user
    if one.port != SSH_PORT:
        values["port"] = one.port
    if one.key_file and one.key_file != ssh.key_file:
        values["privateKeyFile"] = one.key_file
    return values
