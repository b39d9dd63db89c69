"""The arguments of a single host: its addresses, labels, and the connection to it."""

import pulumi
from pulumi_command import remote

from components import ssh_connection
from components.k3s_args import HostArgs
from k3sgpu import settings as s
from k3sgpu.handoff.k3s_config import host_config
from stack.inputs import Secrets


def host(
    node: s.Node,
    settings: s.Settings,
    access: s.SshAccess,
    secrets: Secrets,
    *,
    shorten_key: bool = True,
) -> HostArgs:
    """Arguments of one host, with private keys in their shortest form or as their files have them."""
    bastion = (
        access.bastion
        and settings.bastion
        and _connection(settings.bastion, access.bastion, secrets, shorten_key)
    )
    return {
        **host_config(node),
        "sudo": node.user != "root",
        "sudo_password": secrets.get("sudoPassword"),
        "connection": _connection(node, access, secrets, shorten_key, bastion),
    }


def _connection(
    endpoint: s.Endpoint,
    access: s.SshAccess,
    secrets: Secrets,
    shorten_key: bool,
    bastion: remote.ConnectionArgsDict | None = None,
) -> remote.ConnectionArgsDict:
    private_key = access.private_key or secrets.get("sshPrivateKey")
    return ssh_connection.connection(
        address=endpoint.address,
        user=endpoint.user,
        port=endpoint.port,
        host_key=access.host_key,
        private_key=_shortest(private_key) if shorten_key else private_key,
        passphrase=_passphrase(private_key, secrets),
        bastion=bastion,
    )


def _shortest(private_key: str | pulumi.Output[str] | None) -> str | pulumi.Output[str] | None:
    if private_key is None or isinstance(private_key, str):
        return private_key and s.shortest_form(private_key)
    return private_key.apply(s.shortest_form)


def _passphrase(
    private_key: str | pulumi.Output[str] | None, secrets: Secrets
) -> pulumi.Output[str] | pulumi.Output[str | None] | None:
    """The passphrase, if the key is encrypted: the plugin refuses a passphrase for a key without one."""
    passphrase = secrets.get(s.PASSPHRASE)
    if private_key is None or passphrase is None:
        return None
    if isinstance(private_key, str):
        return passphrase if s.is_encrypted(private_key) else None
    both = pulumi.Output.all(private_key, passphrase)
    return both.apply(lambda pair: str(pair[1]) if s.is_encrypted(pair[0]) else None)
