"""What the rules for machines talk about: one machine, and the plan it is judged by."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from k3sgpu.hosts.facts import Facts
from k3sgpu.hosts.ssh import Clock
from k3sgpu.hosts.ssh_command import ssh_command
from k3sgpu.problem import Problem, Severity

_RELEASE = re.compile(r"v(\d+)\.(\d+)\.(\d+)(?:-\S*)?\+k3s(\d+)")

# States of a unit in which k3s may hold its ports.
_ALIVE = ("active", "activating", "reloading", "deactivating")


@dataclass(frozen=True)
class Plan:
    """What the machines are for."""

    project: str
    stack: str
    k3s_version: str
    mirror: str
    driver: str
    """host or operator: who brings NVIDIA's driver."""
    toolkit: str
    """host or operator: who brings NVIDIA's container toolkit."""
    networks: Mapping[str, str] = field(default_factory=dict)
    """The cluster's own: clusterCidr and serviceCidr."""
    servers: int = 1
    flannel: str = "vxlan"
    """k3s's flannel-backend: how the pods' network crosses from node to node."""
    embedded_registry: bool = False
    registration: str = ""
    """Where the cluster's API is found."""

    @classmethod
    def of(cls, inventory: Mapping[str, Any]) -> "Plan":
        owner = inventory["owner"]
        return cls(
            project=owner["project"],
            stack=owner["stack"],
            k3s_version=inventory["k3sVersion"],
            mirror=inventory.get("mirror", ""),
            driver=inventory["driver"],
            toolkit=inventory["toolkit"],
            networks=inventory.get("networks", {}),
            servers=sum(host["role"] == "server" for host in inventory["hosts"]),
            flannel=inventory.get("flannel", "vxlan"),
            embedded_registry=inventory.get("embeddedRegistry", False),
            registration=inventory.get("registration", ""),
        )


@dataclass(frozen=True)
class Machine:
    """One host of the inventory together with what it said."""

    spec: Mapping[str, Any]
    facts: Facts
    clock: Clock | None = None
    peer: str = ""
    """The address that was connected to, when the inventory's is a name."""

    @property
    def name(self) -> str:
        return self.spec["name"]

    @property
    def role(self) -> str:
        return self.spec["role"]

    @property
    def gpu(self) -> Mapping[str, Any] | None:
        """What the stack file declares: count and product."""
        return self.spec.get("gpu")

    @property
    def ssh(self) -> str:
        """The command that opens a shell there, for remedies."""
        return ssh_command(self.spec)

    def problem(self, found: str, expected: str, remedy: str, severity: Severity = "error") -> Problem:
        """A problem of this machine; the registry adds the name of the check."""
        return Problem(self.name, found, expected, remedy, severity)

    @property
    def marker(self) -> dict[str, str]:
        """The owner that this program wrote down on the machine: project, stack, host, machine-id."""
        return dict(line.split(" ", 1) for line in self.facts.all("owner") if " " in line)

    def belongs_to(self, plan: Plan) -> bool:
        """The marker says this very stack and host key."""
        marker = self.marker
        return (marker.get("project"), marker.get("stack"), marker.get("host")) == (
            plan.project,
            plan.stack,
            self.name,
        )

    def installed(self, plan: Plan) -> bool:
        """The plan's k3s is here already, and by us."""
        return self.belongs_to(plan) and self.facts.one("k3s-version") == plan.k3s_version

    @property
    def k3s_alive(self) -> bool:
        return any(unit.split()[-1] in _ALIVE for unit in self.facts.all("k3s-unit"))


def release(version: str) -> tuple[int, ...] | None:
    """v1.36.2+k3s1 → (1, 36, 2, 1); None for anything else."""
    match = _RELEASE.fullmatch(version)
    return tuple(int(part) for part in match.groups()) if match else None
