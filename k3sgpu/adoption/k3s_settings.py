"""The k3s of machines as values of a stack file, and what a stack file cannot say about them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args
from urllib.parse import urlsplit

from k3sgpu.adoption.found_files import proxy_values, registry_values
from k3sgpu.adoption.machine_k3s import FoundK3s, FoundNode
from k3sgpu.foreign_text import escape
from k3sgpu.problem import Problem
from k3sgpu.settings.models.k3s import CLUSTER_CIDR, FLANNEL_BACKEND, SERVICE_CIDR, Component
from k3sgpu.settings.models.k3s_config_values import CONFIG_TYPES, is_external
from k3sgpu.settings.models.k3s_flags import KEY_TYPES, NODE_KEYS, SERVER_KEYS, flag_arguments
from k3sgpu.settings.rules.k3s_config import OWNED_KEYS

FIXED = {
    "data-dir": "/var/lib/rancher/k3s",
    "https-listen-port": "6443",
    "private-registry": "/etc/rancher/k3s/registries.yaml",
    "write-kubeconfig": "/etc/rancher/k3s/k3s.yaml",
    "with-node-id": "false",
    "disable-agent": "false",
}
"""Options whose defaults the program relies on."""
_SECRETS = {
    "etcd-s3-access-key": "s3AccessKey",
    "etcd-s3-secret-key": "s3SecretKey",
    "vpn-auth": "vpnAuth",
    "datastore-endpoint": "datastoreEndpoint",
}
"""Options that are secrets of the stack."""
_TYPED = {
    "cluster-cidr": ("clusterCidr", CLUSTER_CIDR),
    "service-cidr": ("serviceCidr", SERVICE_CIDR),
    "flannel-backend": ("flannelBackend", FLANNEL_BACKEND),
}
_STORE = ("endpoint", "bucket", "region", "folder")
"""The keys of k3s.snapshots.s3, which are options etcd-s3-…."""
_READABLE = ("", "600", "0600")


@dataclass
class Proposal:
    """What `adopt` writes."""

    k3s: dict[str, Any] = field(default_factory=dict)
    """Keys of the section k3s."""
    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By host: its keys beside the address and the login."""
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    """By name: secrets of the stack."""
    problems: list[Problem] = field(default_factory=list)


def propose(machines: Mapping[str, FoundK3s], addresses: Mapping[str, str]) -> Proposal:
    """The values for machines of one cluster. `machines`: by the name of the Node; `addresses`: for SSH.

    The machines have passed `cluster_problems`.
    """
    servers = [one for one in machines.values() if one.role == "server"]
    nodes = {node.name: node for server in servers for node in server.nodes}
    proposal = Proposal()
    proposal.k3s = {"version": servers[0].version, "protect": True}
    for name, found in machines.items():
        proposal.hosts[name] = _host(found, nodes[name], addresses[name])
        proposal.problems += [*_fixed_problems(found), *_node_problems(found)]
    proposal.k3s |= _server_section(servers, nodes, addresses)
    proposal.k3s |= _several_servers(machines, nodes)
    proposal.problems += _component_problems(servers[0])
    if len(servers) == 1:
        name = servers[0].node_name
        proposal.problems += _certificate_problems(servers[0], nodes[name].ip, addresses[name])
    free, problems = _free_config(list(machines.values()), servers)
    proposal.k3s |= {"config": free} if free else {}
    proposal.problems += problems
    _add_secrets(proposal, servers)
    _add_files(proposal, list(machines.values()))
    return proposal


def _host(found: FoundK3s, node: FoundNode, address: str) -> dict[str, Any]:
    taints, labels = found.all("node-taint"), found.all("node-label")
    values = {
        "nodeIp": node.ip if node.ip != address else None,
        "externalIp": found.one("node-external-ip"),
        "flannelIface": found.one("flannel-iface"),
        "kubeletArgs": flag_arguments(
            {"kubelet-arg": list(found.options.get("kubelet-arg", ()))}, "kubelet-arg"
        ),
        "labels": dict(label.split("=", 1) for label in labels if "=" in label),
        "taints": list(taints),
    }
    return {key: value for key, value in values.items() if value}


