"""What it takes to log in: keys from files or from the stack's secrets, straight into memory."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from doctor.ssh import Login, load_key
from doctor.told import Refused

GIVE = "pulumi config --show-secrets --json | python -m doctor hosts …"


@dataclass(frozen=True)
class Secrets:
    """The stack's secrets that reaching a machine takes, each "" when it is not there."""

    private_key: str = field(default="", repr=False)
    sudo_password: str = field(default="", repr=False)


def read_secrets(text: str) -> Secrets:
    """Secrets from a JSON object: name → text, or what `pulumi config --show-secrets --json` prints.

    Raises Refused, without the text.
    """
    try:
        data = json.loads(text) if text.strip() else {}
    except json.JSONDecodeError:
        data = None
    if not isinstance(data, dict):
        raise Refused(f"the standard input holds no JSON object of secrets; give them: {GIVE}")
    values = {name.rpartition(":")[2]: _value(value) for name, value in data.items()}
    return Secrets(values.get("sshPrivateKey", ""), values.get("sudoPassword", ""))


def logins_for(inventory: Mapping[str, Any], secrets: Secrets) -> dict[str, Login]:
    """How to log in, by host name: with the host's privateKeyFile, or else the secret key.

    Raises Refused for a host without either, for a key that cannot be read, and for a sudo password that
    the stack has and that was not given.
    """
    loaded: dict[str | None, asyncssh.SSHKey] = {}
    if secrets.private_key.strip():
        loaded[None] = load_key(secrets.private_key, "the secret sshPrivateKey")
    logins = {}
    for host in inventory["hosts"]:
        file = host.get("privateKeyFile")
        if file and file not in loaded:
            loaded[file] = _read(file)
        elif not file and None not in loaded:
            raise Refused(
                f"host {host['name']} has no ssh.privateKeyFile, and no secret sshPrivateKey came on the "
                f"standard input; give it: {GIVE}"
            )
        if host.get("sudoPassword") and not secrets.sudo_password:
            raise Refused(
                f"host {host['name']} needs the secret sudoPassword, and it did not come on the standard "
                f"input; give it: {GIVE}"
            )
        password = secrets.sudo_password if host.get("sudoPassword") else ""
        logins[host["name"]] = Login(loaded[file or None], password)
    return logins


def _value(value: Any) -> str:
    text = value.get("value") if isinstance(value, dict) else value
    return text if isinstance(text, str) else ""


def _read(file: str) -> asyncssh.SSHKey:
    try:
        return load_key(Path(file).expanduser().read_text(), file)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Refused(f"the SSH key {file} cannot be read: {reason}; correct ssh.privateKeyFile") from None
