"""Rules of hosts and nodes: each name and each address belongs to one of them."""

from collections.abc import Iterator, Mapping

from k3sgpu.problem import Problem
from k3sgpu.settings.rules.draft import Draft


def names_and_addresses_are_unique(draft: Draft) -> Iterator[Problem]:
    """Refuse a host's name, node address or SSH login that another host has.

    The name of a host names its Node and its Pulumi resources.
    """
    order = [
        f"pools.{pool_name}.hosts.{name}"
        for pool_name, pool in draft.settings.pools.items()
        for name in pool.hosts
    ]
    nodes = sorted([*draft.settings.machines, *draft.settings.lost], key=lambda node: order.index(node.place))
    yield from _repeated({node.place: node.name for node in nodes}, "name", "a name", "rename one of the two")
    addresses = {node.place: node.node_ip for node in nodes}
    repeated = list(_repeated(addresses, "address", "an address", "correct one of the two addresses"))
    yield from repeated
    logins = {node.place: f"{node.address} port {node.port}" for node in nodes}
    for problem in _repeated(logins, "address", "an address (or a port)", "correct one of the two addresses"):
        if problem.where not in {other.where for other in repeated}:
            yield problem


def external_addresses_are_unique(draft: Draft) -> Iterator[Problem]:
    """Refuse an external address that another host has: what is sent to it reaches only one of them."""
    nodes = [*draft.settings.machines, *draft.settings.lost]
    owners = {node.node_ip: node for node in nodes}
    for node in nodes:
        if node.external_ip:
            owner = owners.setdefault(node.external_ip, node)
            if owner is not node:
                yield Problem(
                    f"{node.place}.externalIp",
                    f"the address {node.external_ip}, which {owner.place} already has",
                    "an external address of its own for each host",
                    "correct externalIp, or remove it where the host has no public address",
                )


def _repeated(values: Mapping[str, str], what: str, own: str, remedy: str) -> Iterator[Problem]:
    """A problem for each place whose value an earlier place has."""
    firsts: dict[str, str] = {}
    for place, value in values.items():
        first = firsts.setdefault(value, place)
        if first != place:
            expected = f"{own} of its own for each host" + (", over all pools" if what == "name" else "")
            yield Problem(place, f"the {what} {value}, which {first} already has", expected, remedy)


def nodes_are_unique(draft: Draft) -> Iterator[Problem]:
    """Refuse a Node of an existing cluster that is listed twice, in one pool or in two."""
    firsts: dict[str, str] = {}
    for pool_name, pool in draft.settings.pools.items():
        for index, name in enumerate(pool.nodes):
            place = f"pools.{pool_name}.nodes[{index}]"
            first = firsts.setdefault(name, place)
            if first != place:
                yield Problem(
                    place,
                    f"the node {name}, which {first} already has",
                    "each node once",
                    "remove one of the two",
                )
