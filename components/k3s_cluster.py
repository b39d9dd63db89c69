"""A k3s cluster on machines that answer SSH: one server or several, any number of agents.

Every machine gets a converge script that is safe to run again, and a ward: a Command that does
nothing until its host leaves. Nothing here is ever replaced: `triggers` would uninstall the cluster
that was just installed. What is *not* waited for: anything inside the cluster beyond Ready nodes.
"""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import cast

import pulumi
import pulumi_kubernetes as kubernetes
import yaml
from pulumi import ResourceOptions
from pulumi_command import remote

from components.k3s_args import HostArgs, K3sClusterArgs, LostHostArgs
from components.k3s_config import (
    agent_config,
    delete_node_script,
    host_key,
    node_line,
    owner,
    server_config,
)
from components.kubeconfig import kubeconfig_for
from components.local_command import local_program
from components.provider import cluster_id, provider
from k3sgpu.hosts import scripts

NODES_AT_ONCE = 200
"""A script is one argument of the shell that sshd starts, and Linux takes no longer one than 128 KiB."""
NOTHING = "true"
"""An update with nothing to do, for which nobody becomes root."""


class K3sCluster(pulumi.ComponentResource):
    """k3s on the given machines, and a Provider that talks to it."""

    kubeconfig: pulumi.Output[str]
    """The administrator's kubeconfig, a secret, with the registration address in it."""
    provider: kubernetes.Provider
    """For every resource inside the cluster."""
    joined: Mapping[str, pulumi.Resource]
    """By Node: what has to exist before the Node does."""

    def __init__(self, name: str, args: K3sClusterArgs, opts: pulumi.ResourceOptions | None = None):
        super().__init__("k3sgpu:index:K3sCluster", name, None, opts)
        self._name, self._args = name, args
        self._hooks = opts.hooks if opts else None
        self._connections: dict[str, pulumi.Output[remote.ConnectionArgsDict]] = {}
        self._preflight = local_program(
            f"{name}-preflight",
            "doctor hosts --from-graph",
            {
                "K3SGPU_INVENTORY": args["preflight"]["inventory"],
                "K3SGPU_GENERATION": str(args["generation"]),
            },
            args["preflight"]["secrets"],
            ResourceOptions(parent=self),
            remembers=True,
        )
        servers, tokens = self._servers([self._delete_dead_node(lost["name"]) for lost in args["lost"]])
        in_turn = list(servers.values())
        first, last = in_turn[0], in_turn[-1]
        self.joined = {**servers, **self._agents(first, last, tokens["agent"])}
        for lost in args["lost"]:
            self._abandon_lost_host(lost, first)
        self._nodes()

        # A Command of its own with inputs that ordinary changes never touch: whenever an input changes all
        # outputs become unknown, and with them the Provider of the whole cluster.
        fetched = self._read("kubeconfig", first, GENERATION=args["generation"])
        self.kubeconfig = pulumi.Output.secret(fetched.stdout).apply(
            lambda text: kubeconfig_for(
                text, args.get("registration_address") or args["servers"][0]["address"], cluster_id(name)
            )
        )
        self.provider = provider(
            name,
            self.kubeconfig,
            "Restart k3s on the server, which renews it (systemctl restart k3s), then raise k3s.generation "
            "in the stack file and run up.",
            ResourceOptions(parent=self),
        )
        self.register_outputs({"kubeconfig": self.kubeconfig})

    def _on(
        self,
        host: HostArgs,
        name: str,
        opts: ResourceOptions,
        *,
        stdin: pulumi.Input[str] | None = None,
        logging: remote.Logging | None = None,
        **texts: str,
    ) -> remote.Command:
        """Every Command that runs on a machine: how it is reached and becomes root is decided here alone.

        `texts`: by operation (create, update, delete); an empty one is none.
        """
        texts = {key: text for key, text in texts.items() if text}
        password = host.get("sudo_password") if host["sudo"] else None
        if host["sudo"]:
            with_password = password is not None
            texts = {
                key: text if text == NOTHING else scripts.as_root(text, password=with_password)
                for key, text in texts.items()
            }
        if password is not None:
            stdin = pulumi.Output.all(password, stdin or "").apply(lambda both: scripts.password_stdin(*both))
        return remote.Command(
            f"{self._name}-{name}",
            connection=self._connection(host),
            create=texts.get("create"),
            update=texts.get("update"),
            delete=texts.get("delete"),
            stdin=None if stdin is None else pulumi.Output.secret(stdin),
            logging=logging,
            add_previous_output_in_env=False,
            opts=ResourceOptions.merge(
                ResourceOptions(parent=self, hooks=None if "delete" in texts else self._hooks), opts
            ),
        )

    def _connection(self, host: HostArgs) -> pulumi.Output[remote.ConnectionArgsDict]:
        """Made once for all Commands of a host, and of a Mapping that is no dict: of that the SDK would make
        some forty Outputs anew for each."""
        if host["name"] not in self._connections:
            made = pulumi.Output.secret(host["connection"])
            self._connections[host["name"]] = made.apply(
                lambda fields: cast(remote.ConnectionArgsDict, MappingProxyType(fields))
            )
        return self._connections[host["name"]]

    def _server(
        self, host: HostArgs, after: Sequence[pulumi.Resource], stdin: pulumi.Input[str] | None = None
    ) -> remote.Command:
        protect = self._args["protect"]
        clean = self._uninstall_on_removal(host, after, protect=protect)
        return self._on(
            host,
            f"server-{host['name']}",
            ResourceOptions(depends_on=[clean, *self._upload_release(host, clean)], protect=protect),
            create=self._converge(host, "server"),
            stdin=stdin,
        )

    def _servers(
        self, buried: Sequence[pulumi.Resource]
    ) -> tuple[dict[str, remote.Command], pulumi.Output[dict[str, str]]]:
        """Joins, changes and removes servers strictly one after another: two that come or go at the same
        time break etcd, and with a dead member it takes no new one. By name, the initial one first: the
        converge; and the tokens that the first made."""
        initial, *others = self._args["servers"]
        converges: dict[str, remote.Command] = {}
        after: list[pulumi.Resource] = [*buried]

        def add(host: HostArgs, tokens: pulumi.Output[dict[str, str]] | None = None) -> remote.Command:
            # The initial one has wards as the others have: when another becomes the initial one, none goes.
            before = [self._delete_node_on_removal(host, after)] if others else after
            converge = converges[host["name"]] = self._server(host, before, self._server_stdin(tokens))
            after[:] = [self._drain_on_removal(host["name"], [converge])] if others else [converge]
            return converge

        read = self._read("tokens", add(initial))
        tokens = pulumi.Output.secret(read.stdout).apply(json.loads)
        for host in others:
            add(host, tokens)
        return converges, tokens

    def _server_stdin(self, tokens: pulumi.Output[dict[str, str]] | None) -> pulumi.Output[str] | None:
        """What a server is given: the tokens where it joins others, and its secrets; None: nothing."""
        given = self._args["node_secrets"], self._args["server_secrets"]
        if tokens is None and given == ({}, {}):
            return None
        joining = (
            {}
            if tokens is None
            else tokens.apply(lambda both: {"SERVER_TOKEN": both["server"], "AGENT_TOKEN": both["agent"]})
        )
        return pulumi.Output.all(joining, *given).apply(
            lambda parts: scripts.secret_lines(**{k: v for part in parts for k, v in part.items()})
        )

    def _agent_stdin(
        self, token: pulumi.Output[str], turn: pulumi.Input[str | None] = None
    ) -> pulumi.Output[str]:
        return pulumi.Output.all(token, self._args["node_secrets"], turn).apply(
            lambda given: scripts.secret_lines(AGENT_TOKEN=given[0], **given[1])
        )

    def _read(self, job: str, first: remote.Command, **variables: int) -> remote.Command:
        """What only the server knows: its stdout is a secret and reaches no log."""
        return self._on(
            self._args["servers"][0],
            job,
            ResourceOptions(depends_on=[first], additional_secret_outputs=["stdout", "stderr"]),
            create=scripts.render(job, **variables),
            logging=remote.Logging.NONE,
        )

    def _agents(
        self, first: remote.Command, last: remote.Command, token: pulumi.Output[str]
    ) -> dict[str, remote.Command]:
        """Joins the agents beside each other, after the last of the servers; what changes on running ones
        goes through upkeep, in as many lanes as may be unavailable at a time. By name: the join."""
        lanes = self._args["max_unavailable"]
        updates: list[remote.Command] = []
        joins: dict[str, remote.Command] = {}
        for position, host in enumerate(self._args["agents"]):
            before = updates[position - lanes] if position >= lanes else None
            # Leaving is the reverse of these: pods away (leave), k3s away (clean), Node away (forget).
            forget = self._delete_node_on_removal(host, [first])
            clean = self._uninstall_on_removal(host, [forget])
            needed = [clean, *self._upload_release(host, clean), last]
            updates.append(self._update_agent(host, token, needed, before))
            joins[host["name"]] = self._join(host, token, updates[-1])
            self._drain_on_removal(host["name"], [joins[host["name"]]])
        return joins

    def _delete_dead_node(self, lost: str) -> remote.Command:
        """Deletes the Node of a host that is dead for good, in the run that says so. What was never stored
        is stored without a word to anybody."""
        pulumi.log.warn(
            f"{lost} is marked gone: this run deletes its Node; take it out of the stack file afterwards",
            resource=self,
        )
        text = delete_node_script(lost)
        return self._teardown_command("forget", lost, [self._preflight], update=text, delete=text)

    def _abandon_lost_host(self, lost: LostHostArgs, first: remote.Command) -> None:
        """The other Commands of a host that is dead for good stay in the state as they are, with the word
        that nothing is to be run when they leave it.

        One that was never stored is created without a script, which asks no machine.
        """
        unchanged = ["connection", "create", "update", "delete", "stdin"]
        abandoned = ResourceOptions(depends_on=[first], retain_on_delete=True, ignore_changes=unchanged)
        for job in ("clean", "leave", *(("server",) if lost["role"] == "server" else ("upkeep", "agent"))):
            self._on(self._args["servers"][0], f"{job}-{lost['name']}", abandoned)

    def _update_agent(
        self,
        host: HostArgs,
        token: pulumi.Output[str],
        after: Sequence[pulumi.Resource],
        before: remote.Command | None,
    ) -> remote.Command:
        """What a change does to a running agent. Only an `update`, and in the state before the join: so it
        costs nothing at the install, and a change after a half-failed install is not taken for the first.

        It is registered when the one `before` in its lane is done, and is no dependency of that: for every
        dependency the SDK walks down all that lead on from it, and a lane of some hundred agents is deeper
        than Python's stack.
        """
        return self._on(
            host,
            f"upkeep-{host['name']}",
            ResourceOptions(depends_on=list(after)),
            update=self._converge(host, "agent"),
            stdin=self._agent_stdin(token, turn=before.urn.future() if before else None),
        )

    def _join(self, host: HostArgs, token: pulumi.Output[str], update: remote.Command) -> remote.Command:
        """What brings a new agent in; later, whatever changes, it does nothing: not even with another login,
        for its stdin is ignored and keeps the password of the one that it came in with."""
        return self._on(
            host,
            f"agent-{host['name']}",
            ResourceOptions(depends_on=[update], ignore_changes=["create", "stdin"]),
            create=self._converge(host, "agent"),
            update=NOTHING,
            stdin=self._agent_stdin(token),
        )

    def _upload_release(self, host: HostArgs, clean: remote.Command) -> list[pulumi.Resource]:
        """The release that a machine converges with, where this computer brings it. After its clean, which
        takes it away; so there is nothing to run when the host leaves, or is dead."""
        told, secrets = self._args["upload_plans"].get(host["name"]), self._args["preflight"]["secrets"]
        after = ResourceOptions(parent=self, depends_on=[clean])
        name = f"{self._name}-bring-{host['name']}"
        return [local_program(name, "stage", {"K3SGPU_BRING": told}, secrets, after)] if told else []

    def _uninstall_on_removal(
        self, host: HostArgs, after: Sequence[pulumi.Resource], *, protect: bool = False
    ) -> remote.Command:
        return self._on(
            host,
            f"clean-{host['name']}",
            # After the look: a ward for a machine that could never be reached could never be run.
            ResourceOptions(depends_on=[self._preflight, *after], protect=protect),
            delete=scripts.render("run-uninstall", **owner(host)),
        )

    def _drain_on_removal(self, host: str, after: Sequence[pulumi.Resource]) -> remote.Command:
        return self._teardown_command(
            "leave", host, after, delete=scripts.render("cluster", "drain", HOST=host)
        )

    def _delete_node_on_removal(self, host: HostArgs, after: Sequence[pulumi.Resource]) -> remote.Command:
        """Deletes the Node of a host that leaves; and of one that came back empty under its old name, which
        its host key tells: another one makes this run, before anything runs on the host."""
        update = delete_node_script(host["name"], host_key(host))
        return self._teardown_command(
            "forget", host["name"], after, update=update, delete=delete_node_script(host["name"])
        )

    def _teardown_command(
        self, job: str, host: str, after: Sequence[pulumi.Resource], *, delete: str, update: str = ""
    ) -> remote.Command:
        """What another server does when `host` leaves; nothing when the whole cluster goes."""
        return self._on(
            next(server for server in self._args["servers"] if server["name"] != host),
            f"{job}-{host}",
            ResourceOptions(depends_on=list(after), deleted_with=self._preflight),
            delete=delete,
            update=update,
        )

    def _nodes(self) -> None:
        """What changes on Nodes without their machines: none may change its own taints, the server may."""
        hosts = [*self._args["servers"], *self._args["agents"]]
        for start in range(0, len(hosts), NODES_AT_ONCE):
            self._on(
                self._args["servers"][0],
                f"nodes-{start}" if start else "nodes",
                ResourceOptions(depends_on=list(self.joined.values())),
                create=scripts.render(
                    "cluster",
                    "label-nodes",
                    HOST=self._args["servers"][0]["name"],
                    GENERATION=self._args["generation"],
                    WANTED="\n".join(node_line(host) for host in hosts[start : start + NODES_AT_ONCE]),
                ),
            )

    def _converge(self, host: HostArgs, role: str) -> str:
        args, release = self._args, self._args["release"]
        pins = release["binary_sha256"]
        config = server_config(host, args) if role == "server" else agent_config(host, args)
        return scripts.render(
            "converge",
            **owner(host),
            ROLE=role,
            DATABASE=self._database(host) if role == "server" else "",
            SERVERS=" ".join(one["node_ip"] for one in args["servers"] if one is not host),
            VERSION=release["version"],
            MIRROR=release["mirror"],
            SCRIPT_URL=release["install_script_url"],
            SCRIPT_SHA256=release.get("install_script_sha256") or "",
            BINARY_SHA256_AMD64=pins.get("amd64", ""),
            BINARY_SHA256_ARM64=pins.get("arm64", ""),
            TIMEOUT=args["start_timeout_seconds"],
            DRAIN_ON_PATCH="yes" if args["drain_on_patch"] else "",
            DRAIN_TIMEOUT=args["drain_timeout_seconds"],
            GENERATION=args["generation"],
            CONFIG=yaml.safe_dump(config, sort_keys=True),
            CLEAN=scripts.source("uninstall"),
        )

    def _database(self, host: HostArgs) -> str:
        """Whose data a server begins with: its own, for itself or for others too, or a copy of theirs."""
        initial, *others = self._args["servers"]
        if host is not initial:
            return "copy"
        return "first" if others else "own"
