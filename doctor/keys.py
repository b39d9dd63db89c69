"""Private keys: from the standard input or from files, straight into memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncssh

from doctor.ssh import load_key
from doctor.told import Refused


def keys_for(inventory: Mapping[str, Any], given: str) -> dict[str, asyncssh.SSHKey]:
    """The key to log in with, by host name: the host's privateKeyFile, or else `given` (the text of one).

    Raises Refused for a host without either, and for a key that cannot be read.
    """
    loaded: dict[str | None, asyncssh.SSHKey] = {}
    if given.strip():
        loaded[None] = load_key(given, "the standard input")
    for host in inventory["hosts"]:
        file = host.get("privateKeyFile")
        if file and file not in loaded:
            loaded[file] = _read(file)
        elif not file and None not in loaded:
            raise Refused(
                f"host {host['name']} has no ssh.privateKeyFile, and no key came on the standard input; "
                "give it: pulumi config get sshPrivateKey | python -m doctor hosts …"
            )
    return {host["name"]: loaded[host.get("privateKeyFile")] for host in inventory["hosts"]}


def _read(file: str) -> asyncssh.SSHKey:
    try:
        return load_key(Path(file).expanduser().read_text(), file)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Refused(f"the SSH key {file} cannot be read: {reason}; correct ssh.privateKeyFile") from None
