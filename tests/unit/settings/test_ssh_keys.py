"""Host keys and private keys: found, preferred, refused; never shown."""

import base64
import hashlib
import hmac
import shutil
import subprocess
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from k3sgpu import settings as s
from tests.data.stack_files import with_

ED25519, OTHER, LOGIN = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(3))
ECDSA = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
RSA = asyncssh.generate_private_key("ssh-rsa", key_size=1024)
LOGIN_TEXT = LOGIN.export_private_key().decode()


def public(key: asyncssh.SSHKey) -> str:
    """As in known_hosts, without a comment."""
    return " ".join(key.export_public_key().decode().split()[:2])


def hashed(host: str) -> str:
    """A name as ssh-keygen -H writes it."""
    salt = bytes(range(20))
    digest = hmac.new(salt, host.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


SERVER = f"10.0.0.11 {public(ED25519)}\n"


def resolved(
    folder: Path, known_hosts: str | None, changes: dict[str, Any] | None = None
) -> dict[str, s.SshAccess]:
    """With a good login key, unless something else lies there already."""
    if not (folder / "key").exists():
        (folder / "key").write_text(LOGIN_TEXT)
    if known_hosts is not None:
        (folder / "known").write_text(known_hosts)
    return s.resolve_ssh(s.parse(with_({"ssh/knownHostsFile": "known", **(changes or {})})), folder)


def refused(folder: Path, known_hosts: str | None, changes: dict[str, Any] | None = None) -> list[s.Problem]:
    """The problems."""
    with pytest.raises(s.SettingsError) as error:
        resolved(folder, known_hosts, changes)
    return list(error.value.problems)


def test_private_key_without_a_passphrase_is_shortened():
    for key in (LOGIN, ECDSA, RSA):
        text = key.export_private_key().decode()
        short = s.shortest_form(text)
        assert asyncssh.import_private_key(short).public_data == key.public_data and len(short) < len(text)
    assert len(s.shortest_form(LOGIN_TEXT)) == 119


def test_private_key_with_a_passphrase_keeps_its_form():
    locked = LOGIN.export_private_key(passphrase="sesame").decode()
    assert [s.shortest_form(text) for text in (locked, "none")] == [locked, "none"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (f"10.0.0.21 {public(ED25519)} a comment\n", ED25519),
        (f"{hashed('10.0.0.21')} {public(ED25519)}\n", ED25519),
        (f"gpu-1,10.0.0.21 {public(ED25519)}\n", ED25519),
        (f"10.0.0.* {public(ECDSA)}\n", ECDSA),
        (f"10.0.0.21 {public(RSA)}\n10.0.0.21 {public(ECDSA)}\n10.0.0.21 {public(ED25519)}\n", ED25519),
        (f"10.0.0.21 {public(RSA)}\n10.0.0.21 {public(ECDSA)}\n", ECDSA),
        (
            f"10.0.0.21 {public(OTHER)}\n@revoked 10.0.0.21 {public(OTHER)}\n10.0.0.21 {public(ECDSA)}\n",
            ECDSA,
        ),
        (f"10.0.0.21 ssh-unknown AAAA\n10.0.0.21 {public(ED25519)}\n", ED25519),
    ],
    ids=["plain", "hashed", "names", "pattern", "ed25519", "ecdsa", "revoked", "unknown-type"],
)
def test_host_key_comes_from_known_hosts(tmp_path: Path, lines: str, expected: asyncssh.SSHKey) -> None:
    access = resolved(tmp_path, SERVER + lines)
    assert access["gpu-1"].host_key == public(expected)
    assert access["server-1"].host_key == public(ED25519)
    assert access["gpu-1"].private_key == LOGIN_TEXT


def test_known_rsa_key_is_not_used(tmp_path: Path) -> None:
    """The provider would ask for its SHA-1 signatures, which today's servers refuse."""
    (problem,) = refused(tmp_path, f"{SERVER}10.0.0.21 {public(RSA)}\n")
    assert problem.where == "host gpu-1" and "ssh-keyscan -p 22 -t ed25519 10.0.0.21" in problem.remedy