def _server_section(
    servers: Sequence[FoundK3s], nodes: Mapping[str, FoundNode], addresses: Mapping[str, str]
) -> dict[str, Any]:
    first = servers[0]
    own = {value for name, node in nodes.items() for value in (node.ip, addresses.get(name))}
    own |= {address for server in servers for address in server.all("node-external-ip")}
    names = [name for server in servers for name in server.all("tls-san")]
    values: dict[str, Any] = {
        key: first.one(option) for option, (key, default) in _TYPED.items() if first.one(option) != default
    }
    values["disable"] = [one for one in first.all("disable") if one in get_args(Component)]
    values["tlsSan"] = [name for name in dict.fromkeys(names) if name not in own]
    snapshots: dict[str, Any] = {
        "schedule": first.one("etcd-snapshot-schedule-cron"),
        "retention": int(first.one("etcd-snapshot-retention") or 0),
        "s3": {key: first.one(f"etcd-s3-{key}") for key in _STORE if first.one(f"etcd-s3-{key}")},
    }
    values["snapshots"] = {key: value for key, value in snapshots.items() if value}
    encrypted = first.one("secrets-encryption") == "true"
    return {**{key: value for key, value in values.items() if value}, "secretsEncryption": encrypted}


def _several_servers(machines: Mapping[str, FoundK3s], nodes: Mapping[str, FoundNode]) -> dict[str, Any]:
    """Which server creates the database, and the address of all of them."""
    servers = {name: one for name, one in machines.items() if one.role == "server"}
    if len(servers) == 1:
        return {}
    created = [name for name, one in servers.items() if one.one("cluster-init") == "true"]
    alone = [name for name, one in servers.items() if not one.one("server")]
    initial = next(iter([*created, *alone, *servers]))
    used = Counter(host for one in machines.values() if (host := urlsplit(one.one("server")).hostname))
    address = used.most_common(1)[0][0] if used else nodes[initial].ip
    return {"initialServer": initial, "registrationAddress": address}


def _free_config(
    machines: Sequence[FoundK3s], servers: Sequence[FoundK3s]
) -> tuple[dict[str, Any], list[Problem]]:
    """k3s.config: the options that the program does not set itself."""
    config, problems = dict[str, Any](), list[Problem]()
    for keys, group, all_of in ((NODE_KEYS, machines, "hosts"), (SERVER_KEYS, servers, "servers")):
        for key in sorted(keys):
            if OWNED_KEYS.fullmatch(key) or key in _SECRETS or key == "flannel-iface":
                continue
            values = {one.options.get(key, ()) for one in group}
            if len(values) > 1:
                having = ", ".join(one.where for one in group if key in one.options)
                problems.append(
                    Problem(
                        having,
                        f"the option {key} is not the same on all {all_of}",
                        f"one value on all {all_of}: k3s.config of a stack file is for all of them",
                        f"give all {all_of} the same {key}, restart k3s there, and run adopt again",
                    )
                )
            elif value := next(iter(values), ()):
                config[key] = _typed(key, value)
    return config, problems


def _typed(key: str, values: tuple[str, ...]) -> Any:
    """Texts of a command line as a value of config.yaml."""
    kind = KEY_TYPES[key]
    if CONFIG_TYPES[kind].is_list:
        return list(values)
    if kind == "flag":
        return values[-1].lower() == "true"
    return int(values[-1]) if kind in ("number", "port") and values[-1].isdecimal() else values[-1]


