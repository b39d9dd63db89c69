"""What a rule gets: a machine with its facts, and the plan for the cluster that it is for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from k3sgpu.doctor.cards import Cards, read_cards, unsupported_platform
from k3sgpu.handoff.inventory import GpuEntry, HostEntry, Inventory
from k3sgpu.hosts.facts import Clock, Facts
from k3sgpu.hosts.ssh_command import ssh_command
from k3sgpu.problem import Problem, Severity

KIB_PER_GIB = 1024 * 1024

_VERSION = re.compile(r"v([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})(?:-\S*)?\+k3s([0-9]{1,4})")

_K3S_RUNS = ("active", "activating", "reloading", "deactivating")
"""The states of its unit in which k3s may hold its ports."""


@dataclass(frozen=True)
class Plan:
    """What the stack file plans for the cluster, as far as the rules need it."""

    project: str
    stack: str
    k3s_version: str
    mirror: str
    driver: str
    """host or operator: who installs NVIDIA's driver."""
    toolkit: str
    """host or operator: who installs NVIDIA's container toolkit."""
    networks: Mapping[str, str] = field(default_factory=dict)
    """The cluster's own networks: clusterCidr and serviceCidr."""
    etcd: bool = False
    """Whether the servers run etcd: several without a database outside of the cluster."""
    flannel: str = "vxlan"
    """k3s's flannel-backend: how packets of pods cross from node to node."""
    embedded_registry: bool = False
    registration: str = ""
    """The address of the cluster's API."""
    k3s_config: Mapping[str, object] = field(default_factory=dict)
    """The keys of k3s.config that the rules depend on (CHECKED_KEYS), with their values."""
    vpn: bool = False
    """Whether k3s joins nodes by a VPN of its own (vpn-auth), whose interface flannel then takes."""
    single_node: bool = False
    """Whether the cluster has one node, so that no packet of a pod goes to another one."""
    operator_version: str = ""
    """The release of the GPU Operator, vX.Y.Z."""
    strategies: frozenset[str] = frozenset()
    """How the device plugin tells a container of its devices (card_access); empty without the operator."""
    teams: bool = False
    """Whether members of teams create pods."""

    @classmethod
    def from_inventory(cls, inventory: Inventory) -> "Plan":
        """The plan that an inventory describes."""
        servers = sum(host["role"] == "server" for host in inventory["hosts"])
        return cls(
            project=inventory["owner"]["project"],
            stack=inventory["owner"]["stack"],
            k3s_version=inventory["k3sVersion"],
            mirror=inventory["mirror"],
            driver=inventory["driver"],
            toolkit=inventory["toolkit"],
            networks={
                "clusterCidr": inventory["networks"]["clusterCidr"],
                "serviceCidr": inventory["networks"]["serviceCidr"],
            },
            etcd=servers > 1 and not inventory.get("externalDatabase", False),
            flannel=inventory["flannel"],
            embedded_registry=inventory["embeddedRegistry"],
            registration=inventory["registration"],
            k3s_config=inventory.get("k3sConfig", {}),
            vpn=inventory.get("vpn", False),
            single_node=len(inventory["hosts"]) == 1,
            operator_version=inventory.get("operatorVersion", ""),
            strategies=frozenset(inventory.get("deviceListStrategies", ())),
            teams=inventory.get("teams", False),
        )


@dataclass(frozen=True)
class Machine:
    """One host of the inventory with the facts of its machine."""

    spec: HostEntry
    facts: Facts
    clock: Clock | None = None
    peer: str = ""
    """The address that was connected to, which the inventory may give as a name."""

    @property
    def name(self) -> str:
        """The host's key in the stack file."""
        return self.spec["name"]

    @property
    def role(self) -> str:
        """server or agent."""
        return self.spec["role"]

    @property
    def gpu(self) -> GpuEntry | None:
        """The cards that the stack file declares; None also while the host is in maintenance.

        None as well on a machine whose GPUs the operator does not support. The check `platform` reports that,
        and the other checks of GPUs would propose drivers that cannot help.
        """
        return None if self.unsupported_platform else self.spec["gpu"]

    @cached_property
    def cards(self) -> Cards:
        """The machine's NVIDIA cards as its facts show them."""
        return read_cards(self.facts)

    @cached_property
    def unsupported_platform(self) -> str:
        """Why NVIDIA's operator does not support the machine's GPUs; "" where it may."""
        return unsupported_platform(self.facts, self.cards)

    @property
    def ssh(self) -> str:
        """The command that opens a shell there, for remedies."""
        return ssh_command(self.spec)

    def problem(self, found: str, expected: str, remedy: str, severity: Severity = "error") -> Problem:
        """A problem of this machine; `run_rules` adds the name of the check."""
        return Problem(self.name, found, expected, remedy, severity)

    @property
    def marker(self) -> dict[str, str]:
        """The owner marker on the machine: project, stack, host, machine-id. Empty when there is none."""
        return dict(line.split(" ", 1) for line in self.facts.all("owner") if " " in line)

    def belongs_to(self, plan: Plan) -> bool:
        """Whether the owner marker names this very stack and host."""
        marker = self.marker
        owner = (marker.get("project"), marker.get("stack"), marker.get("host"))
        return owner == (plan.project, plan.stack, self.name)

    def installed(self, plan: Plan) -> bool:
        """Whether this program has already installed the planned version of k3s here."""
        return self.belongs_to(plan) and self.facts.one("k3s-version") == plan.k3s_version

    @property
    def k3s_runs(self) -> bool:
        """Whether a k3s may hold its ports, whoever installed it."""
        return any(unit.split()[-1] in _K3S_RUNS for unit in self.facts.all("k3s-unit"))


def parse_version(version: str) -> tuple[int, ...] | None:
    """v1.36.2+k3s1 → (1, 36, 2, 1); None for anything else."""
    match = _VERSION.fullmatch(version)
    return tuple(int(part) for part in match.groups()) if match else None


def gib(kib: int) -> str:
    """A number of KiB as text in GiB, with one decimal."""
    return f"{kib / KIB_PER_GIB:.1f} GiB"
