"""The form that each secret must have. No message shows a secret."""

import json
from collections.abc import Callable, Mapping

import asyncssh

from k3sgpu.problem import Problem, SettingsError
from k3sgpu.settings.files.ssh_keys import PASSPHRASE, PKCS8_HEADER, is_encrypted
from k3sgpu.settings.models.flag_values import pairs
from k3sgpu.settings.models.k3s_config_values import is_datastore, is_external

Secrets = Mapping[str, str]
Fault = tuple[str, str]
"""What was found, and what is expected."""


def check_secrets(secrets: Secrets) -> None:
    """Check the form of the secrets that are set. Raises SettingsError, whose text never shows one."""
    faults = {name: _fault(name, secrets) for name in secrets}
    if problems := [_problem(name, *fault) for name, fault in faults.items() if fault]:
        raise SettingsError(problems)


def logins(text: str) -> dict[str, dict[str, str]]:
    """The logins by registry in registryCredentials. Raises SettingsError."""
    if text.strip() and (fault := _credentials(text, {})):
        raise SettingsError([_problem("registryCredentials", *fault)])
    return json.loads(text) if text.strip() else {}


def _fault(name: str, secrets: Secrets) -> Fault | None:
    text = secrets[name]
    if not text.strip():
        return "an empty secret", "a secret with contents, or no such key"
    return FORMS.get(name, _one_line)(text, secrets)


def _problem(name: str, found: str, expected: str) -> Problem:
    remedy = f"pulumi config set --secret {name} < FILE"
    if name == "registryCredentials":
        example = '{"registry.example.org": {"username": "…", "password": "…"}}'
        remedy = f"write {example} to a file, then run:\n{remedy}"
    return Problem(name, f"{found} (not shown)", expected, remedy)


def _one_line(text: str, _: Secrets) -> Fault | None:
    if all(char.isprintable() for char in text.rstrip("\r\n")):
        return None
    return "a secret of several lines, or with control characters", "one line of text"


def _any_text(text: str, _: Secrets) -> Fault | None:
    return ("a secret with a NUL", "text") if "\0" in text else None


def _private_key(text: str, secrets: Secrets) -> Fault | None:
    passphrase = secrets.get(PASSPHRASE, "").rstrip("\r\n")
    expected = "the text of a private key, from BEGIN to END"
    if PKCS8_HEADER in text:
        return "a private key encrypted as PKCS #8, which Pulumi's plugin cannot read", expected
    if is_encrypted(text) and not passphrase:
        return "a private key with a passphrase", f"a key without one, or the secret {PASSPHRASE} as well"
    try:
        asyncssh.import_private_key(text, passphrase or None)
    except (ValueError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        if text.split(" ")[0].startswith(("ssh-", "ecdsa-", "sk-")):
            return "a public key", expected
        found = "a private key that its passphrase does not open" if passphrase else "no private key"
        return found, expected
    return None


def _credentials(text: str, _: Secrets) -> Fault | None:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        read = None
    if isinstance(read, dict) and all(_is_login(login) for login in read.values()):
        return None
    expected = "a JSON object with username and password by registry, named as in k3s.registries"
    return "a secret in another format", expected


def _vpn(text: str, _: Secrets) -> Fault | None:
    values = pairs(text.strip().partition(",extraArgs=")[0])
    is_known = {"name", "joinKey"} <= values.keys() <= {"name", "joinKey", "controlServerURL"}
    if text.strip().isprintable() and is_known and values["name"] == "tailscale" and values["joinKey"]:
        return None
    expected = (
        "name=tailscale,joinKey=KEY in one line, with ,controlServerURL=URL and ,extraArgs=ARGS if needed"
    )
    return "a secret in another format", expected


def _datastore(text: str, _: Secrets) -> Fault | None:
    if is_datastore(text.strip()) and is_external(text.strip()):
        return None
    expected = (
        "the endpoint of a database outside of the cluster in one line, such as "
        "postgres://USER:PASSWORD@HOST:5432/NAME (docs.k3s.io/datastore)"
    )
    return "a secret in another format", expected


def _is_login(login: object) -> bool:
    return (
        isinstance(login, dict)
        and login.keys() == {"username", "password"}
        and all(isinstance(value, str) and value for value in login.values())
    )


FORMS: dict[str, Callable[[str, Secrets], Fault | None]] = {
    "sshPrivateKey": _private_key,
    "registryCredentials": _credentials,
    "vpnAuth": _vpn,  # as pkg/vpn of k3s reads it
    "datastoreEndpoint": _datastore,
    "clusterKubeconfig": _any_text,  # resolve_kubeconfig reads it
}
"""The check of each secret that is more than one line of text. It gets the secret, and all of them."""
