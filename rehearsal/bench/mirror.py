"""A mirror of k3s's releases for all contenders, over HTTPS, with a release of real size and limited rates.

It has an address in the machines' network. On the machines, the names from which k3s is downloaded lead
there, and its certificate is trusted: every contender downloads unchanged, from where it does by default.
"""

import hashlib
import platform
import random
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rehearsal.lab import network
from rehearsal.lab.engine import ROOT
from rehearsal.lab.machine_records import PREFIX, RunningMachine
from rehearsal.process import RehearsalError, run
from rehearsal.toolchain.toolbox import RELEASE_FILES, Tools

NAME, ADDRESS = f"{PREFIX}mirror", "10.77.3.1"
NAMES = ("github.com", "raw.githubusercontent.com", "get.k3s.io")
RELEASE_MIB = 70
MACHINE_MEGABITS, MIRROR_MEGABITS = 100, 1000
RATES = (
    f"a k3s binary of {RELEASE_MIB} MiB from one HTTPS server in the machines' network, which sends at most"
    f" {MIRROR_MEGABITS / 1000:g} Gbit/s; each machine receives at most {MACHINE_MEGABITS} Mbit/s"
)
START_SECONDS = 20
BUNDLE = Path("etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Mirror:
    """A running mirror."""

    authority: str
    """The certificate of its authority, as PEM."""
    authority_hash: str
    """OpenSSL's name for that certificate in a folder of certificates."""
    pins: dict[str, Any]
    """The keys of `k3s` in a stack file that pin its release."""

    def attach(self, machines: Iterable[RunningMachine]) -> None:
        """Makes running machines use the mirror, at a limited rate. A second call changes nothing."""
        for one in machines:
            add(one.root / "etc/hosts", f"{ADDRESS} {' '.join(NAMES)}\n")
            add(one.root / BUNDLE, self.authority)
            (one.root / BUNDLE.parent / f"{self.authority_hash}.0").write_text(self.authority)
            network.limit_received(one.name, MACHINE_MEGABITS)


@contextmanager
def limited_mirror(tools: Tools, version: str) -> Iterator[Mirror]:
    """A mirror of one release, until the block ends. Raises RehearsalError when it does not start."""
    with tempfile.TemporaryDirectory(prefix="k3s-mirror-") as name:
        folder = Path(name)
        pins = make_release(tools.releases / version, folder / "release" / version)
        certificate = folder / "server.pem"
        authority = make_certificates(certificate)
        named = ["chroot", str(tools.rootfs), "openssl", "x509", "-noout", "-subject_hash"]
        network.make_bridge()
        network.connect(NAME, ADDRESS)
        try:
            network.limit_sent(NAME, MIRROR_MEGABITS)
            with serving(folder / "release", certificate):
                yield Mirror(authority, run(named, timeout=START_SECONDS, stdin=authority).strip(), pins)
        finally:
            network.disconnect(NAME)
            network.remove_unused_bridge()


@contextmanager
def serving(folder: Path, certificate: Path) -> Iterator[None]:
    """The server as a process in the mirror's network namespace; it ends with this process at the latest."""
    where = ["--address", ADDRESS, "--folder", str(folder), "--certificate", str(certificate)]
    command = ["ip", "netns", "exec", NAME, sys.executable, "-m", "rehearsal.bench.mirror_server", *where]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        try:
            if not select.select([process.stdout], [], [], START_SECONDS)[0] or not process.stdout.readline():
                raise RehearsalError(
                    f"the mirror did not start within {START_SECONDS} s; read its output above"
                )
            yield
        finally:
            process.stdin.close()
            process.wait(START_SECONDS)


def make_release(source: Path, folder: Path) -> dict[str, Any]:
    """Copies a release, with a k3s of real size, and returns its pins.

    The stand-in is smaller than k3s, and says its version on its last line. What is put in between is random,
    so that nothing compresses it.
    """
    folder.mkdir(parents=True)
    binary, checksums = RELEASE_FILES[platform.machine()]
    content = (source / binary).read_bytes()
    last = content[content.rindex(b"\n", 0, -1) :]
    content += random.Random(0).randbytes((RELEASE_MIB << 20) - len(content) - len(last)) + last
    (folder / binary).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    (folder / checksums).write_text(f"{digest}  {binary}\n")
    shutil.copyfile(source / "install.sh", folder / "install.sh")
    architecture = checksums.removeprefix("sha256sum-").removesuffix(".txt")
    script = hashlib.sha256((folder / "install.sh").read_bytes()).hexdigest()
    return {"installScriptSha256": script, "binarySha256": {architecture: digest}}


def make_certificates(server: Path) -> str:
    """Writes a certificate for NAMES with its key, and returns its authority's certificate."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _certificate("rehearsal's mirror", authority_key, authority_key, authority=True)
    ours = _certificate("rehearsal's mirror, server", key, authority_key, authority=False)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    server.write_bytes(private + ours.public_bytes(serialization.Encoding.PEM))
    return authority.public_bytes(serialization.Encoding.PEM).decode()


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: ec.EllipticCurvePrivateKey, *, authority: bool
) -> x509.Certificate:
    now = datetime.now(UTC)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rehearsal's mirror")])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(_usage(authority), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in NAMES]), critical=False)
        .sign(issuer, hashes.SHA256())
    )


def _usage(authority: bool) -> x509.KeyUsage:
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign")
    unused = dict.fromkeys((*others, "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, **unused)


def add(file: Path, text: str) -> None:
    """Appends `text` to `file`, unless it has it."""
    content = file.read_text()
    if text not in content:
        file.write_text(content + text)