@pytest.mark.parametrize("entry", ["[10.0.0.21]:2222", hashed("[10.0.0.21]:2222")])
def test_host_key_depends_on_the_port(tmp_path: Path, entry: str) -> None:
    host = {"pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "port": 2222}}
    lines = f"{SERVER}10.0.0.21 {public(OTHER)}\n{entry} {public(ED25519)}\n"
    assert resolved(tmp_path, lines, host)["gpu-1"].host_key == public(ED25519)
    (problem,) = refused(tmp_path, f"{SERVER}{entry} {public(ED25519)}\n")  # nothing for port 22
    assert problem.where == "host gpu-1"


def test_host_key_in_stack_file_overrides_known_hosts(tmp_path: Path) -> None:
    host = {"pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "hostKey": f"{public(OTHER)} root@gpu-1"}}
    access = resolved(tmp_path, f"{SERVER}10.0.0.21 {public(ED25519)}\n", host)
    assert access["gpu-1"].host_key == public(OTHER)


def test_known_hosts_is_not_read_when_stack_file_has_all_keys(tmp_path: Path) -> None:
    key = public(ED25519)
    hosts = {
        "pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "hostKey": key},
        "pools/control/hosts/server-1": {"address": "10.0.0.11", "hostKey": key},
    }
    assert {access.host_key for access in resolved(tmp_path, None, hosts).values()} == {key}


def test_unknown_host_gets_the_command_to_run(tmp_path: Path) -> None:
    host = {"pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "port": 2222}}
    (problem,) = refused(tmp_path, SERVER, host)
    assert problem.where == "host gpu-1"
    assert problem.remedy.splitlines()[0] == "ssh-keyscan -p 2222 -t ed25519 10.0.0.21 >> known"
    assert "compare the fingerprint first" in problem.remedy


def test_host_with_a_revoked_key_alone_gets_its_remedy(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, SERVER + f"@revoked 10.0.0.21 {public(OTHER)}\n")
    assert problem.found == "only a key marked @revoked for 10.0.0.21 port 22 in known"


def test_missing_known_hosts_file_is_empty(tmp_path: Path) -> None:
    assert [problem.where for problem in refused(tmp_path, None)] == ["host gpu-1", "host server-1"]


def test_unreadable_known_hosts_is_one_problem(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, "nonsense\n")
    assert problem.where == "ssh.knownHostsFile"


def test_invalid_host_key_is_refused(tmp_path: Path) -> None:
    host = {"pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "hostKey": "ssh-ed25519 AAAA"}}
    (problem,) = refused(tmp_path, SERVER, host)
    assert problem.where == "pools.rtx.hosts.gpu-1.hostKey"


def test_tilde_is_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "id").write_text(LOGIN_TEXT)
    known = f"{SERVER}10.0.0.21 {public(ED25519)}\n"
    (tmp_path / "known").write_text(known)
    changes = {"ssh/privateKeyFile": "~/id", "ssh/knownHostsFile": "~/known"}
    assert s.resolve_ssh(s.parse(with_(changes)), "/nowhere")["gpu-1"].host_key == public(ED25519)


def test_secret_private_key_gives_no_key_text(tmp_path: Path) -> None:
    (tmp_path / "known").write_text(f"10.0.0.* {public(ED25519)}\n")
    settings = s.parse(with_({"ssh": {"knownHostsFile": "known"}}), ["sshPrivateKey"])
    assert {access.private_key for access in s.resolve_ssh(settings, tmp_path).values()} == {None}


KNOWN = f"10.0.0.* {public(ED25519)}\n"


def test_missing_key_file_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "known").write_text(KNOWN)
    with pytest.raises(s.SettingsError) as error:
        s.resolve_ssh(s.parse(with_({"ssh/knownHostsFile": "known"})), tmp_path)
    (problem,) = error.value.problems
    assert problem.where == "ssh.privateKeyFile" and "No such file" in problem.found


def test_invalid_key_file_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2")
    (problem,) = refused(tmp_path, KNOWN)
    assert "not a private key" in problem.found and "hunter2" not in repr(problem)


def test_problem_names_the_hosts_own_key_file(tmp_path: Path) -> None:
    host = {"pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "privateKeyFile": "own"}}
    (tmp_path / "own").write_bytes(b"\xff")
    (problem,) = refused(tmp_path, KNOWN, host)
    assert problem.where == "pools.rtx.hosts.gpu-1.privateKeyFile"


@pytest.mark.parametrize("form", ["pkcs1-pem", "openssh"])
def test_key_with_passphrase_needs_the_passphrase_secret(tmp_path: Path, form: str) -> None:
    (tmp_path / "key").write_bytes(ECDSA.export_private_key(form, passphrase="hunter2"))
    (problem,) = refused(tmp_path, KNOWN)
    assert "passphrase" in problem.found and "pulumi config set --secret" in problem.remedy
    assert "BEGIN" not in repr(problem)
    settings = s.parse(with_({"ssh/knownHostsFile": "known"}), ["sshPrivateKeyPassphrase"])
    key = s.resolve_ssh(settings, tmp_path)["gpu-1"].private_key
    assert key and s.is_encrypted(key) and not s.is_encrypted(LOGIN_TEXT) and not s.is_encrypted("none")


def test_key_encrypted_as_pkcs8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "known").write_text(KNOWN)
    (tmp_path / "key").write_bytes(ECDSA.export_private_key("pkcs8-pem", passphrase="hunter2"))
    settings = s.parse(with_({"ssh/knownHostsFile": "known"}), ["sshPrivateKeyPassphrase"])
    with pytest.raises(s.SettingsError, match="PKCS #8"):
        s.resolve_ssh(settings, tmp_path)


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="no ssh-keygen to make such a key with")
def test_key_of_ssh_keygen_with_passphrase_is_refused(tmp_path: Path) -> None:
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "hunter2", "-f", tmp_path / "key"]
    subprocess.run(make, check=True, timeout=10)
    (problem,) = refused(tmp_path, KNOWN)
    assert "passphrase" in problem.found


