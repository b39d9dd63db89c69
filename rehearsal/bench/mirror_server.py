"""The server of a mirror (mirror.py): `python -m rehearsal.bench.mirror_server`, until its stdin closes.

It answers over HTTPS for the paths below which k3s's releases are published:

    /k3s-io/k3s/releases/download/VERSION/FILE    github.com
    /k3s-io/k3s/VERSION/install.sh                raw.githubusercontent.com
    /                                             get.k3s.io: the install script
"""

import argparse
import re
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from typing import Any
from urllib.parse import unquote

CHUNK = 1 << 18
SECONDS = 60  # a connection may be silent
FILES = re.compile(r"/k3s-io/k3s/(?:releases/download/)?(v[0-9.]+\+k3s[0-9]+)/([a-z0-9.-]+)")
RANGE = re.compile(r"bytes=([0-9]{1,18})-")


def file_of(folder: Path, path: str) -> Path | None:
    """The file below `folder` (VERSION/FILE) that a URL's path means, if it exists."""
    if path == "/":
        return next(iter(sorted(folder.glob("*/install.sh"))), None)
    match = FILES.fullmatch(unquote(path))
    found = folder / match[1] / match[2] if match else None
    return found if found and found.is_file() else None


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD, also for the rest of a file."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self) -> None:
        """Sends the file."""
        file = file_of(self.server.folder, self.path)
        if file is None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        size = file.stat().st_size
        match = RANGE.fullmatch(self.headers.get("Range", ""))
        start = min(int(match[1]), size) if match else 0
        self.send_response(206 if match else 200)
        if match:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(size - start))
        self.end_headers()
        if self.command == "HEAD":
            return
        with file.open("rb") as content:
            content.seek(start)
            while chunk := content.read(CHUNK):
                self.wfile.write(chunk)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Prints nothing."""


class Server(ThreadingHTTPServer):
    """One thread for each connection, which begins with its handshake."""

    request_queue_size = 256
    daemon_threads = True

    def __init__(self, address: tuple[str, int], folder: Path, certificate: Path) -> None:
        super().__init__(address, Handler)
        self.folder = folder
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)

    def get_request(self) -> tuple[socket, Any]:
        """Accepts a connection."""
        plain, peer = super().get_request()
        plain.settimeout(SECONDS)
        return self.context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), peer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores a client that went away."""


def main() -> None:
    """Says "ready" on stdout when it listens."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--certificate", type=Path, required=True, help="with its key, as PEM")
    options = parser.parse_args()
    server = Server((options.address, 443), options.folder, options.certificate)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
