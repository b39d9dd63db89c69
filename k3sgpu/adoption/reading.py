"""Reads the k3s of machines over SSH, on all of them at once, and a server's kubeconfig."""

from collections.abc import Mapping, Sequence

import asyncssh

from k3sgpu.adoption.machine_k3s import FoundK3s, read_machine
from k3sgpu.handoff.inventory import SshTarget
from k3sgpu.hosts import scripts
from k3sgpu.hosts.fleet import on_every_host
from k3sgpu.hosts.root_shell import RootShell, ScriptError
from k3sgpu.hosts.ssh import Failure, Login
from k3sgpu.problem import Problem
from k3sgpu.timeouts import READ_K3S_SECONDS
from k3sgpu.wellknown import API_PORT

MAX_CONNECTIONS = 100

Read = FoundK3s | list[Problem]


async def read_machines(
    hosts: Sequence[SshTarget], logins: Mapping[str, Login], bastion: SshTarget | None
) -> dict[str, Read | Failure]:
    """By name: the k3s of every host, or why it cannot be taken over or read."""

    async def read(connection: asyncssh.SSHClientConnection, host: SshTarget) -> Read:
        shell = RootShell(connection, host, logins[host["name"]].sudo_password)
        try:
            lines = await shell.run(scripts.render("read-k3s"), "reading k3s", READ_K3S_SECONDS)
        except ScriptError as error:
            expected = "what read-k3s.sh prints"
            return [Problem(host["name"], str(error), expected, "look at the machine, and run adopt again")]
        return read_machine(host["name"], lines)

    return await on_every_host(hosts, logins, bastion, read, MAX_CONNECTIONS)


async def read_kubeconfig(server: SshTarget, login: Login) -> str | Failure:
    """The administrator's kubeconfig from a server, with the server's address in it. Raises ScriptError."""

    async def read(connection: asyncssh.SSHClientConnection, host: SshTarget) -> str:
        shell = RootShell(connection, host, login.sudo_password)
        script = scripts.render("kubeconfig", GENERATION=0)
        return "\n".join(await shell.run(script, "reading the kubeconfig", READ_K3S_SECONDS))

    name = server["name"]
    text = (await on_every_host([server], {name: login}, None, read, 1))[name]
    local = f"https://127.0.0.1:{API_PORT}"
    return (
        text if isinstance(text, Failure) else text.replace(local, f"https://{server['address']}:{API_PORT}")
    )
