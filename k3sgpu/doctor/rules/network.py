"""Rules about a machine's network: its addresses, routes and ports, and what it must be able to reach."""

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

from k3sgpu.doctor.machine import Machine, Plan
from k3sgpu.problem import Problem

# docs.k3s.io/installation/requirements, and the ports that Kubernetes' own parts listen on.
AGENT_PORTS = {
    6444: "the agent's load balancer of API servers",
    10010: "containerd",
    10248: "the kubelet's health",
    10249: "kube-proxy's metrics",
    10250: "the kubelet",
    10256: "kube-proxy's health",
}
SERVER_PORTS = AGENT_PORTS | {
    6443: "the API server",
    10257: "the controller manager",
    10258: "the cloud controller",
    10259: "the scheduler",
}
ETCD_PORTS = {2379: "etcd's clients", 2380: "etcd's members"}
REGISTRY_PORTS = {5001: "the embedded registry"}
FLANNEL_UDP_PORTS = {"vxlan": 8472, "wireguard-native": 51820}

CONTAINER_INTERFACES = ("br-", "cni", "docker", "flannel", "kube-", "veth", "virbr")
"""The beginnings of the names of interfaces that Docker, Kubernetes and libvirt create."""

_DOWNLOAD = re.compile(r"(?P<url>https://(?P<host>[^/:\s]+)\S*) (?P<status>\d{3}) (?P<exit>\w+ \d+)")

# What the exit status of curl or wget says about the connection (their manuals, EXIT STATUS).
EXIT_STATUS = {
    "curl 6": "its name cannot be resolved there",
    "curl 7": "connection refused or no route",
    "curl 28": "no answer in time",
    "curl 35": "no TLS connection",
    "curl 60": "its certificate is not trusted there",
    "wget 4": "no connection",
    "wget 5": "its certificate is not trusted there",
}


