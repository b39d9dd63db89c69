"""Settings: the sections of a stack file together, and what follows from them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from k3sgpu.problem import Problem
from k3sgpu.settings.models.doctor import Doctor
from k3sgpu.settings.models.gpu_operator import GpuOperator
from k3sgpu.settings.models.k3s import K3s
from k3sgpu.settings.models.k3s_config_values import is_external
from k3sgpu.settings.models.kubeconfig import Kubeconfig
from k3sgpu.settings.models.nodes import SSH_PORT, Endpoint, Node, build_nodes, resolve_login
from k3sgpu.settings.models.pools import Pools
from k3sgpu.settings.models.sections import LOGIN_SECRET_KEYS, Mode, Sections
from k3sgpu.settings.models.sharing import Sharing
from k3sgpu.settings.models.ssh import Ssh
from k3sgpu.settings.models.teams import Team
from k3sgpu.settings.models.verify import Verify
from k3sgpu.settings.models.workloads import Workload

NO_K3S = "v0.0.0+k3s0"
"""The version in Settings.k3s of a stack file that installs no k3s."""


@dataclass(frozen=True)
class Settings:
    """A stack file that passed every rule. Only `parse` and `read_stack_file` make one."""

    ssh: Ssh
    k3s: K3s
    """Without meaning where `kubeconfig` names an existing cluster."""
    kubeconfig: Kubeconfig | None
    """The existing cluster to use; None: k3s is installed."""
    pools: Pools
    gpu_operator: GpuOperator
    sharing: Sharing
    workloads: dict[str, Workload]
    teams: dict[str, Team]
    verify: Verify
    doctor: Doctor
    fit: Mode
    memory: Mode
    secrets: frozenset[str]
    """The names of the secret keys that are set."""
    warnings: tuple[Problem, ...] = ()
    """Problems that are no errors."""

    @classmethod
    def of(cls, sections: Sections, secrets: frozenset[str]) -> "Settings":
        """Settings from the sections and the names of the secrets that are set."""
        values: dict[str, Any] = {name: getattr(sections, name) for name in Sections.model_fields}
        values["k3s"] = sections.k3s or K3s(version=NO_K3S)
        return cls(**values, secrets=secrets)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes of all pools except lost hosts, by name."""
        return self._nodes(lost=False)

    @cached_property
    def lost(self) -> tuple[Node, ...]:
        """The nodes of hosts marked `gone`, which will never answer again, by name."""
        return self._nodes(lost=True)

    def _nodes(self, lost: bool) -> tuple[Node, ...]:
        return build_nodes(self.pools, self.ssh, self.k3s.kubelet_args, self.sharing.default, lost)

    @property
    def machines(self) -> tuple[Node, ...]:
        """The nodes that this program logs in to: none for an existing cluster."""
        return tuple(node for node in self.nodes if node.role and not self.kubeconfig)

    @property
    def servers(self) -> tuple[Node, ...]:
        """All servers, the initial one first."""
        servers = [node for node in self.nodes if node.role == "server"]
        return tuple(sorted(servers, key=lambda node: (node.name != self.k3s.initial_server, node.name)))

    @property
    def external_database(self) -> bool:
        """Whether the servers share a database outside of the cluster, instead of etcd or SQLite."""
        return "datastoreEndpoint" in self.secrets or is_external(self.k3s.config.get("datastore-endpoint"))

    @property
    def server(self) -> Node:
        """The initial server."""
        return self.servers[0]

    @property
    def protect(self) -> bool:
        """Whether a destroy of the stack has to be allowed first."""
        return self.k3s.protect or self.gpu_operator.protect

    @property
    def login_secrets(self) -> frozenset[str]:
        """The names of the secrets that are set and needed to log in to a host."""
        return self.secrets & frozenset(LOGIN_SECRET_KEYS)

    @property
    def registration_address(self) -> str:
        """The name or address at which agents and the kubeconfig reach the API."""
        return self.k3s.registration_address or self.server.address

    @property
    def bastion(self) -> Endpoint | None:
        """The jump host; None without one. It does not inherit the port of `ssh`."""
        bastion = self.ssh.bastion
        if bastion is None:
            return None
        return Endpoint(
            title="ssh.bastion",
            place="ssh.bastion",
            address=bastion.address,
            host_key=bastion.host_key,
            **resolve_login(self.ssh, ("ssh.bastion", bastion), port=bastion.port or SSH_PORT),
        )

    def jump(self, end: Endpoint) -> str | None:
        """The jump host for `end` as the argument of ssh -J; None where `end` is reached directly."""
        bastion = self.bastion
        if bastion is None or end.address == bastion.address:
            return None
        return f"{bastion.user}@{bastion.address}:{bastion.port}"
