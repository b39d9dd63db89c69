"""Machines download a release from a mirror that is good, slow, broken or gone."""

import hashlib
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from k3sgpu import timeouts
from k3sgpu.hosts import scripts
from tests.unit.hosts.machines import VERSION, Machine
from tests.unit.hosts.mirror import Mirror, mirror
from tests.unit.hosts.shells import SHELLS

BINARY = b"k3s" * 200_000
PATH = f"/{VERSION.replace('+', '%2B')}"
FILES = {
    f"{PATH}/k3s": BINARY,
    f"{PATH}/sha256sum-amd64.txt": f"{hashlib.sha256(BINARY).hexdigest()}  k3s\n".encode(),
    "/install.sh": b"#!/bin/sh\n",
}
ONE_TRY = {"DOWNLOAD_SLOW_SECONDS": 20, "DOWNLOAD_TRIES": 1}
"""Of a download that is given up at once. A busy computer may stand still for some seconds."""

Download = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    with mirror(tmp_path, monkeypatch) as server:
        server.files = dict(FILES)
        yield server


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


@pytest.fixture(params=["curl", "wget"])
def download(
    request: pytest.FixtureRequest, tmp_path: Path, machine: Machine, server: Mirror,
    monkeypatch: pytest.MonkeyPatch,
) -> Download:  # fmt: skip
    """Downloads the release on the machine, which has only one of the programs that can."""

    def run(**deadlines: int) -> subprocess.CompletedProcess[str]:
        for name, seconds in {**ONE_TRY, **deadlines}.items():
            monkeypatch.setitem(timeouts.SCRIPT_TIMEOUTS, name, seconds)
        return subprocess.run(
            ["sh", "-c", fetch_script(machine, server, request.param)],
            capture_output=True,
            text=True,
            timeout=60,
        )

    scripts.source.cache_clear()
    return run


def fetch_script(machine: Machine, server: Mirror, program: str) -> str:
    machine.release.mkdir(parents=True, exist_ok=True)
    pins = "SCRIPT_SHA256='' BINARY_SHA256_AMD64='' BINARY_SHA256_ARM64=''"
    (machine.release / "source").write_text(
        f"MIRROR={server.url}\nSCRIPT_URL={server.url}/install.sh\n{pins}\n"
    )
    scripts.source.cache_clear()
    variables = {"HOST": "gpu-1", "ROLE": "agent", "VERSION": VERSION, "NAME": "", "SHA256": ""}
    hidden = f"command() {{ [ $2 = {program} ]; }}; uname() {{ echo x86_64; }}\nenvironment=''\n"
    script = scripts.render("receive-release", **variables).replace(
        "\nlock_release\n", f"\n{hidden}lock_release\n"
    )
    return machine.with_own_paths(script)


def test_release_is_downloaded_and_checked(machine: Machine, download: Download):
    done = download()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (machine.release / "k3s").read_bytes() == BINARY
    assert (machine.release / "complete").read_text() == (machine.release / "source").read_text()
    assert not list(machine.release.glob("*.part")) and not (machine.release / "wgetrc").exists()


def test_missing_file_is_reported_with_the_cause(server: Mirror, download: Download):
    del server.files[f"{PATH}/k3s"]
    done = download()
    assert done.returncode == 1
    assert f"gpu-1: could not download {server.url}{PATH}/k3s: 0.0 MiB arrived in " in done.stderr
    assert "404" in done.stderr and "k3s.mirror" in done.stderr


def test_slow_mirror_is_reported_with_its_rate(machine: Machine, server: Mirror, download: Download):
    server.bytes_per_second = 100_000
    begin = time.monotonic()
    done = download(DOWNLOAD_SECONDS=3, DOWNLOAD_SLOW_SECONDS=2, DOWNLOAD_BYTES_PER_SECOND=200_000)
    assert done.returncode == 1 and time.monotonic() - begin < 15
    assert " s, 0.0" in done.stderr or " s, 0.1" in done.stderr
    assert "MiB arrived in " in done.stderr and "remedy: " in done.stderr
    assert "Operation too slow" in done.stderr or "not finished after 3 s" in done.stderr
    assert not (machine.release / "k3s").exists() and not (machine.release / "complete").exists()


def test_cut_connection_is_reported_and_the_next_run_downloads(
    machine: Machine, server: Mirror, download: Download
):
    server.cut_after = 300_000
    done = download()
    assert done.returncode == 1 and ": 0.3 MiB arrived in " in done.stderr
    assert not (machine.release / "k3s").exists()
    server.cut_after = -1
    assert download().returncode == 0 and (machine.release / "k3s").read_bytes() == BINARY


def test_cut_connection_is_tried_again(machine: Machine, server: Mirror, download: Download):
    server.cut_after, server.cuts = 300_000, 1
    assert download(DOWNLOAD_TRIES=2).returncode == 0
    assert (machine.release / "k3s").read_bytes() == BINARY


def test_changed_file_is_refused(machine: Machine, server: Mirror, download: Download):
    server.files[f"{PATH}/k3s"] = b"another"
    done = download()
    assert done.returncode == 1 and "has sha256" in done.stderr
    assert not (machine.release / "complete").exists()
    server.files[f"{PATH}/k3s"] = BINARY
    assert download().returncode == 0


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_downloads(machine: Machine, server: Mirror, shell: str):
    script = fetch_script(machine, server, "curl")
    done = subprocess.run([*shell.split(), "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "") and (machine.release / "complete").exists()
    assert shlex.split(done.stdout) == []


def test_full_disk_is_reported_as_such(machine: Machine, download: Download):
    machine.release.mkdir(parents=True)
    (machine.release / "k3s.part").symlink_to("/dev/full")
    done = download()
    assert done.returncode == 1 and f"gpu-1: could not write {machine.release}/k3s.part (" in done.stderr
    assert "is the disk full" in done.stderr
