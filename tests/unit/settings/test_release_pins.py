"""What `make pins` reads from a release, and what it leaves out rather than invent."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from k3sgpu.cli.main import main
from k3sgpu.settings.files import release_pins
from k3sgpu.settings.models.k3s import K3s

VERSION = "v1.36.2+k3s1"
SCRIPT = b"#!/bin/sh\necho k3s\n"
AMD64, ARM64 = "a" * 64, "b" * 64


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A mirror's folder of one release."""
    folder = tmp_path / VERSION
    folder.mkdir()
    (folder / "install.sh").write_bytes(SCRIPT)
    (folder / "sha256sum-amd64.txt").write_text(f"{'c' * 64}  k3s-airgap-images-amd64.tar.gz\n{AMD64}  k3s\n")
    (folder / "sha256sum-arm64.txt").write_text(
        f"{ARM64}  k3s-arm64\n{'d' * 64}  k3s-airgap-images-arm64.tar\n"
    )
    return folder


def test_printed_lines_are_valid_in_a_stack_file(release: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["pins", VERSION, "--mirror", f"file://{release.parent}"]) == 0
    printed = capsys.readouterr()
    k3s = K3s.model_validate(yaml.safe_load(printed.out)["k3s-gpu-sharing:k3s"])
    assert k3s.version == VERSION and k3s.mirror == f"file://{release.parent}"
    assert k3s.install_script_sha256 == hashlib.sha256(SCRIPT).hexdigest()
    assert k3s.binary_sha256 == {"amd64": AMD64, "arm64": ARM64}
    assert printed.err == ""


def test_unreadable_hash_is_left_out_with_the_reason(release: Path, capsys: pytest.CaptureFixture[str]):
    (release / "install.sh").write_text("<html>Please log in</html>")
    (release / "sha256sum-amd64.txt").unlink()
    (release / "sha256sum-arm64.txt").write_text(f"{AMD64}  k3s\n")
    assert main(["pins", VERSION, "--mirror", f"file://{release.parent}"]) == 1
    printed = capsys.readouterr()
    assert "Sha256" not in printed.out and "a" * 64 not in printed.out
    for words in (
        "left out: installScriptSha256: file://",
        "expected k3s's install script",
        "sha256sum-amd64.txt: <urlopen error [Errno 2] No such file",
        "left out: binarySha256.arm64: ",
        f"names k3s, expected k3s-arm64: is {VERSION} a release of k3s?",
    ):
        assert words in printed.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["v1.36"], ["k3s.version", '"v1.36"', "vX.Y.Z+k3sN"]),
        ([VERSION, "--mirror", "http://example.org"], ["k3s.mirror", "https://"]),
    ],
)
def test_invalid_argument_is_refused(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
):
    assert main(["pins", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and all(word in printed.err for word in words)


@contextmanager
def served(status: int, body: bytes = b"", location: str | None = None) -> Iterator[str]:
    """The address of a server that answers everything like this."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_response_that_is_no_release_file_is_refused():
    with served(200, SCRIPT) as url:
        assert release_pins.read(url) == SCRIPT
    with (
        served(404) as url,
        pytest.raises(release_pins.ReadError, match="HTTP Error 404: Not Found; check that"),
    ):
        release_pins.read(url)
    with (
        served(200, b"x" * (release_pins.LARGEST + 1)) as url,
        pytest.raises(release_pins.ReadError, match="more than 4096 KiB"),
    ):
        release_pins.read(url)
    with pytest.raises(release_pins.ReadError, match="Connection refused"):
        release_pins.read(url)
    with (
        served(302, location=url) as other,
        pytest.raises(release_pins.ReadError, match="Connection refused"),
    ):
        release_pins.read(other)


def test_release_urls_contain_its_tag():
    requested: list[str] = []

    def read(url: str) -> bytes:
        requested.append(url)
        raise release_pins.ReadError(url)

    assert release_pins.pins(K3s(version=VERSION), read)[:2] == (None, {})
    assert requested == [
        f"https://raw.githubusercontent.com/k3s-io/k3s/{VERSION}/install.sh",
        "https://github.com/k3s-io/k3s/releases/download/v1.36.2%2Bk3s1/sha256sum-amd64.txt",
        "https://github.com/k3s-io/k3s/releases/download/v1.36.2%2Bk3s1/sha256sum-arm64.txt",
    ]
