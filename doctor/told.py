"""What doctor is told: the inventory (machines to look at) and the promise (what the cluster must show).

Both are plain JSON, because the Pulumi program hands them over in an environment variable.
Neither holds a secret.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from capacity import NodeOffer
    from settings import Endpoint, Settings, SshAccess

BASTION = "the bastion"
"""Its name in reports; no host can be called so."""

NODES_THERE_SECONDS = 60
"""How long the first look at a cluster that is there already waits for what may be restarting just now."""

OPERATOR_NAMESPACE = "gpu-operator"
CONFIG_MAP = "time-slicing-config"

# The one label this program sets to choose a profile; the others are feature discovery's.
CONFIG_LABEL = "nvidia.com/device-plugin.config"


def from_environment(variable: str) -> str:
    """What the Pulumi program says in `variable`, and in `variable`_2 and so on where one is too short for it
    (components/local_program.py); "" where it says nothing."""
    parts = [os.environ.get(variable, "")]
    while more := os.environ.get(f"{variable}_{len(parts) + 1}"):
        parts.append(more)
    return "".join(parts)


class Refused(Exception):
    """Input that cannot be used. Its text is one line for the user; doctor exits with 2."""


def inventory(
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
        "secrets": sorted(settings.reaching_secrets),
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


def promise(settings: Settings, offers: Iterable[NodeOffer]) -> dict[str, Any]:
    """What the cluster must show once sharing is in place, from what capacity says the nodes will offer."""
    return {
        "timeoutSeconds": settings.gpu_operator.ready_timeout_seconds,
        "drainTimeoutSeconds": settings.k3s.drain_timeout_seconds,
        "namespace": OPERATOR_NAMESPACE,
        "configMap": CONFIG_MAP,
        "nodes": [
            {"name": offer.name, "resources": dict(offer.resources), "labels": _promised_labels(offer)}
            for offer in offers
            if not offer.maintenance
        ],
    }


def nodes_there(settings: Settings) -> dict[str, Any]:
    """That the Nodes of a cluster which is there already are there, and Ready where anything is expected."""
    return {
        "timeoutSeconds": NODES_THERE_SECONDS,
        "drainTimeoutSeconds": 0,
        "namespace": OPERATOR_NAMESPACE,
        "nodes": [
            {"name": node.name, "resources": {}, "labels": {}, "maintenance": node.maintenance}
            for node in settings.nodes
        ],
    }


def _promised_labels(offer: NodeOffer) -> dict[str, str]:
    chosen = {name: value for name, value in offer.labels.items() if name == CONFIG_LABEL}
    return chosen | offer.discovered


def read_inventory(data: object) -> dict[str, Any]:
    """Checks an inventory from outside for the fields the rules use. Raises Refused."""
    told = _fields(data, "the inventory", owner=dict, k3sVersion=str, hosts=list, driver=str, toolkit=str)
    _fields(told["owner"], "the inventory's owner", project=str, stack=str)
    if not told["hosts"]:
        raise Refused("the inventory names no host; there is nothing to look at")
    texts = dict.fromkeys(("name", "address", "user", "hostKey"), str)
    if told.get("bastion"):
        _fields(told["bastion"], "the inventory's bastion", port=int, **texts)
    for host in told["hosts"]:
        _fields(host, "a host of the inventory", port=int, role=str, **texts)
        if host.get("jump") and not told.get("bastion"):
            raise Refused(f"host {host['name']} of the inventory is behind a bastion, and none is named")
        if host.get("gpu"):
            _fields(host["gpu"], f"gpu of host {host['name']} in the inventory", count=int, product=str)
    return told


def read_promise(data: object) -> dict[str, Any]:
    """Checks a promise from outside for the fields the rules use. Raises Refused."""
    told = _fields(
        data, "the promise", timeoutSeconds=int, drainTimeoutSeconds=int, namespace=str, nodes=list
    )
    for node in told["nodes"]:
        _fields(node, "a node of the promise", name=str, resources=dict, labels=dict)
    return told


def _fields(data: object, what: str, **wanted: type) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise Refused(f"{what} is {type(data).__name__}; a JSON object was expected")
    for name, kind in wanted.items():
        if not isinstance(data.get(name), kind):
            raise Refused(f"{what}: {name} is {data.get(name)!r}; expected: {kind.__name__}")
    return data
