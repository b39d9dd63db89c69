"""How a Command reaches a machine: one place that builds the connection of every `remote.Command`."""

import pulumi
from pulumi_command import remote

# Doctor has looked at every host a moment before, so a host that does not answer now is a passing
# fault: a few dials, some 20 s for a refused one, at most 75 s for one that swallows packets.
DIAL_RETRIES = 4
DIAL_TIMEOUT_SECONDS = 15


def connection(
    *, address: str, user: str, port: int, host_key: str, private_key: pulumi.Input[str]
) -> remote.ConnectionArgsDict:
    """The connection to one machine.

    `host_key` is the machine's public key in authorized_keys form; without it the provider would
    accept any machine that answers, so an empty one raises ValueError. `private_key` is the key's
    text (OpenSSH or PEM), never a path.
    """
    if not host_key.strip():
        raise ValueError(f"{address}: no host key: the connection would accept any machine that answers")
    return {
        "host": address,
        "user": user,
        "port": port,
        "host_key": host_key,
        "private_key": pulumi.Output.secret(private_key),
        "dial_error_limit": DIAL_RETRIES,
        "per_dial_timeout": DIAL_TIMEOUT_SECONDS,
    }
