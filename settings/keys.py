"""SSH keys of a stack: host keys from the stack file or known_hosts, private keys from their files."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from .problem import Problem, SettingsError
from .stack import Node, Settings

PREFERENCE = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
"""Which of a machine's known keys to expect: the first of these that is known."""


@dataclass(frozen=True)
class SshAccess:
    """A machine's host key, as in known_hosts ("ssh-ed25519 AAAA…"), and the text of the private key file.

    `private_key` is None where the secret sshPrivateKey is used. It is not part of repr().
    """

    host_key: str
    private_key: str | None = field(repr=False)


def resolve_ssh(settings: Settings, base_dir: str | Path) -> dict[str, SshAccess]:
    """Host key and private key of every node, by node name. Relative paths count from `base_dir`, ~ is home.

    Raises SettingsError with all problems: a host without a known key, an unusable known_hosts or key file.
    """
    known = _known_hosts(settings, Path(base_dir))
    problems = [known] if isinstance(known, Problem) else []
    access = {}
    for node in settings.nodes:
        host_key, private_key = _host_key(node, settings, known), _private_key(node, settings, Path(base_dir))
        problems += [found for found in (host_key, private_key) if isinstance(found, Problem)]
        if not isinstance(host_key, Problem) and not isinstance(private_key, Problem):
            access[node.name] = SshAccess(host_key, private_key)
    if problems:
        raise SettingsError(dict.fromkeys(problems))  # one file may serve many hosts: said once
    return access


def _located(path: str, base_dir: Path) -> Path:
    return Path.home() / path[2:] if path.startswith("~/") else base_dir / path


def _known_hosts(settings: Settings, base_dir: Path) -> asyncssh.SSHKnownHosts | Problem:
    """A missing file knows nobody; nor is it read when the stack file names every host's key."""
    path = _located(settings.ssh.known_hosts_file, base_dir)
    if all(node.host_key for node in settings.nodes):
        return asyncssh.SSHKnownHosts()
    try:
        return asyncssh.import_known_hosts(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return asyncssh.SSHKnownHosts()
    except (OSError, ValueError) as error:
        return Problem(
            "ssh.knownHostsFile",
            f"{path}: {error.strerror if isinstance(error, OSError) else error}",
            "a readable file in the format of known_hosts",
            "correct the file, or name another one",
        )


def _host_key(node: Node, settings: Settings, known: asyncssh.SSHKnownHosts | Problem) -> str | Problem:
    if node.host_key:
        return _written_key(node, node.host_key)
    if isinstance(known, Problem):
        return known
    keys, _, revoked, *_ = known.match(node.address, "", None if node.port == 22 else node.port)
    trusted = {key.get_algorithm(): key for key in reversed(keys) if key not in revoked}
    for algorithm in PREFERENCE:
        if algorithm in trusted:
            return _exported(trusted[algorithm])
    file = settings.ssh.known_hosts_file
    written = file if file.startswith("~/") else shlex.quote(file)
    return Problem(
        f"host {node.name}",
        f"no host key for {node.address} port {node.port} in {file}",
        "a host key: without it nobody knows which machine answers",
        f"ssh-keyscan -p {node.port} -t ed25519 {node.address} >> {written}\n"
        "compare the fingerprint first: the same scan, piped into `ssh-keygen -lf -`, must print what\n"
        "`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints on the machine itself",
    )


def _written_key(node: Node, text: str) -> str | Problem:
    try:
        return _exported(asyncssh.import_public_key(text))
    except asyncssh.KeyImportError as error:
        return Problem(
            f"pools.{node.pool}.hosts.{node.name}.hostKey",
            f"no public key: {error}",
            "the machine's public host key, ssh-ed25519 AAAA…",
            "write the first two words of the machine's /etc/ssh/ssh_host_ed25519_key.pub",
        )


def _exported(key: asyncssh.SSHKey) -> str:
    """Type and body, without a comment."""
    return " ".join(key.export_public_key("openssh").decode().split()[:2])


def _private_key(node: Node, settings: Settings, base_dir: Path) -> str | Problem | None:
    """The text of the node's key file; None where it has none, so that the secret sshPrivateKey is used."""
    if not node.private_key_file:
        return None
    path = _located(node.private_key_file, base_dir)
    try:
        text = path.read_text(encoding="utf-8")
        asyncssh.import_private_key(text)
        return text
    except OSError as error:
        found = f"{path}: {error.strerror}"
        remedy = "name the file of a private key, or make one: ssh-keygen -t ed25519 -N '' -f FILE"
    except asyncssh.KeyEncryptionError:
        found, remedy = _with_passphrase(path)
    except ValueError as error:  # KeyImportError, or bytes that are no text
        if "Passphrase" in str(error):
            found, remedy = _with_passphrase(path)
        else:
            found = f"{path}: not a private key (its contents are not shown)"
            remedy = "name the private key, not its .pub; ssh-keygen -p -f FILE rewrites an old format"
    own = node.private_key_file != settings.ssh.private_key_file
    place = f"pools.{node.pool}.hosts.{node.name}.privateKeyFile" if own else "ssh.privateKeyFile"
    return Problem(place, found, "a readable private key without a passphrase", remedy)


def _with_passphrase(path: Path) -> tuple[str, str]:
    new = shlex.quote(f"{path}-deploy")
    return (
        f"{path}: a private key with a passphrase, which nobody is there to type",
        f"make a key for this purpose, without one: ssh-keygen -t ed25519 -N '' -f {new}",
    )
