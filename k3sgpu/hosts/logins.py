"""What it takes to log in: keys from files or from the stack's secrets, straight into memory."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from k3sgpu.hosts.ssh import Login, load_key
from k3sgpu.problem import InputError

GIVE = "pulumi config --show-secrets --json | python -m k3sgpu doctor hosts …"


@dataclass(frozen=True)
class Secrets:
    """The stack's secrets that reaching a machine takes, each "" when it is not there."""

    private_key: str = field(default="", repr=False)
    passphrase: str = field(default="", repr=False)
    sudo_password: str = field(default="", repr=False)


def read_secrets(text: str) -> Secrets:
    """Secrets from a JSON object: name → text, or what `pulumi config --show-secrets --json` prints.

    Raises InputError, without the text.
    """
    try:
        data = json.loads(text) if text.strip() else {}
    except json.JSONDecodeError:
        data = None
    if not isinstance(data, dict):
        raise InputError(f"the standard input holds no JSON object of secrets; give them: {GIVE}")
    values = {name.rpartition(":")[2]: _value(value) for name, value in data.items()}
    names = ("sshPrivateKey", "sshPrivateKeyPassphrase", "sudoPassword")
    return Secrets(*(values.get(name, "") for name in names))


def logins_for(inventory: Mapping[str, Any], secrets: Secrets, agent: str = "") -> dict[str, Login]:
    """How to log in, by name of host or bastion: with its privateKeyFile, or else the keys of the SSH agent
    at `agent` or the secret key, whichever the stack uses.

    Raises InputError for one without any, for a key that cannot be read, and for a secret that the stack has
    and that was not given.
    """
    bastion, loaded = inventory.get("bastion"), dict[str | None, asyncssh.SSHKey | None]()

    def key_of(end: Mapping[str, Any]) -> asyncssh.SSHKey | None:
        file = end.get("privateKeyFile")
        if file not in loaded:  # one key serves many hosts, and a passphrase takes a while to try
            loaded[file] = _key(end, secrets, inventory.get("agent", False))
        return loaded[file]

    return {
        end["name"]: Login(
            key=key_of(end),
            agent="" if end.get("privateKeyFile") or not inventory.get("agent") else agent,
            sudo_password=_sudo_password(end, secrets),
        )
        for end in [*inventory["hosts"], *([bastion] if bastion else [])]
    }


def _key(end: Mapping[str, Any], secrets: Secrets, agent: bool) -> asyncssh.SSHKey | None:
    if file := end.get("privateKeyFile"):
        return _read(file, secrets.passphrase)
    if agent:
        return None
    if not secrets.private_key.strip():
        raise InputError(
            f"host {end['name']} has no ssh.privateKeyFile, and no secret sshPrivateKey came on the "
            f"standard input; give it: {GIVE}"
        )
    return load_key(secrets.private_key, "the secret sshPrivateKey", secrets.passphrase)


def _sudo_password(end: Mapping[str, Any], secrets: Secrets) -> str:
    if not end.get("sudoPassword"):
        return ""
    if not secrets.sudo_password:
        raise InputError(
            f"host {end['name']} needs the secret sudoPassword, and it did not come on the standard "
            f"input; give it: {GIVE}"
        )
    return secrets.sudo_password


def _value(value: Any) -> str:
    text = value.get("value") if isinstance(value, dict) else value
    return text if isinstance(text, str) else ""


def _read(file: str, passphrase: str) -> asyncssh.SSHKey:
    try:
        return load_key(Path(file).expanduser().read_text(), file, passphrase)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InputError(f"the SSH key {file} cannot be read: {reason}; correct ssh.privateKeyFile") from None
