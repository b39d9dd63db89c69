"""The rules about what a machine has to reach, and by which way."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

from k3sgpu.doctor.machine import Machine, Plan
from k3sgpu.problem import Problem

_DOWNLOAD = re.compile(r"(?P<url>https://(?P<host>[^/:\s]+)\S*) (?P<status>\d{3}) (?P<asked>\w+ \d+)")

# What the exit status of curl or wget says, as far as the way is concerned (their manuals, EXIT STATUS).
_WHY = {
    "curl 6": "its name is not known here",
    "curl 7": "connection refused or no way there",
    "curl 28": "no answer in time",
    "curl 35": "no TLS connection",
    "curl 60": "its certificate is not trusted here",
    "wget 4": "no connection",
    "wget 5": "its certificate is not trusted here",
}


def address(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """k3s is told this address as the node's own, so an interface of the machine must have it."""
    own = {parsed for text in machine.facts.all("address") if (parsed := _ip(text))}
    told = _ip(machine.spec.get("nodeIp", machine.spec["address"])) or _ip(machine.peer)
    source = _ip(machine.facts.one("source"))
    if own and told and told not in own:
        usable = sorted(str(ip) for ip in own if not (ip.is_loopback or ip.is_link_local))
        yield machine.problem(
            f"{told} is on no interface of the machine; it has {', '.join(usable) or 'none but loopback'}",
            "an address of the machine itself: nodes talk to each other on it",
            f"nodeIp: {usable[0] if usable else '<its own address>'} for {machine.name} in the stack file",
        )
    elif source and told and source != told and not source.is_loopback:
        yield machine.problem(
            f"its way to {plan.registration} begins at {source}, and its node address is {told}",
            "one network for all nodes: firewalls and flannel see the other address",
            f"nodeIp: {source} for {machine.name} in the stack file, or a route that uses {told}\n"
            f"{machine.ssh} ip route get {plan.registration}",
            "warning",
        )


def _ip(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def route(machine: Machine, plan: Plan) -> Iterator[Problem]:
    if not machine.facts.all("default-route"):
        yield machine.problem(
            "no default route",
            "one: k3s finds the node's interface by it, a dummy will do",
            f'{machine.ssh} "sudo ip route add default via <gateway>", and put it into the network settings',
        )


def names(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """Only names that are used: those of downloads no more when k3s is here."""
    unknown = [
        name
        for name in machine.facts.all("unknown-name")
        if name == plan.registration or not machine.installed(plan)
    ]
    if unknown:
        yield machine.problem(
            f"not known here: {', '.join(unknown)}",
            "a name service that knows where k3s comes from and where the cluster is",
            f'{machine.ssh} "cat /etc/resolv.conf; getent ahosts {unknown[0]}", then correct its servers\n'
            "or, for air-gapped hosts, k3s: {airGap: FOLDER} in the stack file "
            "(docs/guides/air-gapped-hosts.md)",
        )


def download(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """What an installation fetches. A node that has it already needs no way there."""
    if machine.installed(plan):
        return
    for line in machine.facts.all("download"):
        match = _DOWNLOAD.fullmatch(line)
        if not match or match["host"] in machine.facts.all("unknown-name"):
            continue
        url, status = match["url"], match["status"]
        if status == "000":
            why = _WHY.get(match["asked"], f"status {match['asked']}")
            yield machine.problem(
                f"{url} is not reached: {why}",
                "a way to where k3s comes from, or a mirror",
                f"{machine.ssh} curl -sSIL {url}   # look at firewalls and proxies\n"
                "or k3s: {mirror: https://...}, or {airGap: FOLDER}, in the stack file "
                "(docs/guides/air-gapped-hosts.md)",
            )
        elif status in ("404", "410"):
            yield machine.problem(
                f"{url} is not there (HTTP {status})",
                f"the files of {plan.k3s_version}",
                "correct k3s.version, or k3s.mirror and k3s.installScriptUrl, in the stack file",
            )
