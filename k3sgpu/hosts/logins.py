"""Logins from key files, from the stack's secrets or from an SSH agent; keys stay in memory."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from k3sgpu.handoff.inventory import SshTarget
from k3sgpu.hosts.ssh import Login
from k3sgpu.problem import InputError

PASS_SECRETS = "pulumi config --show-secrets --json | python -m k3sgpu …"


@dataclass(frozen=True)
class Secrets:
    """The stack's secrets that logging in takes, each "" when it is absent."""

    private_key: str = field(default="", repr=False)
    passphrase: str = field(default="", repr=False)
    sudo_password: str = field(default="", repr=False)


def read_secrets(text: str) -> Secrets:
    """Reads the secrets from a JSON object: name → text, or what `pulumi config --show-secrets --json`
    prints.

    Raises InputError for anything else, without the text.
    """
    try:
        data = json.loads(text) if text.strip() else {}
    except json.JSONDecodeError:
        data = None
    if not isinstance(data, dict):
        raise InputError(f"stdin holds no JSON object of secrets; pass them so: {PASS_SECRETS}")
    values = {name.rpartition(":")[2]: _value(value) for name, value in data.items()}
    names = ("sshPrivateKey", "sshPrivateKeyPassphrase", "sudoPassword")
    return Secrets(*(values.get(name, "") for name in names))


def logins_for(
    targets: Iterable[SshTarget], secrets: Secrets, agent_socket: str | None = None
) -> dict[str, Login]:
    """How to log in to each target, by name: with its privateKeyFile, or else with the SSH agent's keys when
    `agent_socket` is given, or else with the secret key.

    Raises InputError for a target without any key, for a key that cannot be read, and for a secret that the
    target needs and that is absent.
    """
    loaded: dict[str | None, asyncssh.SSHKey | None] = {}

    def key_of(target: SshTarget) -> asyncssh.SSHKey | None:
        file = target["privateKeyFile"]
        if file not in loaded:  # one key serves many hosts, and trying a passphrase takes a while
            loaded[file] = _key(target, secrets, agent_socket is not None)
        return loaded[file]

    return {
        target["name"]: Login(
            key=key_of(target),
            agent="" if target["privateKeyFile"] else agent_socket or "",
            sudo_password=_sudo_password(target, secrets),
        )
        for target in targets
    }


def load_key(text: str, source: str, passphrase: str = "") -> asyncssh.SSHKey:
    """Reads a private key from its text. Raises InputError, which names the `source` of the text."""
    rewrite = "rewrite a copy of it with ssh-keygen -p -f FILE"
    if "BEGIN ENCRYPTED PRIVATE KEY" in text:
        raise InputError(
            f"the SSH key from {source} is encrypted as PKCS #8, which Pulumi's plugin cannot read; {rewrite}"
        )
    try:
        return asyncssh.import_private_key(text, passphrase or None)
    except asyncssh.KeyEncryptionError:
        raise InputError(
            f"the secret sshPrivateKeyPassphrase does not open the SSH key from {source}"
        ) from None
    except asyncssh.KeyImportError as error:
        if "assphrase" in str(error):
            raise InputError(
                f"the SSH key from {source} is protected by a passphrase, and there is no secret "
                f"sshPrivateKeyPassphrase; set it, or {rewrite}"
            ) from None
        raise InputError(f"the SSH key from {source} cannot be read: {error}") from None


def _key(target: SshTarget, secrets: Secrets, agent: bool) -> asyncssh.SSHKey | None:
    if file := target["privateKeyFile"]:
        return _key_from_file(file, secrets.passphrase)
    if agent:
        return None
    if not secrets.private_key.strip():
        raise InputError(
            f"host {target['name']} has no ssh.privateKeyFile, and stdin holds no secret sshPrivateKey; "
            f"pass it so: {PASS_SECRETS}"
        )
    return load_key(secrets.private_key, "the secret sshPrivateKey", secrets.passphrase)


def _sudo_password(target: SshTarget, secrets: Secrets) -> str:
    if not target.get("sudoPassword"):
        return ""
    if not secrets.sudo_password:
        raise InputError(
            f"host {target['name']} needs the secret sudoPassword, and stdin does not hold it; "
            f"pass it so: {PASS_SECRETS}"
        )
    return secrets.sudo_password


def _value(value: Any) -> str:
    text = value.get("value") if isinstance(value, dict) else value
    return text if isinstance(text, str) else ""


def _key_from_file(file: str, passphrase: str) -> asyncssh.SSHKey:
    try:
        return load_key(Path(file).expanduser().read_text(), file, passphrase)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InputError(f"the SSH key {file} cannot be read: {reason}; correct ssh.privateKeyFile") from None
