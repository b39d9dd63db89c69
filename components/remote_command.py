"""Commands on hosts: how a host is reached, under which shell, and how its login becomes root."""

import pulumi
from pulumi import ResourceOptions
from pulumi_command import remote

from components.k3s_args import HostArgs
from components.sdk_workarounds import shared_connection, without_stack_trace
from k3sgpu.hosts import scripts

NOTHING = "true"
"""The text of an operation that does nothing. It runs without sudo."""


class RemoteCommands:
    """Registers the Commands that run on the hosts of one component."""

    def __init__(self, prefix: str, parent: pulumi.Resource, opts: ResourceOptions | None):
        self.prefix, self.parent = prefix, parent
        self._hooks = opts.hooks if opts else None
        self._connections: dict[int, pulumi.Output[remote.ConnectionArgsDict]] = {}
        """By the identity of the host's arguments, which live as long as the component."""

    def register(
        self,
        host: HostArgs,
        name: str,
        opts: ResourceOptions,
        *,
        create: str | None = None,
        update: str | None = None,
        delete: str | None = None,
        stdin: pulumi.Output[str] | None = None,
        logging: remote.Logging | None = None,
    ) -> remote.Command:
        """A Command `<prefix>-<name>` on `host`, with a script for each operation that has one.

        Without `update`, an update runs `create`. The component's hooks are left out where there is a
        `delete`: a destroy does not run the program, and the engine would not find them. `stdin` is a secret,
        and `opts` are for this Command alone.
        """
        password = host.get("sudo_password") if host["sudo"] else None
        if password is not None:
            both = pulumi.Output.all(password, stdin or "")
            stdin = pulumi.Output.secret(both.apply(lambda given: scripts.password_stdin(*given)))
        # Not ResourceOptions.merge: it copies both, with everything in them.
        opts.parent, opts.hooks = self.parent, None if delete else self._hooks
        with without_stack_trace():
            return remote.Command(
                f"{self.prefix}-{name}",
                connection=self._connection(host),
                create=_as_root(host, create),
                update=_as_root(host, update),
                delete=_as_root(host, delete),
                stdin=stdin,
                logging=logging,
                add_previous_output_in_env=False,
                opts=opts,
            )

    def _connection(self, host: HostArgs) -> pulumi.Output[remote.ConnectionArgsDict]:
        if id(host) not in self._connections:
            self._connections[id(host)] = shared_connection(host["connection"])
        return self._connections[id(host)]


def _as_root(host: HostArgs, script: str | None) -> str | None:
    if script is None or script == NOTHING:
        return script
    if not host["sudo"]:
        return scripts.under_sh(script)
    return scripts.as_root(script, password=host.get("sudo_password") is not None)
