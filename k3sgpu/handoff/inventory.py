"""The inventory: the hosts of a stack, as the preflight and the release upload get them. It holds no
secret."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NotRequired
from urllib.parse import quote

from typing_extensions import TypedDict

from k3sgpu.card_access import strategies
from k3sgpu.handoff.host_defaults import expand_hosts, hosts_json
from k3sgpu.handoff.validation import validate
from k3sgpu.problem import InputError

if TYPE_CHECKING:
    from k3sgpu.capacity.team_requests import TeamRequests
    from k3sgpu.settings import Endpoint, Gpu, Node, Settings, SshAccess
    from k3sgpu.settings.models.k3s import K3s

BASTION = "the bastion"
"""The bastion's name in reports. No host can have this name."""


CHECKED_KEYS = ("flannel-external-ip", "flannel-iface", "prefer-bundled-bin", "resolv-conf", "snapshotter")
"""The keys of k3s's config.yaml that the checks of hosts depend on."""


class Owner(TypedDict):
    """Whose machines these are; the owner marker on a machine says the same."""

    project: str
    stack: str


class GuaranteedRequests(TypedDict):
    """What the guaranteed pods of all teams may request on one host together."""

    slices: int
    cpuMillis: int
    memoryMiB: int


class GpuEntry(TypedDict):
    """The cards that the stack file declares for one host."""

    count: int
    product: str
    """As feature discovery writes it, for instance Tesla-T4."""
    driver: NotRequired[str]
    """The declared version of NVIDIA's driver, or the beginning of it."""
    mig: NotRequired[dict[str, int]]
    """The declared MIG partitions of each card by profile. Absent: whole cards."""
    guaranteed: NotRequired[GuaranteedRequests]
    """What guaranteed pods of teams may request there. Absent: there are none."""


class SshTarget(TypedDict):
    """A host or the bastion: how to log in there."""

    name: str
    address: str
    port: int
    user: str
    hostKey: str
    """The only host key that is accepted, as a public key line."""
    knownHostsFile: str | None
    """The file that the host key was read from; null when it stands in the stack file. Remedies name it."""
    privateKeyFile: str | None
    """Null: the SSH agent's keys or the secret sshPrivateKey."""
    jump: NotRequired[str | None]
    """The bastion in front of a host, as ssh -J takes it. Null: none. Absent for the bastion itself."""
    sudoPassword: NotRequired[bool]
    """Whether the secret sudoPassword is for this host's sudo. Absent for the bastion."""
    adopt: NotRequired[str]
    """The permission to take over a k3s that was installed on the host by hand. Absent: there is none."""


class HostEntry(SshTarget):
    """A host of the stack file."""

    role: str
    """server or agent."""
    nodeIp: str
    """The address that k3s gets as the node's own."""
    flannelIface: NotRequired[str | None]
    """The network interface for the pods' packets; null: k3s takes the default route's."""
    waive: list[str]
    """The checks that the stack file waives for this host."""
    gpu: GpuEntry | None
    """Null: no cards are declared, or the host is under maintenance."""
    maintenance: NotRequired[bool]
    """Whether the host's cards are left out for maintenance."""


class Networks(TypedDict):
    """The networks of pods and services, each as a list of CIDRs with commas."""

    clusterCidr: str
    serviceCidr: str


class Inventory(TypedDict):
    """The hosts of a stack, and what the checks have to know about the cluster."""

    owner: Owner
    k3sVersion: str
    mirror: str
    """Where k3s is downloaded from; file:// for local files."""
    driver: str
    """host or operator: who installs NVIDIA's driver."""
    toolkit: str
    """host or operator: who installs NVIDIA's container toolkit."""
    operatorVersion: NotRequired[str]
    """The release of the GPU Operator, vX.Y.Z."""
    deviceListStrategies: NotRequired[list[str]]
    """How the device plugin tells a container of its devices (card_access); none without the operator."""
    teams: NotRequired[bool]
    """Whether members of teams create pods, who must not get at cards without slices."""
    networks: Networks
    flannel: str
    """k3s's flannel-backend."""
    embeddedRegistry: bool
    externalDatabase: NotRequired[bool]
    """Whether the servers share a database outside of the cluster, instead of etcd."""
    vpn: NotRequired[bool]
    """Whether k3s joins nodes by a VPN of its own, which decides the nodes' addresses and interfaces."""
    k3sConfig: NotRequired[dict[str, object]]
    """The keys of k3s.config that checks depend on (CHECKED_KEYS), with their values."""
    downloads: list[str]
    """The URLs that an installation downloads from; none when all files are local."""
    registration: str
    """The address of the cluster's API; "" when there is no server."""
    secrets: list[str]
    """The names of the secrets that logging in takes."""
    agent: bool
    """Whether hosts without a privateKeyFile use the SSH agent's keys."""
    bastion: SshTarget | None
    hosts: list[HostEntry]
    """Sorted by name."""


