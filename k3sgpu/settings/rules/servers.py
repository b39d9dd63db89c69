"""Rules of the servers: how many, which one is the initial server, and how the others find them."""

from collections.abc import Iterator

from k3sgpu.problem import Problem
from k3sgpu.settings.pydantic_errors import nearest
from k3sgpu.settings.rules.draft import Draft
from k3sgpu.wellknown import API_PORT


def server_count_is_odd(draft: Draft) -> Iterator[Problem]:
    """Refuse no server, and an even number: etcd needs more than half of its members.

    Servers that share an external database may be any number. An even number is also allowed while a lost
    server makes it so: removing the server is then the only option.
    """
    if not draft.intact("pools"):
        return
    servers = _server_names(draft)
    if not servers and not draft.settings.kubeconfig:
        yield Problem(
            "pools",
            "no server host",
            "one, three or five hosts in pools of role server",
            "add a pool `control: {role: server, hosts: {server-1: 10.0.0.11}}`, or give a pool role: server",
        )
    lost = [node.name for node in draft.settings.lost if node.role == "server"]
    if draft.settings.external_database:
        return
    if servers and len(servers) % 2 == 0 and (len(servers) + len(lost)) % 2 == 0:
        yield Problem(
            "pools",
            f"{len(servers)} server hosts: {', '.join(servers)}",
            "one, three or five: an even number survives no more failures than one fewer; any number with a "
            "database outside of the cluster",
            f"add a server, or move one of them, for instance {servers[-1]}, to a pool of role agent; or\n"
            "use a database of your own: pulumi config set --secret datastoreEndpoint",
        )


def initial_server_is_a_server(draft: Draft) -> Iterator[Problem]:
    """Require k3s.initialServer with several servers, and that it names one of them."""
    servers, initial = _server_names(draft), draft.settings.k3s.initial_server
    if not draft.intact("pools") or not draft.intact("k3s"):
        return
    if initial and servers and initial not in servers:
        yield Problem(
            "k3s.initialServer",
            initial,
            f"one of the hosts in pools of role server: {', '.join(servers)}",
            f"write initialServer: {nearest(initial, servers) or servers[0]}",
        )
    if len(servers) > 1 and not initial:
        yield Problem(
            "k3s.initialServer",
            "nothing: the key is missing",
            "the name of the server whose database the others join",
            f"write initialServer: {servers[0]}; for a cluster that already runs: one of its servers",
        )


def registration_address_is_set(draft: Draft) -> Iterator[Problem]:
    """Require k3s.registrationAddress with several servers."""
    if not draft.intact("pools") or not draft.intact("k3s"):
        return
    if len(_server_names(draft)) > 1 and not draft.settings.k3s.registration_address:
        yield Problem(
            "k3s.registrationAddress",
            "nothing: the key is missing",
            "a name or an address that leads to the servers that are up, for agents and the kubeconfig",
            f"write the DNS name or the address of a load balancer for port {API_PORT}. The address of one\n"
            "server works as well, but while that server is down no agent can join and no kubeconfig works",
        )


def registration_address_is_not_lost(draft: Draft) -> Iterator[Problem]:
    """Refuse the address of a lost host: the kubeconfig and joining agents would connect to it."""
    wanted = draft.settings.k3s.registration_address
    for node in draft.settings.lost:
        if wanted and wanted in (node.address, node.node_ip, node.external_ip):
            yield Problem(
                "k3s.registrationAddress",
                f"{wanted}, the address of {node.name}, which is gone",
                "a name or an address that leads to the servers that are up",
                f"write the address of a server that is up, or of a load balancer for port {API_PORT}",
            )


def _server_names(draft: Draft) -> list[str]:
    return [node.name for node in draft.settings.nodes if node.role == "server"]
