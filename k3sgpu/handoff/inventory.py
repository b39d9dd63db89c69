"""The inventory: the hosts of a stack, as the preflight and the release upload get them. It holds no
secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from k3sgpu.handoff.environment import fields
from k3sgpu.problem import InputError

if TYPE_CHECKING:
    from k3sgpu.settings import Endpoint, Settings, SshAccess

BASTION = "the bastion"
"""Its name in reports; no host can be called so."""


def build_inventory(
    settings: Settings, ssh_access: Mapping[str, SshAccess], project: str, stack: str
) -> dict[str, Any]:
    """The machines of a stack as doctor is told about them, sorted by name.

    `ssh_access` is what `settings.resolve_ssh` found out: the host key that each machine must show.
    `knownHostsFile` is where that key stands, null when it stands in the stack file itself: remedies name it.
    `downloads` are the addresses that an installation fetches from, `registration` is where the API is found.
    `jump` is the bastion that the way leads through, as ssh -J takes it; `agent`: logins without a
    privateKeyFile use the SSH agent's keys. `sudoPassword`: the stack has one for this host's sudo.
    """
    bastion, through = settings.bastion, next((a.bastion for a in ssh_access.values() if a.bastion), None)
    return {
        "owner": {"project": project, "stack": stack},
        "k3sVersion": settings.k3s.version,
        "mirror": settings.k3s.mirror,
        "driver": settings.gpu_operator.driver,
        "toolkit": settings.gpu_operator.toolkit,
        "networks": {
            "clusterCidr": settings.k3s.cluster_cidr,
            "serviceCidr": settings.k3s.service_cidr,
        },
        "flannel": settings.k3s.flannel_backend,
        "embeddedRegistry": bool(settings.k3s.config.get("embedded-registry")),
        "downloads": [url for url in _downloads(settings) if not url.startswith("file:")],
        "registration": settings.k3s.registration_address
        or next((server.node_ip for server in settings.servers), ""),
        "secrets": sorted(settings.login_secrets),
        "agent": settings.ssh.agent,
        "bastion": _end(BASTION, bastion, settings, through) if bastion and through else None,
        "hosts": [
            {
                **_end(node.name, node, settings, ssh_access[node.name]),
                "role": node.role,
                "nodeIp": node.node_ip,
                "waive": sorted({*settings.doctor.waive, *node.waive}),
                "jump": settings.jump(node),
                "sudoPassword": node.user != "root" and "sudoPassword" in settings.secrets,
                "gpu": {
                    "count": node.gpu.count,
                    "product": node.gpu.product,
                    **({"driver": node.gpu.driver} if node.gpu.driver else {}),
                }
                if node.gpu and not node.maintenance
                else None,
            }
            for node in settings.machines
        ],
    }


def _downloads(settings: Settings) -> tuple[str, str]:
    k3s = settings.k3s
    # As converge.sh writes the version: some mirrors read a '+' as a blank.
    return f"{k3s.mirror}/{quote(k3s.version, safe='')}/k3s", k3s.install_script_url


def _end(name: str, end: Endpoint, settings: Settings, access: SshAccess) -> dict[str, Any]:
    return {
        "name": name,
        "address": end.address,
        "port": end.port,
        "user": end.user,
        "hostKey": access.host_key,
        "knownHostsFile": None if end.host_key else settings.ssh.known_hosts_file,
        "privateKeyFile": end.private_key_file,
    }


def parse_inventory(data: object) -> dict[str, Any]:
    """Checks an inventory from outside for the fields the rules use. Raises InputError."""
    told = fields(data, "the inventory", owner=dict, k3sVersion=str, hosts=list, driver=str, toolkit=str)
    fields(told["owner"], "the inventory's owner", project=str, stack=str)
    if not told["hosts"]:
        raise InputError("the inventory names no host; there is nothing to look at")
    texts = dict.fromkeys(("name", "address", "user", "hostKey"), str)
    if told.get("bastion"):
        fields(told["bastion"], "the inventory's bastion", port=int, **texts)
    for host in told["hosts"]:
        fields(host, "a host of the inventory", port=int, role=str, **texts)
        if host.get("jump") and not told.get("bastion"):
            raise InputError(f"host {host['name']} of the inventory is behind a bastion, and none is named")
        if host.get("gpu"):
            fields(host["gpu"], f"gpu of host {host['name']} in the inventory", count=int, product=str)
    return told
