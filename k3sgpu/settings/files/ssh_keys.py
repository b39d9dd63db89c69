"""Read the SSH keys of a stack: host keys from the stack file or known_hosts, private keys from files."""

import shlex
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import asyncssh

from k3sgpu.problem import Problem, SettingsError
from k3sgpu.settings.files.regular_file import read_text
from k3sgpu.settings.models.nodes import SSH_PORT, Endpoint
from k3sgpu.settings.models.resolved import Settings

HOST_KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
"""The types of host keys that are accepted, the preferred one first (HostKey in models/ssh.py says why)."""

PASSPHRASE = "sshPrivateKeyPassphrase"
PKCS8_HEADER = "BEGIN ENCRYPTED PRIVATE KEY"


@dataclass(frozen=True)
class SshAccess:
    """The keys for the login to one host: its host key ("ssh-ed25519 AAAA…") and the private key's text.

    `private_key` is None where the SSH agent or the secret sshPrivateKey is used; it is not part of repr().
    `bastion` has the keys of the jump host; None where the host is reached directly.
    """

    host_key: str
    private_key: str | None = field(repr=False)
    bastion: "SshAccess | None" = None


def resolve_ssh(settings: Settings, base_dir: str | Path) -> dict[str, SshAccess]:
    """The keys of every host, by node name. Relative paths start at `base_dir`, ~ at the home directory.

    Raises SettingsError with all problems: a host without a known key, an unusable known_hosts or key file.
    """
    known = _known_hosts(settings, Path(base_dir))
    problems = [known] if isinstance(known, Problem) else []

    def resolve(end: Endpoint) -> SshAccess | None:
        host_key, private_key = _host_key(end, settings, known), _private_key(end, settings, Path(base_dir))
        found = [one for one in (host_key, private_key) if isinstance(one, Problem)]
        problems.extend(found)
        if isinstance(host_key, Problem) or isinstance(private_key, Problem):
            return None
        return SshAccess(host_key, private_key)

    bastion = resolve(settings.bastion) if settings.bastion else None
    access = {}
    for node in settings.machines:
        if reached := resolve(node):
            access[node.name] = replace(reached, bastion=bastion) if settings.jump(node) else reached
    if problems:
        raise SettingsError(dict.fromkeys(problems))  # several hosts may share a file: report it once
    return access


@cache
def is_encrypted(private_key: str) -> bool:
    """Whether a private key has a passphrase. False for a text that is no private key."""
    try:
        asyncssh.import_private_key(private_key)
    except asyncssh.KeyEncryptionError:
        return True
    except asyncssh.KeyImportError as error:
        return "assphrase" in str(error)
    return False


@cache
def shortest_form(private_key: str) -> str:
    """The same private key in the shortest form that Pulumi's command plugin reads.

    An Ed25519 key has 400 characters in OpenSSH's own format and 119 as PKCS #8, and every Command has it in
    the state twice. A key with a passphrase, and a text that is no key, stay as they are.
    """
    try:
        short = asyncssh.import_private_key(private_key).export_private_key("pkcs8-pem").decode()
    except (asyncssh.KeyImportError, asyncssh.KeyExportError):
        return private_key
    return min(short, private_key, key=len)


def resolve_path(path: str, base_dir: Path) -> Path:
    """The path that a stack file names: relative to `base_dir`, ~ for the home directory."""
    return Path.home() / path[2:] if path.startswith("~/") else base_dir / path


def _known_hosts(settings: Settings, base_dir: Path) -> asyncssh.SSHKnownHosts | Problem:
    """The known_hosts file. Empty where it is missing or the stack file has every host's key."""
    path = resolve_path(settings.ssh.known_hosts_file, base_dir)
    ends = [*settings.machines, *([settings.bastion] if settings.bastion else [])]
    if all(end.host_key for end in ends):
        return asyncssh.SSHKnownHosts()
    try:
        return asyncssh.import_known_hosts(read_text(path))
    except FileNotFoundError:
        return asyncssh.SSHKnownHosts()
    except (OSError, ValueError) as error:
        return Problem(
            "ssh.knownHostsFile",
            f"{path}: {error.strerror if isinstance(error, OSError) else error}",
            "a readable file in the format of known_hosts",
            "correct the file, or name another one",
        )