def build_inventory(
    settings: "Settings", ssh_access: Mapping[str, "SshAccess"], project: str, stack: str
) -> Inventory:
    """Builds the inventory of a stack. `ssh_access` is what `settings.resolve_ssh` returned."""
    from k3sgpu.capacity import offers
    from k3sgpu.capacity.team_requests import team_requests

    bastion, access = settings.bastion, next((a.bastion for a in ssh_access.values() if a.bastion), None)
    k3s, operator = settings.k3s, settings.gpu_operator
    requests = team_requests(settings, offers(settings)) if settings.teams else {}
    return {
        "owner": {"project": project, "stack": stack},
        "k3sVersion": k3s.version,
        "mirror": k3s.mirror,
        "driver": operator.driver,
        "toolkit": operator.toolkit,
        "operatorVersion": operator.version,
        "deviceListStrategies": sorted(strategies(operator.version, operator.values))
        if operator.enabled
        else [],
        "teams": bool(settings.teams),
        "networks": {"clusterCidr": k3s.cluster_cidr, "serviceCidr": k3s.service_cidr},
        "flannel": k3s.flannel_backend,
        "embeddedRegistry": bool(k3s.config.get("embedded-registry")),
        "externalDatabase": settings.external_database,
        "vpn": "vpnAuth" in settings.secrets or "vpn-auth-file" in k3s.config,
        "k3sConfig": _checked_config(settings),
        "downloads": downloads(k3s),
        "registration": k3s.registration_address or next((server.node_ip for server in settings.servers), ""),
        "secrets": sorted(settings.login_secrets),
        "agent": settings.ssh.agent,
        "bastion": _ssh_target(BASTION, bastion, settings, access) if bastion and access else None,
        "hosts": [
            _host_entry(node, settings, ssh_access[node.name], requests.get(node.name))
            for node in settings.machines
        ],
    }


def _host_entry(
    node: "Node", settings: "Settings", access: "SshAccess", requests: "TeamRequests | None"
) -> HostEntry:
    waived: set[str] = {*settings.doctor.waive, *node.waive}
    entry: HostEntry = {
        **_ssh_target(node.name, node, settings, access),
        "role": node.role or "",  # never empty: only Nodes of an existing cluster have none
        "nodeIp": node.node_ip,
        "flannelIface": node.flannel_iface or _checked_config(settings).get("flannel-iface"),
        "waive": sorted(waived),
        "jump": settings.jump(node),
        "sudoPassword": node.user != "root" and "sudoPassword" in settings.secrets,
        "gpu": _gpu_entry(node.gpu, requests) if node.gpu and not node.maintenance else None,
        "maintenance": node.maintenance,
    }
    if node.adopt:
        entry["adopt"] = node.adopt
    return entry


def _checked_config(settings: "Settings") -> dict[str, Any]:
    return {key: value for key, value in settings.k3s.config.items() if key in CHECKED_KEYS}


def _gpu_entry(gpu: "Gpu", requests: "TeamRequests | None") -> GpuEntry:
    entry: GpuEntry = {"count": gpu.count, "product": gpu.product}
    if gpu.driver:
        entry["driver"] = gpu.driver
    if gpu.mig:
        entry["mig"] = dict(gpu.mig)
    if requests:
        entry["guaranteed"] = {
            "slices": requests.slices,
            "cpuMillis": requests.cpu_millis,
            "memoryMiB": requests.memory_mib,
        }
    return entry


def downloads(k3s: "K3s") -> list[str]:
    """The URLs that an installation of this release downloads from; none when all files are local."""
    # converge.sh writes the version in this form too: some mirrors read a '+' as a blank.
    urls = f"{k3s.mirror}/{quote(k3s.version, safe='')}/k3s", k3s.install_script_url
    return [url for url in urls if not url.startswith("file:")]


def _ssh_target(name: str, endpoint: "Endpoint", settings: "Settings", access: "SshAccess") -> SshTarget:
    return {
        "name": name,
        "address": endpoint.address,
        "port": endpoint.port,
        "user": endpoint.user,
        "hostKey": access.host_key,
        "knownHostsFile": None if endpoint.host_key else settings.ssh.known_hosts_file,
        "privateKeyFile": endpoint.private_key_file,
    }


def ssh_targets(inventory: Inventory) -> list[SshTarget]:
    """Everything of the inventory to log in to: the hosts, then the bastion where there is one."""
    bastion = inventory["bastion"]
    return [*inventory["hosts"], *([bastion] if bastion else [])]


def inventory_json(inventory: Inventory) -> str:
    """Returns the text that a process is handed; `parse_inventory` takes what is read from it."""
    return hosts_json(inventory)


def parse_inventory(data: object) -> Inventory:
    """Checks an inventory that came as JSON. Raises InputError with one line that names the place."""
    inventory = validate(Inventory, expand_hosts(data), "the inventory")
    if not inventory["hosts"]:
        raise InputError("the inventory names no host; there is nothing to check")
    for host in inventory["hosts"]:
        if host.get("jump") and not inventory["bastion"]:
            raise InputError(f"the inventory: host {host['name']} is behind a bastion, and bastion is null")
    return inventory
