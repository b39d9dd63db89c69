"""A k3s cluster on machines that answer SSH: one server or several, any number of agents.

The order: preflight → stage → servers, one after another → agents, in parallel → labels and taints. The
kubeconfig, and with it the Provider, follows the server that has its address. k3s_host.py has what happens to
a single host, from its installation to its removal. What is *not* waited for: anything inside the cluster
beyond Ready nodes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi import ResourceOptions
from pulumi_command import local, remote

from components.k3s_args import K3sClusterArgs
from components.k3s_host import Agent, K3sHosts, Server, Tokens
from components.k3s_scripts import label_nodes_script, node_bytes
from components.kubeconfig import kubeconfig_for
from components.local_command import local_command
from components.provider import cluster_id, provider
from components.remote_command import RemoteCommands
from components.sdk_workarounds import node_batches
from k3sgpu.hosts import scripts

CERTIFICATE_REMEDY = (
    "Restart k3s on the server, which renews it (systemctl restart k3s), then raise k3s.generation in the "
    "stack file and run up."
)


class K3sCluster(pulumi.ComponentResource):
    """k3s on the given machines, and a Provider that talks to it."""

    kubeconfig: pulumi.Output[str]
    """The administrator's kubeconfig, a secret, with the registration address in it."""
    provider: kubernetes.Provider
    """For every resource inside the cluster."""
    joined: Mapping[str, pulumi.Resource]
    """By Node: what has to exist before the Node does."""
    last: Sequence[pulumi.Resource]
    """Everything else of the cluster comes before one of them."""

    def __init__(self, name: str, args: K3sClusterArgs, opts: pulumi.ResourceOptions | None = None):
        super().__init__("k3sgpu:index:K3sCluster", name, None, opts)
        self._name, self._args = name, args
        self._commands = RemoteCommands(name, self, opts)
        self._reads: list[remote.Command] = []
        preflight = self._check_hosts()
        self._hosts = K3sHosts(args, self._commands, preflight, self._stage(preflight))

        dead_nodes = self._delete_dead_nodes()
        servers, tokens = self._join_servers(dead_nodes)
        initial = next(iter(servers.values())).converge
        agents = self._join_agents(list(servers.values()), tokens["agent"])
        abandoned = [command for lost in args["lost"] for command in self._hosts.abandon(lost, initial)]
        self.joined = {
            **{host: server.converge for host, server in servers.items()},
            **{host: agent.join for host, agent in agents.items()},
        }
        labels = self._label_nodes()
        self.kubeconfig = self._read_kubeconfig(self._answering_server(servers))
        self.provider = provider(name, self.kubeconfig, CERTIFICATE_REMEDY, ResourceOptions(parent=self))
        drains = [one.last for one in (*servers.values(), *agents.values())]
        self.last = [self.provider, *self._reads, *labels, *drains, *abandoned]
        self.register_outputs({"kubeconfig": self.kubeconfig})

    def _check_hosts(self) -> local.Command:
        """Runs doctor's host checks. Its stdout is the cache of its own next run.

        Its delete, the last of a destroy, cleans hosts that were staged and on which k3s was never installed.
        It is not stage's: a stage that failed is not in the state.
        """
        return local_command(
            f"{self._name}-preflight",
            "doctor hosts --from-graph",
            {
                "K3SGPU_INVENTORY": self._args["preflight"]["inventory"],
                "K3SGPU_GENERATION": str(self._args["generation"]),
            },
            self._args["preflight"]["secrets"],
            ResourceOptions(parent=self),
            delete="stage --remove",
            remembers=True,
            secret_output=True,
        )

    def _stage(self, preflight: local.Command) -> local.Command:
        """Puts scripts and the release of k3s on the hosts that lack them.

        Its stdout is the record of what is where, for its own next run.
        """
        return local_command(
            f"{self._name}-stage",
            "stage",
            {"K3SGPU_STAGE_PLAN": self._args["stage"]["plan"]},
            self._args["stage"]["secrets"],
            ResourceOptions(parent=self, depends_on=[preflight]),
            remembers=True,
        )

    def _delete_dead_nodes(self) -> list[pulumi.Resource]:
        for lost in self._args["lost"]:
            pulumi.log.warn(
                f"{lost['name']} is marked gone: this run deletes its Node; take it out of the stack file "
                "afterwards",
                resource=self,
            )
        return [self._hosts.delete_dead_node(lost) for lost in self._args["lost"]]

    def _join_servers(self, dead_nodes: Sequence[pulumi.Resource]) -> tuple[dict[str, Server], Tokens]:
        """Joins, changes and removes servers strictly one after another.

        Two servers that join or leave at the same time break etcd, and it takes no new member beside a dead
        one. Returns the servers by name, the initial one first, and the tokens that it made.
        """
        initial, *others = self._args["servers"]
        server = self._hosts.add_server(initial, dead_nodes, None)
        servers = {initial["name"]: server}
        tokens = self._read_tokens(server.converge)
        for host in others:
            server = self._hosts.add_server(host, [server.last], tokens)
            servers[host["name"]] = server
        return servers, tokens

    def _join_agents(self, servers: Sequence[Server], token: pulumi.Output[str]) -> dict[str, Agent]:
        """Joins the agents in parallel, after the last server. Returns them by name.

        At most `max_unavailable` running agents are updated at the same time: the update of an agent waits
        for that of the agent `max_unavailable` positions before it.
        """
        max_unavailable = self._args["max_unavailable"]
        stdin = self._hosts.agent_stdin(token)
        agents: list[Agent] = []
        for position, host in enumerate(self._args["agents"]):
            previous = agents[position - max_unavailable].update if position >= max_unavailable else None
            agents.append(self._hosts.add_agent(host, servers, stdin, previous))
        return {host["name"]: agent for host, agent in zip(self._args["agents"], agents, strict=True)}

    def _label_nodes(self) -> list[remote.Command]:
        """Sets labels and taints from the initial server: no node may change its own taints."""
        server, hosts = self._args["servers"][0], [*self._args["servers"], *self._args["agents"]]
        return [
            self._commands.register(
                server,
                f"nodes-{start}" if start else "nodes",
                ResourceOptions(depends_on=[self.joined[host["name"]] for host in batch]),
                create=label_nodes_script(server, batch, self._args["generation"]),
            )
            for start, batch in node_batches(hosts, node_bytes)
        ]

    def _answering_server(self, servers: Mapping[str, Server]) -> remote.Command:
        """The Command after which the API answers at the kubeconfig's address.

        It is that of the server with this address. A name or a load balancer may lead to any server, so it is
        the last one's then.
        """
        for host in self._args["servers"]:
            if self._api_address in (host["address"], host["node_ip"], host.get("external_ip")):
                return servers[host["name"]].converge
        return list(servers.values())[-1].converge

    @property
    def _api_address(self) -> str:
        return self._args.get("registration_address") or self._args["servers"][0]["address"]

    def _read_tokens(self, initial: remote.Command) -> Tokens:
        read = self._read("tokens", initial)
        return pulumi.Output.secret(read.stdout).apply(json.loads)

    def _read_kubeconfig(self, answering: remote.Command) -> pulumi.Output[str]:
        """Reads the kubeconfig with a Command of its own, whose inputs ordinary changes never touch.

        A changed input makes all outputs unknown, and here with them the Provider of the whole cluster.
        Everything inside the cluster depends on it, and so waits for `answering`.
        """
        read = self._read("kubeconfig", answering, GENERATION=self._args["generation"])
        address = self._api_address
        return pulumi.Output.secret(read.stdout).apply(
            lambda text: kubeconfig_for(text, address, cluster_id(self._name))
        )

    def _read(self, script: str, after: remote.Command, **variables: int) -> remote.Command:
        """Reads what only the initial server knows. The output is a secret and reaches no log."""
        read = self._commands.register(
            self._args["reader"],
            script,
            ResourceOptions(depends_on=[after], additional_secret_outputs=["stdout", "stderr"]),
            create=scripts.render(script, **variables),
            logging=remote.Logging.NONE,
        )
        self._reads.append(read)
        return read
