"""How a Command reaches a machine: one place that builds the connection of every `remote.Command`."""

from typing import cast

import pulumi
from pulumi_command import remote

# Doctor has looked at every host a moment before, so a host that does not answer now is a passing
# fault: a few dials, some 20 s for a refused one, at most 75 s for one that swallows packets.
DIAL_RETRIES = 4
DIAL_TIMEOUT_SECONDS = 15
BASTION_DIAL_RETRIES = 20


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

    `host_key` is the machine's public key in authorized_keys form; without it the provider would
    accept any machine that answers, so an empty one raises ValueError. `private_key` is the key's
    text (OpenSSH or PEM), never a path; without one the provider asks the SSH agent that its
    environment names. Its path is not part of the connection: it changes from login to login, and a
    connection that changes makes every Command run again.
    """
    if not host_key.strip():
        raise ValueError(f"{address}: no host key: the connection would accept any machine that answers")
    made: remote.ConnectionArgsDict = {
        "host": address,
        "user": user,
        "port": port,
        "host_key": host_key,
        "dial_error_limit": DIAL_RETRIES,
        "per_dial_timeout": DIAL_TIMEOUT_SECONDS,
    }
    if private_key is not None:
        made["private_key"] = pulumi.Output.secret(private_key)
    if passphrase is not None:
        # None inside is null to the provider, which takes it for no passphrase.
        made["private_key_password"] = cast(pulumi.Output[str], pulumi.Output.secret(passphrase))
    if bastion is not None:
        made["proxy"] = _proxy(bastion)
    return made


def _proxy(bastion: remote.ConnectionArgsDict) -> remote.ProxyConnectionArgsDict:
    # Every Command logs in there anew, and sshd drops logins at random when many come at once.
    return cast(remote.ProxyConnectionArgsDict, {**bastion, "dial_error_limit": BASTION_DIAL_RETRIES})
