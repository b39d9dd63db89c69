"""The life of a host: all of its Commands, in the order in which they run.

Before any of them, cluster-preflight has checked every host, and cluster-stage has put the scripts and k3s's
release on it (k3sgpu/hosts/staging.py). The rows are in the order of creation; when a
host is removed, the deletes run from the last row to the first. `other server` is another one of the cluster.

    resource             runs on        create     update        delete         script
    cluster-forget-HOST  other server   -          delete Node*  delete Node    delete-node.sh
    cluster-clean-HOST   the host       -          -             uninstall      run-uninstall.sh
    cluster-server-HOST  the server     converge   converge      -              converge.sh
    cluster-upkeep-HOST  the agent      -          converge      -              converge.sh
    cluster-agent-HOST   the agent      converge   -             -              converge.sh
    cluster-leave-HOST   other server   -          -             drain          drain.sh

When all hosts have joined, cluster-nodes (k3s_cluster.py) sets the labels and taints of all Nodes
(label-nodes.sh). It waits for cluster-server and cluster-agent, not for cluster-leave.

* Only where another host key shows that a new machine has the name of a dead one.
- A single server has no cluster-forget and no cluster-leave: no other server could run them.
- cluster-upkeep updates at most maxUnavailable agents at a time; cluster-agent only installs.
- forget, clean and leave are teardown commands: they are registered with the host, so that the engine can run
  their deletes when the host is no longer in the stack file. When the whole cluster is destroyed, forget and
  leave do not run.
- Nothing is ever replaced (no `triggers`): a replacement would uninstall what was just installed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi import ResourceOptions
from pulumi_command import local, remote

from components import k3s_scripts
from components.k3s_args import HostArgs, K3sClusterArgs, LostHostArgs
from components.remote_command import NOTHING, RemoteCommands
from components.sdk_workarounds import known_after

Tokens = pulumi.Output[dict[str, str]]
"""By name: the tokens `server` and `agent`."""


@dataclass(frozen=True)
class Server:
    """A server's Commands that others wait for."""

    converge: remote.Command
    """Exists when the server is Ready."""
    last: remote.Command
    """Its last Command, whose delete runs first when the server is removed."""


@dataclass(frozen=True)
class Agent:
    """An agent's Commands that others wait for."""

    update: remote.Command
    join: remote.Command
    """Exists when the agent is Ready."""
    last: remote.Command
    """As in Server."""