def test_private_key_is_not_in_repr(tmp_path: Path) -> None:
    assert "PRIVATE KEY" not in repr(resolved(tmp_path, KNOWN))


BASTION = {"ssh/bastion": {"address": "bastion.example.org", "port": 2222, "user": "me"}}


@pytest.mark.parametrize("entry", ["[bastion.example.org]:2222", hashed("[bastion.example.org]:2222")])
def test_bastion_has_its_own_host_key(tmp_path: Path, entry: str) -> None:
    access = resolved(tmp_path, f"{KNOWN}{entry} {public(OTHER)}\n", BASTION)
    assert access["gpu-1"].host_key == public(ED25519)
    bastion = access["gpu-1"].bastion
    assert bastion and (bastion.host_key, bastion.private_key) == (public(OTHER), LOGIN_TEXT)


def test_unknown_bastion_gets_the_command_to_run(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, KNOWN, BASTION)
    assert problem.where == "ssh.bastion"
    assert "ssh-keyscan -p 2222 -t ed25519 bastion.example.org >> known" in problem.remedy


def test_unknown_host_behind_bastion_is_scanned_from_the_bastion(tmp_path: Path) -> None:
    problems = refused(tmp_path, f"[bastion.example.org]:2222 {public(OTHER)}\n", BASTION)
    assert [problem.where for problem in problems] == ["host gpu-1", "host server-1"]
    assert problems[0].remedy.startswith("ssh ssh://me@bastion.example.org:2222 ssh-keyscan -p 22 -t ed25519")


def test_host_that_is_the_bastion_is_reached_directly(tmp_path: Path) -> None:
    access = resolved(tmp_path, KNOWN, {"ssh/bastion": {"address": "10.0.0.11"}})
    assert access["server-1"].bastion is None
    assert access["gpu-1"].bastion


def test_host_inherits_login_from_pool_then_from_ssh() -> None:
    changes = {
        "ssh": {"user": "low", "privateKeyFile": "a", "bastion": {"address": "b"}},
        "pools/rtx/user": "mid",
        "pools/rtx/port": 2222,
        "pools/rtx/privateKeyFile": "b",
        "pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "user": "top", "nodeIp": "10.1.0.21"},
    }
    settings = s.parse(with_(changes))
    gpu, server = settings.nodes
    assert (gpu.user, gpu.port, gpu.private_key_file, gpu.node_ip) == ("top", 2222, "b", "10.1.0.21")
    assert gpu.key_place == "pools.rtx.privateKeyFile"
    assert (server.user, server.port, server.private_key_file, server.node_ip) == (
        "low",
        22,
        "a",
        "10.0.0.11",
    )
    # Only what is the bastion's own: the pools' port is not its.
    assert settings.bastion and (settings.bastion.user, settings.bastion.port) == ("low", 22)
    assert settings.jump(gpu) == "low@b:22"