def ports(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """The ports that k3s listens on are free.

    Skipped where a Kubernetes runs: it holds the ports itself, and the check `owner` reports whose it is.
    """
    if machine.k3s_runs or machine.facts.all("kubernetes"):
        return
    uses = _ports(machine, plan)
    taken = {int(port, 16) for port in machine.facts.all("listens")}
    holders = dict(line.split(" ", 1) for line in machine.facts.all("listener") if " " in line)
    udp = FLANNEL_UDP_PORTS.get(plan.flannel)
    taken_udp = {int(port, 16) for port in machine.facts.all("listens-udp")}
    if udp in taken_udp and not machine.facts.one("k3s-binary"):
        yield machine.problem(
            f"taken: {udp}/udp",
            f"free: {udp}/udp for the pods' network ({plan.flannel})",
            f"{machine.ssh} \"sudo ss -lnup 'sport = :{udp}'\", then stop or move what listens there",
        )
    if held := sorted(taken & uses.keys()):
        yield machine.problem(
            "taken: " + ", ".join(f"{port} (by {holders.get(str(port), 'something')})" for port in held),
            "free: " + ", ".join(f"{port} for {uses[port]}" for port in held),
            f"{machine.ssh} \"sudo ss -ltnp 'sport = :{held[0]}'\", then stop or move what listens there",
        )


def _ports(machine: Machine, plan: Plan) -> dict[int, str]:
    uses = SERVER_PORTS if machine.role == "server" else AGENT_PORTS
    if machine.role == "server" and plan.etcd:
        uses = uses | ETCD_PORTS
    return uses | REGISTRY_PORTS if plan.embedded_registry else uses


def address(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """The node's address is on an interface of the machine, and is the one that packets to the API come from.

    k3s gets this address as the node's own.
    """
    own = interfaces(machine)
    node = _node_address(machine)
    source = ip(machine.facts.one("source"))
    if own and node and node not in own:
        usable = usable_addresses(own)
        yield machine.problem(
            f"{node} is on no interface of the machine; it has {', '.join(usable) or 'only loopback'}",
            "an address of the machine itself: nodes talk to each other on it",
            f"nodeIp: {' or '.join(usable) or '<its own address>'} for {machine.name} in the stack file",
        )
    elif source and node and source != node and not source.is_loopback:
        yield machine.problem(
            f"its packets to {plan.registration} come from {source}, and its node address is {node}",
            "one network for all nodes: firewalls and flannel see the other address",
            f"nodeIp: {source} for {machine.name} in the stack file, or a route that uses {node}\n"
            f"{machine.ssh} ip route get {plan.registration}",
            "warning",
        )


def usable_addresses(own: Mapping[IPv4Address | IPv6Address, str]) -> list[str]:
    """The IPv4 addresses that may be the node's own: none of a bridge or tunnel for containers."""
    return sorted(
        str(address)
        for address, interface in own.items()
        if address.version == 4
        and not (address.is_loopback or address.is_link_local)
        and not interface.startswith(CONTAINER_INTERFACES)
    )


def interfaces(machine: Machine) -> dict[IPv4Address | IPv6Address, str]:
    """By address of the machine, the network interface that has it; "" where that is not known."""
    lines = (line.partition(" ") for line in machine.facts.all("address"))
    return {parsed: interface for text, _, interface in lines if (parsed := ip(text))}


def flannel(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """The pods' packets leave by the interface of the node's address.

    flannel takes the interface of the default route and its address, whatever node-ip says, unless
    flannel-iface names another (k3s, pkg/agent/flannel: LookupExtInterface).
    """
    at = interfaces(machine)
    node = at.get(_node_address(machine) or IPv4Address(0), "")
    chosen, default = machine.spec.get("flannelIface"), machine.facts.one("default-route")
    known = {interface for one, interface in at.items() if interface and one.version == 4}
    if chosen and known and chosen not in known:
        yield machine.problem(
            f"no interface {chosen} with an address; it has {', '.join(sorted(known - {'lo'})) or 'only lo'}",
            f"{chosen}, as flannelIface says: without it k3s does not start",
            f"flannelIface: {node or '<interface>'} for {machine.name} in the stack file",
        )
    decided = chosen or plan.vpn or plan.k3s_config.get("flannel-external-ip")
    if decided or plan.single_node or node in ("", "lo"):
        return
    if default in known and default != node:
        address = next(one for one, interface in at.items() if interface == default and one.version == 4)
        yield machine.problem(
            f"the default route goes by {default} ({address}), and the node's address is on {node}: "
            f"flannel ({plan.flannel}) takes {default}, and the other nodes send the pods' packets there",
            "the interface of the node's address, on the network that all nodes share",
            f"flannelIface: {node} for {machine.name}, or in its pool, in the stack file",
            # The nodes of a running cluster may reach each other by other means: do not block its changes.
            "warning" if machine.belongs_to(plan) else "error",
        )


def _node_address(machine: Machine) -> IPv4Address | IPv6Address | None:
    return ip(machine.spec["nodeIp"]) or ip(machine.peer)


def ip(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def route(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """There is a default route: k3s finds the node's interface by it."""
    if not machine.facts.all("default-route"):
        yield machine.problem(
            "no default route",
            "a default route: k3s finds the node's interface by it; a dummy is enough",
            f'{machine.ssh} "sudo ip route add default via <gateway>", and add it to the network settings',
        )


def dns(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """The names of the API and of the downloads can be resolved.

    The names of downloads only where k3s is not yet installed: a node that has it downloads nothing.
    """
    unknown = [
        name
        for name in machine.facts.all("unknown-name")
        if name == plan.registration or not machine.installed(plan)
    ]
    if unknown:
        yield machine.problem(
            f"names that cannot be resolved: {', '.join(unknown)}",
            "a name server that knows the cluster's address and where k3s is downloaded from",
            f'{machine.ssh} "cat /etc/resolv.conf; getent ahosts {unknown[0]}", then correct its servers\n'
            "or, for air-gapped hosts, k3s: {airGap: FOLDER} in the stack file "
            "(docs/guides/air-gapped-hosts.md)",
        )


def resolv_conf(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """A resolv.conf of the machine names only servers that pods can reach, so none on its loopback interface.

    k3s takes the first of /etc/resolv.conf and systemd-resolved's file in which every name server is a
    unicast address that is not local, and else gives pods 8.8.8.8 (pkg/agent/config: isValidResolvConf).
    """
    files: dict[str, list[str]] = {}
    for line in machine.facts.all("nameserver"):
        file, _, server = line.partition(" ")
        files.setdefault(file, []).append(server)
    if not files or plan.k3s_config.get("resolv-conf") or any(map(_usable_in_pods, files.values())):
        return
    yield machine.problem(
        "; ".join(f"name servers of {file}: {', '.join(servers)}" for file, servers in files.items()),
        "a file with name servers that pods can reach; with local ones k3s gives all pods 8.8.8.8",
        f"{machine.ssh} \"echo 'nameserver <address>' | sudo tee /etc/k3s-resolv.conf\" on every host, and\n"
        "k3s: {config: {resolv-conf: /etc/k3s-resolv.conf}} in the stack file",
        "warning",
    )


def _usable_in_pods(servers: list[str]) -> bool:
    addresses = [ip(server) if "%" not in server else None for server in servers]
    return all(
        address and not (address.is_loopback or address.is_link_local or address.is_multicast)
        for address in addresses
    )


def download(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """The files of k3s's release can be downloaded.

    Only where k3s is not yet installed: a node that has it downloads nothing.
    """
    if machine.installed(plan):
        return
    for line in machine.facts.all("download"):
        match = _DOWNLOAD.fullmatch(line)
        if not match or match["host"] in machine.facts.all("unknown-name"):
            continue
        url, status = match["url"], match["status"]
        if status == "000":
            program, _, exit_status = match["exit"].partition(" ")
            reason = EXIT_STATUS.get(match["exit"], f"{program} ended with exit status {exit_status}")
            yield machine.problem(
                f"{url} cannot be reached: {reason}",
                "access to the server that k3s is downloaded from, or a mirror",
                f"{machine.ssh} \"curl -sSIL '{url}'\"   # look at firewalls and proxies\n"
                "or k3s: {mirror: https://...}, or {airGap: FOLDER}, in the stack file "
                "(docs/guides/air-gapped-hosts.md)",
            )
        elif status in ("404", "410"):
            yield machine.problem(
                f"{url} does not exist (HTTP {status})",
                f"the files of {plan.k3s_version}",
                "correct k3s.version, or k3s.mirror and k3s.installScriptUrl, in the stack file",
            )


def networks(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """No route of the machine overlaps the networks of pods and services.

    Pods cannot reach a host in such a network, and the host cannot reach them. Not checked where k3s is
    installed: the routes may be its own, and it is too late to choose others.
    """
    if machine.facts.one("k3s-binary"):
        return
    for line in machine.facts.all("route"):
        target, _, interface = line.partition(" ")
        for key, cidrs in plan.networks.items():
            for cidr in cidrs.split(","):
                if _overlap(target, cidr):
                    yield machine.problem(
                        f"the route to {target} by {interface} overlaps k3s.{key} {cidr}",
                        "networks for pods and services that no machine has a route to",
                        f"k3s: {{{key}: 172.30.0.0/16}} in the stack file, or another free one",
                    )


def _overlap(one: str, other: str) -> bool:
    """Whether two IPv4 networks overlap; false where one of them is none."""
    try:
        return IPv4Network(one, strict=False).overlaps(IPv4Network(other, strict=False))
    except ValueError:
        return False


def firewall(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """No firewall is active, or it lets the nodes talk to each other.

    Whether it does cannot be seen from the machine, so an active one is always a warning.
    """
    needed = _ports_between_nodes(machine, plan)
    for name in machine.facts.all("firewall"):
        yield machine.problem(
            f"{name} is active",
            f"{', '.join(needed)} open between the nodes, pod and service networks trusted",
            _firewall_commands(name, needed, [*plan.networks.values()]),
            "warning",
        )


def _ports_between_nodes(machine: Machine, plan: Plan) -> list[str]:
    """The ports on which other nodes reach this one (docs.k3s.io, requirements, inbound rules)."""
    server = machine.role == "server"
    needed = ["6443/tcp"] if server else []
    needed.append("10250/tcp")
    if server and plan.etcd:
        needed.append("2379-2380/tcp")
    if plan.embedded_registry:
        needed.append("5001/tcp")
    if udp := FLANNEL_UDP_PORTS.get(plan.flannel):
        needed.append(f"{udp}/udp")
    return needed


def _firewall_commands(name: str, ports: list[str], networks: list[str]) -> str:
    cidrs = [cidr for network in networks for cidr in network.split(",")]
    if name == "ufw":
        opened = [f"sudo ufw allow {port.replace('-', ':')}" for port in ports]
        return "; ".join([*opened, *(f"sudo ufw allow from {cidr}" for cidr in cidrs)])
    if name == "firewalld":
        opened = [f"sudo firewall-cmd --permanent --add-port={port}" for port in ports]
        trusted = [f"sudo firewall-cmd --permanent --zone=trusted --add-source={cidr}" for cidr in cidrs]
        return "; ".join([*opened, *trusted, "sudo firewall-cmd --reload"])
    return "open these ports"