def _fixed_problems(found: FoundK3s) -> Iterator[Problem]:
    for option, default in FIXED.items():
        value = found.one(option)
        if value and value.rstrip("/") != default:
            yield Problem(
                found.where,
                f"the option {option}, {escape(value, 100)}",
                f"{default}: the program relies on it",
                "this k3s cannot be taken over; make a new cluster with `pulumi up`, and move what runs here",
            )
    if (mode := found.one("write-kubeconfig-mode")) not in _READABLE or found.one("write-kubeconfig-group"):
        yield Problem(
            found.where,
            f"a kubeconfig that others than root can read ({escape(mode or 'a group', 20)})",
            "/etc/rancher/k3s/k3s.yaml for root alone: it is the key to the cluster",
            "nothing now; from k3s's next restart on, take your own: python -m k3sgpu kubeconfig",
            "warning",
        )


def _node_problems(found: FoundK3s) -> Iterator[Problem]:
    names = Counter(text.partition("=")[0] for text in found.options.get("kubelet-arg", ()))
    for name in [name for name, count in names.items() if count > 1]:
        yield Problem(
            found.where,
            f"kubelet-arg has {escape(name, 60)} several times",
            "each argument once, as in kubeletArgs",
            "write it once, restart k3s, and run adopt again",
        )
    for option in sorted(found.options.keys() - KEY_TYPES.keys()):
        s3 = option.startswith("etcd-s3")
        if option in _SECRETS or option in ("etcd-s3", *(f"etcd-s3-{key}" for key in _STORE)):
            continue
        yield Problem(
            found.where,
            f"the option {escape(option, 60)}",
            "options that a stack file has a place for" if s3 else "options of k3s: it ignores this one",
            "take it out and restart k3s, then run adopt again" if s3 else "nothing: it is left out",
            "error" if s3 else "warning",
        )


def _certificate_problems(server: FoundK3s, node_ip: str, address: str) -> Iterator[Problem]:
    """The kubeconfig has the server's address, which the API's certificate names only from a start on."""
    names = {node_ip, server.hostname, *server.all("tls-san"), *server.all("node-external-ip")}
    if address not in names:
        yield Problem(
            server.where,
            f"the address {address}, which the API's certificate does not name",
            f"an address that it names: {', '.join(sorted(map(escape, names)))}",
            f"name the host as {node_ip} (ssh.bastion reaches inner addresses)\n"
            f"or add --tls-san {address} to k3s's unit, restart it, and run adopt again",
        )


def _component_problems(server: FoundK3s) -> Iterator[Problem]:
    for name in server.all("disable"):
        if name not in get_args(Component):
            yield Problem(
                server.where,
                f"disable: {escape(name, 60)}",
                f"components of k3s: {', '.join(get_args(Component))}",
                "take it out and restart k3s, then run adopt again",
            )


def _add_secrets(proposal: Proposal, servers: Sequence[FoundK3s]) -> None:
    for option, name in _SECRETS.items():
        value = servers[0].one(option)
        if value and (option != "datastore-endpoint" or is_external(value)):
            proposal.secrets[name] = value


def _add_files(proposal: Proposal, machines: Sequence[FoundK3s]) -> None:
    """registries.yaml and the proxy, which must be the same everywhere."""
    for what, values in (
        ("registries.yaml", {one.registries.strip() for one in machines}),
        ("the proxy", {tuple(sorted(one.proxies.items())) for one in machines}),
    ):
        if len(values) > 1:
            proposal.problems.append(
                Problem(
                    "all hosts",
                    f"{what} is not the same on all of them",
                    "the same everywhere: a stack file has one for all hosts",
                    "make them the same, restart k3s where you change one, and run adopt again",
                )
            )
            return
    first = machines[0]
    for read in (registry_values(first.registries), proxy_values(first.proxies)):
        proposal.k3s |= read.k3s
        proposal.secrets |= read.secrets
        proposal.problems += [
            Problem(
                first.where,
                found,
                "what a stack file can say",
                "take it out, and restart k3s; then run adopt again",
            )
            for found in read.reasons
        ]
