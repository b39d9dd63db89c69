"""Whether machines are the nodes of one cluster, each one once."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from k3sgpu.adoption.machine_k3s import FoundK3s, FoundNode
from k3sgpu.problem import Problem
from k3sgpu.report import names


def cluster_problems(machines: Sequence[FoundK3s]) -> list[Problem]:
    """What keeps these machines from being one cluster of this program's. Warnings are among them."""
    servers = [one for one in machines if one.role == "server"]
    problems = [*_machines_named_twice(machines)]
    if not servers:
        problems.append(
            Problem(
                names([one.where for one in machines]),
                "agents of k3s alone",
                "the cluster's servers as well",
                "name them too: K3S_URL in /etc/systemd/system/k3s-agent.service.env says where they are",
            )
        )
    if problems or not servers:
        return problems
    nodes = {node.name: node for server in servers for node in server.nodes}
    problems += [*_other_clusters(machines, servers[0]), *_releases(machines)]
    if not nodes:
        found = "its API server did not list the Nodes"
        problems.append(
            Problem(servers[0].where, found, "an API that answers", "sudo k3s kubectl get nodes there")
        )
    elif not problems:
        for one in machines:
            problems += _node_of(one, nodes.get(one.node_name))
        problems += _nodes_left_out(machines, nodes.values())
    return problems


def _machines_named_twice(machines: Sequence[FoundK3s]) -> Iterator[Problem]:
    by_id = defaultdict[str, list[str]](list)
    for one in machines:
        by_id[one.machine_id].append(one.where)
    for wheres in by_id.values():
        if len(wheres) > 1:
            yield Problem(
                names(wheres),
                "one machine: the same /etc/machine-id",
                "each machine once",
                "leave out all of them but one; for a copied disk: systemd-machine-id-setup, and restart k3s",
            )


def _other_clusters(machines: Sequence[FoundK3s], server: FoundK3s) -> Iterator[Problem]:
    for one in machines:
        if one.ca != server.ca:
            yield Problem(
                one.where,
                "a node of another cluster: its certificates are others than those of " + server.where,
                "nodes of one cluster",
                "leave it out, or join it to this cluster first",
            )


def _releases(machines: Sequence[FoundK3s]) -> Iterator[Problem]:
    by_version = defaultdict[str, list[str]](list)
    for one in machines:
        by_version[one.version].append(one.where)
    if len(by_version) > 1:
        found = "; ".join(f"{version} on {names(wheres)}" for version, wheres in sorted(by_version.items()))
        yield Problem(
            "all hosts",
            f"several releases of k3s: {found}",
            "one release everywhere, which k3s.version of the stack file names",
            "upgrade the others with k3s's install script, servers first; then run adopt again",
        )


def _node_of(one: FoundK3s, node: FoundNode | None) -> Iterator[Problem]:
    if node is None:
        yield Problem(
            one.where,
            f"no Node {one.node_name} in the cluster",
            "a Node of this machine",
            "look at systemctl status and the journal of its k3s",
        )
    elif node.machine_id != one.machine_id:
        yield Problem(
            one.where,
            f"Node {node.name} belongs to another machine (machine-id {node.machine_id})",
            f"this machine's, {one.machine_id}",
            "restart k3s on the right one of the two, so that its Node says who it is",
        )


def _nodes_left_out(machines: Sequence[FoundK3s], nodes: Iterable[FoundNode]) -> Iterator[Problem]:
    named = {one.node_name for one in machines}
    for node in nodes:
        if node.name in named:
            continue
        if node.is_server:
            yield Problem(
                f"node {node.name}",
                f"a server of this cluster ({node.ip}) that is not among the hosts",
                "all servers: they share one database",
                f"name {node.ip} as a host too",
            )
        else:
            yield Problem(
                f"node {node.name}",
                f"an agent of this cluster ({node.ip}) that is not among the hosts",
                "all machines of the cluster",
                f"name {node.ip} as a host too; left out, it stays as it is and nothing counts its cards",
                "warning",
            )
