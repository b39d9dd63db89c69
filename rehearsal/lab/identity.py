"""The identity of a machine: its name, machine-id, host key, and who may log in."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path

from rehearsal.process import run

KEYGEN_SECONDS = 20


def private_key(state_dir: Path) -> Path:
    """The private key for root on all machines of the rehearsal in `state_dir`."""
    return state_dir / "id_ed25519"


def known_hosts(state_dir: Path) -> Path:
    """The known_hosts file of all machines of the rehearsal in `state_dir`."""
    return state_dir / "known_hosts"


def make_key(path: Path, comment: str) -> None:
    """Creates the key pair `path`, `path`.pub if it is missing; the private key has mode 0600."""
    public = path.with_name(f"{path.name}.pub")
    if not public.exists():  # it is written last
        path.unlink(missing_ok=True)
        run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path], timeout=KEYGEN_SECONDS
        )


def install(root: Path, name: str, authorized_key: str) -> None:
    """Writes the identity of a new machine `name` into `root`; an existing machine-id and host key stay."""
    write(root / "etc/hostname", f"{name}\n")
    write(root / "etc/resolv.conf", "")
    write(root / "root/.ssh/authorized_keys", authorized_key, mode=0o600)
    (root / "root/.ssh").chmod(0o700)
    machine_id = root / "etc/machine-id"
    if not machine_id.exists():
        write(machine_id, f"{uuid.uuid4().hex}\n", mode=0o444)
    make_key(root / "etc/ssh/ssh_host_ed25519_key", f"root@{name}")


def write_hosts(root: Path, name: str, addresses: Mapping[str, str]) -> None:
    """Writes /etc/hosts in `root`: all machines of the stack by name, and `name` itself."""
    lines = ["127.0.0.1 localhost", "::1 localhost"]
    lines += [f"{address} {host}" for host, address in sorted(addresses.items())]
    if name not in addresses:
        lines.append(f"127.0.1.1 {name}")
    write(root / "etc/hosts", "\n".join(lines) + "\n")


def host_key(root: Path) -> str:
    """The public host key of the machine with the root file system `root`: "ssh-ed25519 AAAA…"."""
    kind, key = (root / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[:2]
    return f"{kind} {key}"


def update_known_hosts(state_dir: Path, keys: Mapping[str, str | None]) -> None:
    """Sets the host keys of addresses in known_hosts; None removes an address."""
    path = known_hosts(state_dir)
    present = path.read_text().splitlines() if path.exists() else []
    kept = [line for line in present if line.split(" ", 1)[0] not in keys]
    lines = kept + [f"{address} {key}" for address, key in keys.items() if key]
    write(path, "".join(f"{line}\n" for line in sorted(lines)))


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Writes `text` to `path` unless it has this content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    path.chmod(mode)
