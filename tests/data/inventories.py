"""Inventories and their hosts, complete and valid, for tests that change some keys."""

from typing import Any

from k3sgpu.handoff.inventory import HostEntry, Inventory

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJVd0XrWEwUcX3XzfVJNTpCVsoGSSuHFVTMlLiQhvyZb"


def host_entry(name: str = "node-1", **changes: Any) -> HostEntry:
    """A server at 10.0.0.11 with root by key; without `nodeIp` among the changes, that is its address."""
    entry: Any = {
        "name": name,
        "role": "server",
        "address": "10.0.0.11",
        "port": 22,
        "user": "root",
        "hostKey": HOST_KEY,
        "knownHostsFile": None,
        "privateKeyFile": None,
        "waive": [],
        "jump": None,
        "sudoPassword": False,
        "gpu": None,
        **changes,
    }
    entry.setdefault("nodeIp", entry["address"])
    return entry


def inventory_of(*hosts: HostEntry, **changes: Any) -> Inventory:
    """The inventory of stack dev with these hosts; driver and toolkit are the hosts' own."""
    inventory: Any = {
        "owner": {"project": "k3s-gpu-sharing", "stack": "dev"},
        "k3sVersion": "v1.36.2+k3s1",
        "mirror": "https://example.org",
        "driver": "host",
        "toolkit": "host",
        "networks": {"clusterCidr": "10.42.0.0/16", "serviceCidr": "10.43.0.0/16"},
        "flannel": "vxlan",
        "embeddedRegistry": False,
        "downloads": [],
        "registration": "",
        "secrets": [],
        "agent": False,
        "bastion": None,
        "hosts": list(hosts),
        **changes,
    }
    return inventory
