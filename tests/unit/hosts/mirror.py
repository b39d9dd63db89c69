"""An HTTPS server in this process that stands for a mirror of k3s's releases, a slow or a broken one too."""

import contextlib
import datetime
import ipaddress
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

CHUNK = 16 * 1024


@dataclass
class Mirror:
    """`files` by path, and how it answers."""

    port: int
    files: dict[str, bytes] = field(default_factory=dict)
    bytes_per_second: int = 0
    """0: as fast as it can."""
    cut_after: int = -1
    """After so many bytes it closes the connection. -1: it does not."""
    cuts: int = 1000
    """How many connections."""
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def wait_for_requests(self, number: int) -> None:
        """Waits until it has been asked so often."""
        end = time.monotonic() + 20
        while len(self.requests) < number and time.monotonic() < end:
            time.sleep(0.05)
        assert len(self.requests) == number, self.requests


@contextlib.contextmanager
def mirror(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """A running mirror, whose certificate curl and wget accept."""
    certificate = _certificate(folder)
    (folder / "wgetrc").write_text(f"ca_certificate = {certificate}\n")
    monkeypatch.setenv("CURL_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("SYSTEM_WGETRC", str(folder / "wgetrc"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    _Handler.mirror = Mirror(server.server_port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield _Handler.mirror
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    mirror: Mirror

    def do_GET(self) -> None:
        mirror = self.mirror
        mirror.requests.append(self.path)
        content = mirror.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):
            for start in range(0, len(content), CHUNK):
                if mirror.cuts and 0 <= mirror.cut_after <= start:
                    mirror.cuts -= 1
                    return
                self.wfile.write(content[start : start + CHUNK])
                if mirror.bytes_per_second:
                    time.sleep(CHUNK / mirror.bytes_per_second)

    def log_message(self, format: str, *args: object) -> None:
        pass


def _certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mirror")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "mirror.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return file
