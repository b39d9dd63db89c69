"""The form of every secret is checked, and no message shows one."""

import asyncssh
import pytest

from k3sgpu import settings as s

KEY = asyncssh.generate_private_key("ssh-ed25519")
PLAIN = KEY.export_private_key().decode()
LOCKED = KEY.export_private_key(passphrase="sesame", rounds=1).decode()
PKCS8 = KEY.export_private_key("pkcs8-pem", passphrase="sesame").decode()
PUBLIC = KEY.export_public_key().decode()


@pytest.mark.parametrize(
    ("secrets", "found"),
    [
        ({"sshPrivateKey": "hidden"}, "no private key"),
        ({"sshPrivateKey": PLAIN[:80] + PLAIN[120:]}, "no private key"),
        ({"sshPrivateKey": " \n"}, "an empty secret"),
        ({"sshPrivateKey": PUBLIC}, "a public key"),
        ({"sshPrivateKey": LOCKED}, "with a passphrase"),
        ({"sshPrivateKey": PKCS8, "sshPrivateKeyPassphrase": "sesame"}, "PKCS #8"),
        ({"sshPrivateKey": LOCKED, "sshPrivateKeyPassphrase": "hidden"}, "does not open"),
        ({"sudoPassword": "hidden\nhidden"}, "several lines"),
        ({"sudoPassword": "hid\0den"}, "control characters"),
        ({"proxyPassword": "hidden\r\nhidden"}, "several lines"),
        ({"s3SecretKey": ""}, "an empty secret"),
        ({"clusterKubeconfig": "hidden\0"}, "a NUL"),
        ({"registryCredentials": "[" * 100_000}, "another format"),
    ],
)
def test_secret_of_another_form_is_refused_and_not_shown(secrets: dict[str, str], found: str) -> None:
    with pytest.raises(s.SettingsError) as refused:
        s.check_secrets(secrets)
    (problem,) = refused.value.problems
    assert problem.where in secrets and found in problem.found
    assert "pulumi config set --secret" in problem.remedy
    assert not [text for text in (*secrets.values(), "hidden") if text.strip() and text in str(refused.value)]


def test_secrets_of_the_right_form_are_accepted() -> None:
    s.check_secrets({"sshPrivateKey": PLAIN + "\n", "sudoPassword": "päss word\n", "s3AccessKey": "AKIA"})
    s.check_secrets({"sshPrivateKey": LOCKED, "sshPrivateKeyPassphrase": "sesame\n"})
    s.check_secrets({"registryCredentials": '{"r:5000": {"username": "u", "password": "p"}}'})
    s.check_secrets({"clusterKubeconfig": "apiVersion: v1\n"})
