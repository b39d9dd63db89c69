"""The rehearsal's network: a bridge of this computer, and a network namespace with an eth0 for each machine.

Machines reach each other and this computer, and nothing else. Addresses and routes are set from outside,
before the machine boots, so nothing inside configures a network.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import shutil
from pathlib import Path

from rehearsal.process import RehearsalError, run

BRIDGE = "k3sgpu0"
NETWORK = ipaddress.ip_network("10.77.0.0/22")
GATEWAY = ipaddress.ip_address("10.77.0.1")
# Without its own hardware address, a bridge takes the lowest one of its ports. That changes with the
# machines, and makes the ARP entries of neighbours wrong for a while.
BRIDGE_HARDWARE_ADDRESS = "02:6b:33:73:67:01"
NAMESPACES = Path("/run/netns")
BRIDGE_FILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
FORWARD_RULE = ("FORWARD", "-i", BRIDGE, "-o", BRIDGE, "-j", "ACCEPT")
SECONDS = 20


def check_address(where: str, address: str) -> None:
    """Raises RehearsalError unless a machine may have `address`."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        parsed = None
    taken = {NETWORK.network_address, NETWORK.broadcast_address, GATEWAY}
    if parsed is None or parsed not in NETWORK or parsed in taken:
        raise RehearsalError(
            f"{where}: found address {address!r}, expected one from {NETWORK[2]} to {NETWORK[-2]}: a "
            f"rehearsal has its machines in {NETWORK}, where this computer is {GATEWAY}; "
            "for existing hosts use `pulumi up`"
        )


def interface(name: str) -> str:
    """This computer's end of the link of machine `name`; a hash, because a name has at most 15 characters."""
    return "kg" + hashlib.sha256(name.encode()).hexdigest()[:12]


def hardware_address(address: str) -> str:
    """The Ethernet address for an IP address.

    A recreated machine keeps it, because neighbours go on sending to the old one for up to a minute.
    """
    return "02:6b:" + ":".join(f"{byte:02x}" for byte in ipaddress.ip_address(address).packed)


def connect(name: str, address: str) -> None:
    """Recreates the namespace of machine `name`, linked to the bridge, with `address` on eth0. make_bridge
    comes first.
    """
    disconnect(name)
    run(["ip", "netns", "add", name], timeout=SECONDS)
    link = interface(name)
    peer = ["peer", "name", "eth0", "address", hardware_address(address), "netns", name]
    run(["ip", "link", "add", link, "type", "veth", *peer], timeout=SECONDS)
    run(["ip", "link", "set", link, "master", BRIDGE, "up"], timeout=SECONDS)
    inside = "\n".join(
        [
            "link set lo up",
            f"address add {address}/{NETWORK.prefixlen} dev eth0",
            "link set eth0 up",
            f"route add default via {GATEWAY}",
        ]
    )
    run(["ip", "-netns", name, "-batch", "-"], stdin=inside, timeout=SECONDS)


def disconnect(name: str) -> None:
    """Removes the namespace and the link of machine `name`, if they exist."""
    if link_exists(interface(name)):
        run(["ip", "link", "delete", interface(name)], timeout=SECONDS)
    if (NAMESPACES / name).exists():
        run(["ip", "netns", "delete", name], timeout=SECONDS)


def limit_received(name: str, megabits: int) -> None:
    """Limits what machine `name` receives to `megabits` per second, as long as its link exists."""
    run(["tc", "qdisc", "replace", "dev", interface(name), "root", *bucket(megabits)], timeout=SECONDS)


def limit_sent(name: str, megabits: int) -> None:
    """Limits what machine `name` sends to `megabits` per second, as long as its link exists."""
    run(["tc", "-netns", name, "qdisc", "replace", "dev", "eth0", "root", *bucket(megabits)], timeout=SECONDS)


def bucket(megabits: int) -> list[str]:
    """The token bucket (tc-tbf(8)) for a rate: it holds 4 ms of it, and queues 50 ms."""
    return ["tbf", "rate", f"{megabits}mbit", "burst", f"{max(128, megabits // 2)}kb", "latency", "50ms"]


