"""Logins from key files, from the stack's secrets and from an SSH agent."""

import json

import asyncssh
import pytest

from k3sgpu.hosts.logins import Secrets, logins_for, read_secrets
from k3sgpu.hosts.ssh import Login
from k3sgpu.problem import InputError
from tests.data.inventories import host_entry

KEY = asyncssh.generate_private_key("ssh-ed25519")
PRIVATE_KEY = KEY.export_private_key().decode()
LOCKED_KEY = KEY.export_private_key(passphrase="secret").decode()
PKCS8_KEY = KEY.export_private_key("pkcs8-pem", passphrase="secret").decode()
HOST = host_entry("gpu-1")


def test_key_file_comes_before_the_secret_key(tmp_path):
    other = asyncssh.generate_private_key("ssh-ed25519")
    (tmp_path / "id").write_bytes(other.export_private_key())
    hosts = [
        HOST,
        host_entry("gpu-2", privateKeyFile=str(tmp_path / "id")),
        host_entry("gpu-3", sudoPassword=True),
    ]
    logins = logins_for(hosts, Secrets(PRIVATE_KEY, "", "sesame"))
    assert logins == {"gpu-1": Login(KEY), "gpu-2": Login(other), "gpu-3": Login(KEY, "sesame")}
    assert "sesame" not in repr(logins)


def test_passphrase_opens_a_locked_key():
    assert logins_for([HOST], Secrets(LOCKED_KEY, "secret")) == {"gpu-1": Login(KEY)}


def test_agents_keys_serve_targets_without_a_key_file(tmp_path):
    (tmp_path / "id").write_text(PRIVATE_KEY)
    targets = [
        HOST,
        host_entry("gpu-2", privateKeyFile=str(tmp_path / "id")),
        host_entry("the bastion"),
    ]
    agent = Login(None, agent="/run/agent")
    assert logins_for(targets, Secrets(), "/run/agent") == {
        "gpu-1": agent, "gpu-2": Login(KEY), "the bastion": agent
    }  # fmt: skip


@pytest.mark.parametrize(
    ("secrets", "host", "expected"),
    [
        ({}, {}, "host gpu-1 has no ssh.privateKeyFile, and stdin holds no secret sshPrivateKey"),
        ({}, {"privateKeyFile": "/nowhere/id"}, "/nowhere/id cannot be read: No such file"),
        ({"private_key": "not a key"}, {}, "the SSH key from the secret sshPrivateKey cannot be read"),
        (
            {"private_key": PRIVATE_KEY},
            {"sudoPassword": True},
            "gpu-1 needs the secret sudoPassword, and stdin does not hold it",
        ),
        (
            {"private_key": LOCKED_KEY},
            {},
            "sshPrivateKey is protected by a passphrase, and there is no secret sshPrivateKeyPassphrase",
        ),
        (
            {"private_key": LOCKED_KEY, "passphrase": "wrong"},
            {},
            "sshPrivateKeyPassphrase does not open the SSH key from the secret sshPrivateKey",
        ),
        ({"private_key": PKCS8_KEY}, {}, "encrypted as PKCS #8"),
    ],
    ids=["no key", "no file", "no key's text", "no password", "locked", "wrong passphrase", "PKCS #8"],
)
def test_login_without_a_usable_key_or_password_is_refused(secrets, host, expected):
    with pytest.raises(InputError, match=expected):
        logins_for([host_entry("gpu-1", **host)], Secrets(**secrets))


@pytest.mark.parametrize(
    "data",
    [
        {"sshPrivateKey": "a key", "sudoPassword": "sesame"},
        # as `pulumi config --show-secrets --json` prints them
        {
            "k3s-gpu-sharing:sshPrivateKey": {"value": "a key", "secret": True},
            "k3s-gpu-sharing:sudoPassword": {"value": "sesame", "secret": True},
            "k3s-gpu-sharing:ssh": {
                "value": '{"user": "me"}',
                "objectValue": {"user": "me"},
                "secret": False,
            },
        },
    ],
    ids=["plain", "pulumi config"],
)
def test_secrets_are_read_from_json(data):
    assert read_secrets(json.dumps(data)) == Secrets("a key", "", "sesame")


@pytest.mark.parametrize("text", ["sesame", "[]", PRIVATE_KEY], ids=["a word", "a list", "a key"])
def test_secrets_in_another_form_are_refused_and_not_shown(text):
    with pytest.raises(InputError, match="pulumi config --show-secrets --json") as refusal:
        read_secrets(text)
    assert text not in str(refusal.value)
