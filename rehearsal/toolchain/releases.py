"""Programs as their vendors release them, for computers that reach the vendors. Others build them."""

from __future__ import annotations

import hashlib
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rehearsal.process import RehearsalError
from rehearsal.progress import Progress, duration
from rehearsal.toolchain import cache, golang
from rehearsal.toolchain.golang import KUBERNETES_VERSION, Go, Program

ANSWER_SECONDS = 5  # a vendor that does not answer for so long is taken as not reachable
CHUNK = 1 << 20


@dataclass(frozen=True)
class Release:
    """A released command for x86-64, with its address and SHA-256.

    Without `sha256` the file is compared with the checksum that its vendor has at the address with .sha256.
    """

    command: str
    address: str
    sha256: str = ""


KUBERNETES_ADDRESS = f"https://dl.k8s.io/release/{KUBERNETES_VERSION}/bin/linux/amd64"
# By module. The hash of the scheduler was not to be had where this was written.
RELEASES: dict[str, tuple[Release, ...]] = {
    golang.KUBERNETES.module: (
        Release(
            "kube-apiserver",
            f"{KUBERNETES_ADDRESS}/kube-apiserver",
            "6770be17296ef36b656ad84e52b043007fb9a47ba0445c224097323291b1b33b",
        ),
        Release(
            "kube-controller-manager",
            f"{KUBERNETES_ADDRESS}/kube-controller-manager",
            "6332e45474baf6362f50394d8f7c6002274db04d68fe51dbe2229ef5c0b21e3c",
        ),
        Release("kube-scheduler", f"{KUBERNETES_ADDRESS}/kube-scheduler"),
        Release(
            "kubectl",
            f"{KUBERNETES_ADDRESS}/kubectl",
            "1e9045ec32bea85da43de85f0065358529ea7c7a152eca78154fba5b58c27d82",
        ),
    ),
    golang.KWOK.module: (
        Release(
            "kwok",
            "https://github.com/kubernetes-sigs/kwok/releases/download/v0.8.0/kwok-linux-amd64",
            "f5a4385a2ae1b9dd7f8acae18e002a75c0ebba124ae9d7259aa8dadb50711f46",
        ),
    ),
}


def is_there(program: Program, go: Go) -> bool:
    """Whether `program` is in the cache, released or built."""
    return golang.is_built(program, go) or place_of(program).is_dir()


def place_of(program: Program) -> Path:
    """The folder in the cache for the released commands of `program`."""
    return cache.place_of(entry_name(program), key(program))


def entry_name(program: Program) -> str:
    """The name of the cache's entry with the released commands of `program`."""
    return f"released-{program.module}"


def key(program: Program) -> str:
    """A hash of what is downloaded."""
    return cache.digest(*(text for one in RELEASES[program.module] for text in (one.address, one.sha256)))


def prepare(program: Program, progress: Progress) -> Path:
    """The folder with the commands of `program`: from the cache, from its vendor, or built now."""
    go = golang.toolchain(progress)
    if golang.is_built(program, go):
        return golang.build(program, go, progress)
    files = RELEASES[program.module]

    def fetch(place: Path) -> None:
        fetch_all(files, place, program.seconds)

    what = f"fetching {program.module} from its vendor"
    try:
        return cache.entry(entry_name(program), key(program), fetch, progress, what)
    except RehearsalError as error:
        progress.note(f"  {program.module} is built, because its release cannot be fetched: {error}")
    return golang.build(program, go, progress)


def fetch_all(files: Sequence[Release], place: Path, seconds: float) -> None:
    """Downloads `files` into the folder `place`, in at most `seconds`: longer than a build is of no use."""
    deadline = time.monotonic() + seconds
    for file in files:
        wanted = file.sha256 or published_checksum(file)
        found = download(file.address, place / file.command, deadline)
        if found != wanted:
            raise RehearsalError(f"{file.address}: found a file with SHA-256 {found}, expected {wanted}")
        (place / file.command).chmod(0o755)


def published_checksum(file: Release) -> str:
    """The SHA-256 that the vendor publishes beside the file."""
    address = f"{file.address}.sha256"
    try:
        with urllib.request.urlopen(address, timeout=ANSWER_SECONDS) as answer:
            return answer.read(200).decode("ascii", "replace").partition(" ")[0].strip()
    except (OSError, ValueError) as error:
        raise RehearsalError(f"{address}: {reason(error)}") from None


def download(address: str, path: Path, deadline: float) -> str:
    """Writes what is at `address` to `path`, until `deadline`. Returns its SHA-256."""
    sha = hashlib.sha256()
    began = time.monotonic()
    try:
        with urllib.request.urlopen(address, timeout=ANSWER_SECONDS) as answer, path.open("wb") as stream:
            while chunk := answer.read(CHUNK):
                stream.write(chunk)
                sha.update(chunk)
                if time.monotonic() > deadline:
                    arrived = stream.tell() / CHUNK
                    took = duration(time.monotonic() - began)
                    raise RehearsalError(f"{address}: {arrived:.1f} MiB in {took}, which is too slow")
    except (OSError, ValueError) as error:
        raise RehearsalError(f"{address}: {reason(error)}") from None
    return sha.hexdigest()


def reason(error: Exception) -> str:
    """Why a request failed, in a few words."""
    if isinstance(error, urllib.error.HTTPError):
        return f"answered {error.code} {error.reason}"
    return str(error.reason if isinstance(error, urllib.error.URLError) else error) or type(error).__name__