def make_bridge() -> None:
    """Creates the bridge if it is missing. Raises RehearsalError when another network uses its addresses."""
    if not link_exists(BRIDGE):
        check_network_is_free()
        try:
            run(
                ["ip", "link", "add", BRIDGE, "address", BRIDGE_HARDWARE_ADDRESS, "type", "bridge"],
                timeout=SECONDS,
            )
        except RehearsalError as error:
            raise RehearsalError(
                "this computer's kernel made no bridge; expected one with the features bridge and veth: "
                f"{error}"
            ) from error
        # There are no loops here, so a new machine need not wait for loop detection.
        run(["ip", "link", "set", BRIDGE, "type", "bridge", "forward_delay", "0"], timeout=SECONDS)
    run(["ip", "address", "replace", f"{GATEWAY}/{NETWORK.prefixlen}", "dev", BRIDGE], timeout=SECONDS)
    run(["ip", "link", "set", BRIDGE, "up"], timeout=SECONDS)
    allow_bridged_traffic()


def remove_unused_bridge() -> None:
    """Removes the bridge when no machine is linked to it any more."""
    if link_exists(BRIDGE) and not any(Path(f"/sys/class/net/{BRIDGE}/brif").iterdir()):
        disallow_bridged_traffic()
        run(["ip", "link", "delete", BRIDGE], timeout=SECONDS)


def remove_links_except(kept: set[str]) -> None:
    """Removes this computer's ends of machines' links, except those in `kept`."""
    for name in links():
        if name != BRIDGE and name not in kept:
            run(["ip", "link", "delete", name], timeout=SECONDS)


def check_network_is_free() -> None:
    """Raises RehearsalError when this computer already has a route to addresses of the machines."""
    for route in json.loads(run(["ip", "-json", "route", "show"], timeout=SECONDS) or "[]"):
        destination = ipaddress.ip_network(
            "0.0.0.0/0" if route["dst"] == "default" else route["dst"], strict=False
        )
        # A wider route, such as of a VPN, does no harm: the narrower one to the bridge is used.
        if isinstance(destination, ipaddress.IPv4Network) and destination.subnet_of(NETWORK):  # type: ignore[arg-type]
            raise RehearsalError(
                f"this computer's network: found a route to {route['dst']} by {route.get('dev', 'a gateway')}"
                f", expected {NETWORK} to be free for the rehearsal's machines; disconnect that network first"
            )


def allow_bridged_traffic() -> None:
    """Allows traffic between machines where this computer's firewall would drop bridged frames.

    Docker enables bridge filtering and sets the FORWARD policy to DROP. The rule covers this bridge only, and
    is removed with it.
    """
    if rule_needed() and not rule_present():
        run(["iptables", "--wait", "10", "-I", *FORWARD_RULE], timeout=SECONDS)


def disallow_bridged_traffic() -> None:
    """Removes the rule of allow_bridged_traffic, if it exists."""
    if shutil.which("iptables") and rule_present():
        run(["iptables", "--wait", "10", "-D", *FORWARD_RULE], timeout=SECONDS)


def rule_needed() -> bool:
    """Whether bridged frames pass this computer's iptables."""
    return (
        shutil.which("iptables") is not None
        and BRIDGE_FILTER.exists()
        and BRIDGE_FILTER.read_text().strip() == "1"
    )


def rule_present() -> bool:
    """Whether the rule of allow_bridged_traffic is in place."""
    try:
        run(["iptables", "--wait", "10", "-C", *FORWARD_RULE], timeout=SECONDS)
    except RehearsalError:
        return False
    return True


def link_exists(name: str) -> bool:
    """Whether this computer has a network interface `name`."""
    return Path("/sys/class/net", name).exists()


def namespaces(prefix: str) -> list[str]:
    """The named network namespaces that begin with `prefix`."""
    if not NAMESPACES.is_dir():
        return []
    return sorted(path.name for path in NAMESPACES.iterdir() if path.name.startswith(prefix))


def links() -> list[str]:
    """The bridge and this computer's ends of machines' links, as far as they exist."""
    own = re.compile(rf"{BRIDGE}|kg[0-9a-f]{{12}}")
    return sorted(path.name for path in Path("/sys/class/net").iterdir() if own.fullmatch(path.name))