def _host_key(end: Endpoint, settings: Settings, known: asyncssh.SSHKnownHosts | Problem) -> str | Problem:
    if end.host_key:
        return _key_of_stack_file(end, end.host_key)
    if isinstance(known, Problem):
        return known
    key, revoked = trusted_key(known, end.address, end.port)
    if key:
        return key
    file = settings.ssh.known_hosts_file
    found = "only a key marked @revoked" if revoked else "no host key"
    written = f"~/{shlex.quote(file[2:])}" if file.startswith("~/") else shlex.quote(file)
    return Problem(
        end.title,
        f"{found} for {end.address} port {end.port} in {file}",
        "a host key: without it the host's identity cannot be checked",
        f"{_scan(end, settings)} >> {written}\n"
        "compare the fingerprint first: the same scan, piped into `ssh-keygen -lf -`, must print what\n"
        "`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints on the host itself",
    )


def trusted_key(known: asyncssh.SSHKnownHosts, address: str, port: int) -> tuple[str, bool]:
    """The preferred key of a host in known_hosts, "" without one, and whether a key of it is revoked."""
    keys, _, revoked, *_ = known.match(address, "", None if port == SSH_PORT else port)
    trusted = {key.get_algorithm(): key for key in reversed(keys) if key not in revoked}
    found = next((trusted[kind] for kind in HOST_KEY_TYPES if kind in trusted), None)
    return export_key(found) if found else "", bool(revoked)


def _scan(end: Endpoint, settings: Settings) -> str:
    """The command that prints the host key, run from a computer that reaches the host."""
    scan, jump = f"ssh-keyscan -p {end.port} -t ed25519 {end.address}", settings.jump(end)
    return f"ssh ssh://{jump} {scan}" if jump else scan


def _key_of_stack_file(end: Endpoint, text: str) -> str | Problem:
    try:
        return export_key(asyncssh.import_public_key(text))
    except asyncssh.KeyImportError as error:
        return Problem(
            f"{end.place}.hostKey",
            f"no public key: {error}",
            "the host's public host key, ssh-ed25519 AAAA…",
            "write the first two words of the host's /etc/ssh/ssh_host_ed25519_key.pub",
        )


def export_key(key: asyncssh.SSHKey) -> str:
    """Type and base64 text of a public key, without its comment."""
    return " ".join(key.export_public_key("openssh").decode().split()[:2])


def _private_key(end: Endpoint, settings: Settings, base_dir: Path) -> str | Problem | None:
    """The text of the key file; None where the key comes from an agent or a secret."""
    if not end.private_key_file:
        return None
    path = resolve_path(end.private_key_file, base_dir)
    expected = "a readable private key"
    try:
        text = read_text(path)
        encrypted = is_encrypted(text) or not asyncssh.import_private_key(text)
    except OSError as error:
        found = f"{path}: {error.strerror}"
        remedy = "name the file of a private key, or create one: ssh-keygen -t ed25519 -N '' -f FILE"
    except ValueError:  # KeyImportError, or bytes that are not UTF-8
        found = f"{path}: not a private key (its contents are not shown)"
        remedy = "name the private key, not its .pub; ssh-keygen -p -f FILE rewrites an old format"
    else:
        if not encrypted or (PASSPHRASE in settings.secrets and PKCS8_HEADER not in text):
            return text
        if PKCS8_HEADER in text:
            found = f"{path}: a private key encrypted as PKCS #8, which Pulumi's plugin cannot read"
            remedy = f"rewrite it: ssh-keygen -p -f {shlex.quote(str(path))}"
        else:
            found = f"{path}: a private key with a passphrase, and nobody can type it during a run"
            expected = f"a key without a passphrase, or the secret {PASSPHRASE}"
            remedy = (
                f"pulumi config set --secret {PASSPHRASE}\nor create a key without a passphrase: "
                f"ssh-keygen -t ed25519 -N '' -f {shlex.quote(f'{path}-deploy')}"
            )
    return Problem(end.key_place, found, expected, remedy)
