"""The connection of a `remote.Command` to its host."""

from typing import cast

import pulumi
from pulumi_command import remote

from k3sgpu.timeouts import BASTION_DIAL_TRIES, DIAL_SECONDS, DIAL_TRIES


def connection(
    *,
    address: str,
    user: str,
    port: int,
    host_key: str,
    private_key: pulumi.Input[str] | None,
    passphrase: pulumi.Output[str] | pulumi.Output[str | None] | None = None,
    bastion: remote.ConnectionArgsDict | None = None,
) -> remote.ConnectionArgsDict:
    """The connection to one machine, directly or through the one to a bastion.

    `host_key` is the machine's public key in authorized_keys form. Raises ValueError for an empty one: the
    plugin would accept any machine that answers. `private_key` is the key's text (OpenSSH or PEM), never a
    path; without one the plugin asks the SSH agent of its environment. The agent's socket is no part of the
    connection: it changes with every login, and a changed connection makes every Command run again.
    """
    if not host_key.strip():
        raise ValueError(f"{address}: no host key: the connection would accept any machine that answers")
    made: remote.ConnectionArgsDict = {
        "host": address,
        "user": user,
        "port": port,
        "host_key": host_key,
        "dial_error_limit": DIAL_TRIES,
        "per_dial_timeout": DIAL_SECONDS,
    }
    if private_key is not None:
        made["private_key"] = pulumi.Output.secret(private_key)
    if passphrase is not None:
        # An Output of None is null for the plugin, which then uses no passphrase.
        made["private_key_password"] = cast(pulumi.Output[str], pulumi.Output.secret(passphrase))
    if bastion is not None:
        made["proxy"] = _proxy(bastion)
    return made


def _proxy(bastion: remote.ConnectionArgsDict) -> remote.ProxyConnectionArgsDict:
    return cast(remote.ProxyConnectionArgsDict, {**bastion, "dial_error_limit": BASTION_DIAL_TRIES})