class K3sHosts:
    """Registers the Commands of the hosts of one cluster."""

    def __init__(
        self, args: K3sClusterArgs, commands: RemoteCommands, preflight: local.Command, stage: local.Command
    ):
        self._args, self._commands, self._preflight, self._stage = args, commands, preflight, stage

    def add_server(self, host: HostArgs, after: Sequence[pulumi.Resource], tokens: Tokens | None) -> Server:
        """The life of a server. `tokens`: of the cluster that it joins; None: it is the initial server.

        The initial server has the same Commands as the others, so that none is removed when another server
        becomes the initial one.
        """
        protect, several = self._args["protect"], len(self._args["servers"]) > 1
        after = after or [self._stage]
        before = [self._delete_node(host, after)] if several else after
        uninstall = self._uninstall(host, before, protect=protect)
        converge = self._commands.register(
            host,
            f"server-{host['name']}",
            ResourceOptions(depends_on=[uninstall], protect=protect),
            create=k3s_scripts.converge_script(host, "server", self._args),
            stdin=self._server_stdin(tokens),
        )
        return Server(converge, self._drain(host["name"], converge) if several else converge)

    def add_agent(
        self,
        host: HostArgs,
        servers: Sequence[Server],
        stdin: pulumi.Output[str],
        previous_update: remote.Command | None,
    ) -> Agent:
        """The life of an agent. An update of it begins when `previous_update` is done."""
        delete_node = self._delete_node(host, [servers[0].converge])
        uninstall = self._uninstall(host, [delete_node])
        script = k3s_scripts.converge_script(host, "agent", self._args)
        update = self._update(host, script, stdin, [uninstall, servers[-1].converge], previous_update)
        join = self._join(host, script, stdin, update)
        return Agent(update, join, self._drain(host["name"], join))

    def delete_dead_node(self, lost: LostHostArgs) -> remote.Command:
        """cluster-forget-HOST of a lost host: deletes its Node in the run that first declares it lost.

        If an earlier run has created the host's Commands, this is an update of one of them. Otherwise it is
        created without running anything.
        """
        server = self._another_server(lost["name"])
        script = k3s_scripts.delete_node_script(server, lost["name"])
        return self._on_server(server, "forget", lost["name"], [self._stage], update=script, delete=script)

    def abandon(self, lost: LostHostArgs, first: remote.Command) -> list[remote.Command]:
        """Keeps the other Commands of a lost host in the state as they are, and removes them from it later
        without running their deletes: they would wait for a machine that never answers.

        A Command that is not in the state is created without a script, which contacts no machine.
        """
        unchanged = ["connection", "create", "update", "delete", "stdin"]
        opts = ResourceOptions(depends_on=[first], retain_on_delete=True, ignore_changes=unchanged)
        jobs = ("clean", "leave", *(("server",) if lost["role"] == "server" else ("upkeep", "agent")))
        return [
            self._commands.register(self._args["servers"][0], f"{job}-{lost['name']}", opts) for job in jobs
        ]

    def _delete_node(self, host: HostArgs, after: Sequence[pulumi.Resource]) -> remote.Command:
        """cluster-forget-HOST: deletes the Node of a removed host.

        Another host key makes the update run, before anything runs on the host: if the machine that had the
        name is dead, its Node is deleted, because k3s would refuse a new machine under it.
        """
        name, server = host["name"], self._another_server(host["name"])
        return self._on_server(
            server,
            "forget",
            name,
            after,
            update=k3s_scripts.delete_node_script(server, name, k3s_scripts.host_key(host)),
            delete=k3s_scripts.delete_node_script(server, name),
        )

    def _uninstall(
        self, host: HostArgs, after: Sequence[pulumi.Resource], *, protect: bool = False
    ) -> remote.Command:
        """cluster-clean-HOST: uninstalls k3s from a removed host."""
        return self._commands.register(
            host,
            f"clean-{host['name']}",
            # They come after stage: the delete of a host that was never reachable could never run.
            ResourceOptions(depends_on=list(after), protect=protect),
            delete=k3s_scripts.uninstall_script(host),
        )

    def _update(
        self,
        host: HostArgs,
        script: str,
        stdin: pulumi.Output[str],
        after: Sequence[pulumi.Resource],
        previous: remote.Command | None,
    ) -> remote.Command:
        """cluster-upkeep-HOST: applies changes to a running agent.

        It has no `create`, so it does nothing at the install. It comes before the join in the state, so that
        after a half-failed install the next change is an update.
        """
        return self._commands.register(
            host,
            f"upkeep-{host['name']}",
            ResourceOptions(depends_on=list(after)),
            update=script,
            stdin=known_after(stdin, previous),
        )

    def _join(
        self, host: HostArgs, script: str, stdin: pulumi.Output[str], update: remote.Command
    ) -> remote.Command:
        """cluster-agent-HOST: installs an agent.

        Later changes are `_update`'s: this one ignores a new script, and a new stdin, which holds the
        password of the login.
        """
        return self._commands.register(
            host,
            f"agent-{host['name']}",
            ResourceOptions(depends_on=[update], ignore_changes=["create", "stdin"]),
            create=script,
            update=NOTHING,
            stdin=stdin,
        )

    def _drain(self, host: str, converge: remote.Command) -> remote.Command:
        """cluster-leave-HOST: moves the pods of a removed host away."""
        server = self._another_server(host)
        return self._on_server(
            server, "leave", host, [converge], delete=k3s_scripts.drain_script(server, host)
        )

    def _another_server(self, host: str) -> HostArgs:
        return next(server for server in self._args["servers"] if server["name"] != host)

    def _on_server(
        self,
        server: HostArgs,
        job: str,
        host: str,
        after: Sequence[pulumi.Resource],
        *,
        delete: str,
        update: str | None = None,
    ) -> remote.Command:
        """A teardown command about `host` that `server` runs; skipped when the whole cluster goes."""
        return self._commands.register(
            server,
            f"{job}-{host}",
            ResourceOptions(depends_on=list(after), deleted_with=self._preflight),
            delete=delete,
            update=update,
        )

    def _server_stdin(self, tokens: Tokens | None) -> pulumi.Output[str] | None:
        """A server's secrets, and the tokens where it joins others; None when there are none."""
        secrets = self._args["node_secrets"], self._args["server_secrets"]
        if tokens is None:
            return None if secrets == ({}, {}) else k3s_scripts.secrets_stdin(*secrets)
        joining = {"SERVER_TOKEN": tokens["server"], "AGENT_TOKEN": tokens["agent"]}
        return k3s_scripts.secrets_stdin(joining, *secrets)

    def agent_stdin(self, token: pulumi.Output[str]) -> pulumi.Output[str]:
        """The secrets of an agent, one Output for all agents."""
        return k3s_scripts.secrets_stdin({"AGENT_TOKEN": token}, self._args["node_secrets"])
