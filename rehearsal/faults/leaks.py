"""Searches secrets where they must not be: output, state, logs, files and process lists."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from k3sgpu.settings import shortest_form
from rehearsal.faults import inject
from rehearsal.lab.fixture import StackFixture
from rehearsal.lab.machine_records import RunningMachine
from rehearsal.process import RehearsalError

EVERY_SECONDS = 0.1
SAMPLES_PER_PROCESS = (
    20  # samples for which a process is looked at: it may become another program after it has begun
)
MOST_BYTES = 16 * 1024 * 1024  # of a file; larger ones are programs
# File systems in memory; the rest of a machine is on its disk, which this computer sees.
IN_MEMORY = ("run", "tmp", "dev/shm")
# Files that may hold secrets, if only root can read them.
ALLOWED_PATHS = ("/etc/rancher/", "/var/lib/rancher/", "/etc/systemd/system/k3s")
TOKENS = "/var/lib/rancher/k3s/server/token", "/var/lib/rancher/k3s/server/agent-token"
# Pulumi reads its passphrase from the environment, which only the same user can read.
OWN_ENVIRONMENT = b"PULUMI_CONFIG_PASSPHRASE="


@dataclass(frozen=True)
class Secret:
    """A secret with every encoding that is searched for."""

    name: str
    forms: tuple[bytes, ...]

    @classmethod
    def of(cls, name: str, value: str) -> Secret:
        plain = value.encode()
        return cls(name, tuple(dict.fromkeys([plain, *base64_forms(plain), quote(value, safe="").encode()])))

    def is_in(self, content: bytes) -> bool:
        return any(form in content for form in self.forms)


def base64_forms(plain: bytes) -> Iterator[bytes]:
    """The part of `plain` in base64 that is the same at every offset modulo 3, in both alphabets."""
    for offset, first in ((0, 0), (1, 2), (2, 3)):
        text = base64.b64encode(bytes(offset) + plain)[first : (offset + len(plain)) * 4 // 3]
        yield text
        yield text.translate(bytes.maketrans(b"+/", b"-_"))


@dataclass
class Sampler:
    """Samples this computer's processes, which include the machines', and temporary files."""

    temporary: Path
    seen: dict[bytes, str] = field(default_factory=dict)
    """By content: where it was found."""
    files: dict[bytes, tuple[str, int]] = field(default_factory=dict)
    """By content of a temporary file: its name and mode."""
    _ages: dict[str, int] = field(default_factory=dict)
    _end: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._end.wait(EVERY_SECONDS):
            self.look()

    def look(self) -> None:
        """One sample."""
        pids = [entry.name for entry in os.scandir("/proc") if entry.name.isdigit()]
        self._ages = {pid: self._ages.get(pid, 0) + 1 for pid in pids}
        for pid in (pid for pid, age in self._ages.items() if age <= SAMPLES_PER_PROCESS):
            with contextlib.suppress(OSError):  # it has ended
                self.seen.setdefault(Path(f"/proc/{pid}/cmdline").read_bytes(), "process arguments")
                for variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    if not variable.startswith(OWN_ENVIRONMENT):
                        self.seen.setdefault(variable, "a process's environment")
        for path in files(self.temporary):
            with contextlib.suppress(OSError):
                self.files[path.read_bytes()] = (str(path), path.stat().st_mode)

    def stop(self) -> None:
        self._end.set()


@contextlib.contextmanager
def sampling(temporary: Path) -> Iterator[Sampler]:
    """A sampler that runs within the block; temporary files of this process go to `temporary` meanwhile."""
    temporary.mkdir(parents=True, exist_ok=True)
    sampler = Sampler(temporary)
    before, os.environ["TMPDIR"] = os.environ.get("TMPDIR"), str(temporary)
    tempfile.tempdir = None
    thread = threading.Thread(target=sampler.run, daemon=True)
    thread.start()
    try:
        yield sampler
    finally:
        sampler.stop()
        thread.join()
        tempfile.tempdir = None
        del os.environ["TMPDIR"]
        if before is not None:
            os.environ["TMPDIR"] = before


def secrets_of(stage: StackFixture, booted: Iterable[RunningMachine]) -> list[Secret]:
    """Every secret of a stack that exists by now."""
    values = {
        "the private key": read_line(stage.stack.state / "id_ed25519", 2),
        "the private key as Commands have it": short_key(stage.stack.state / "id_ed25519"),
        "the passphrase": read_line(stage.stack.folder / "engine/passphrase", 0),
        **{f"the secret {name}": value for name, value in stage.stack.secrets.items()},
    }
    with contextlib.suppress(FileNotFoundError):
        found = re.search(r"client-key-data: (\S+)", stage.stack.kubeconfig.read_text())
        key = base64.b64decode(found[1]).decode() if found else ""
        values["the administrator's key"] = "".join(key.splitlines()[1:2])
    for machine in booted:
        for path in TOKENS:
            with contextlib.suppress(OSError):
                token = (machine.root / path[1:]).read_text().strip().rpartition(":")[2]
                values[f"{machine.host}'s {Path(path).name}"] = token
    return [Secret.of(name, value) for name, value in values.items() if value]


def short_key(path: Path) -> str:
    """The part of a private key that is secret, in the form that connections have."""
    with contextlib.suppress(FileNotFoundError):
        return shortest_form(path.read_text()).splitlines()[1]
    return ""


def read_line(path: Path, number: int) -> str:
    """One line of a file; empty when it does not exist."""
    with contextlib.suppress(FileNotFoundError, IndexError):
        return path.read_text().splitlines()[number]
    return ""


def scan(stage: StackFixture, booted: Mapping[str, RunningMachine], sampler: Sampler) -> list[str]:
    """All places of a stack and its run with a secret that must not be there: one line each."""
    sought = secrets_of(stage, booted.values())
    texts = {"the engine's output": "\n".join(stage.output), "the engine's events": "\n".join(stage.events)}
    found = [leak for place, text in texts.items() for leak in leaks_in(text.encode(), sought, place)]
    for content, whose in list(sampler.seen.items()):
        found += leaks_in(content, sought, whose)
    for content, (name, mode) in list(sampler.files.items()):
        if mode & 0o077:
            found += leaks_in(content, sought, f"the temporary file {name}, mode {mode & 0o777:o}")
    found += leaks_in_files(
        stage.stack.state, sought, "this computer", allowed_on_this_computer(stage), skip="machines"
    )
    for machine in booted.values():
        found += leaks_on_machine(machine, sought)
    return list(dict.fromkeys(found))


def leaks_on_machine(machine: RunningMachine, sought: list[Secret]) -> list[str]:
    """Secrets on a machine's disk, in its memory file systems and its journal."""
    found = leaks_in_files(machine.folder / "upper", sought, machine.host, ALLOWED_PATHS)
    try:
        root = Path(f"/proc/{inject.leader(machine)}/root")
        journal = inject.inside(machine, "journalctl --no-pager --output cat")
    except RehearsalError:  # it is off
        return found
    found += leaks_in(journal.encode(), sought, f"{machine.host}: its journal")
    for folder in IN_MEMORY:
        found += leaks_in_files(root / folder, sought, machine.host, ALLOWED_PATHS, below=root)
    return found


def allowed_on_this_computer(stage: StackFixture) -> list[str]:
    """Files of this computer that may hold secrets."""
    here = stage.stack
    paths = [here.state / "id_ed25519", here.kubeconfig, here.folder / "engine/passphrase"]
    return [f"/{path.relative_to(here.state)}" for path in paths]


def leaks_in_files(
    folder: Path,
    sought: list[Secret],
    where: str,
    allowed: Iterable[str],
    below: Path | None = None,
    skip: str = "",
) -> list[str]:
    """Files below `folder` that hold a secret and are not in `allowed` (paths, or folders that end in /), or
    that
    others than root can read. Paths are relative to `below`. Folders with the name `skip` are left out."""
    found = []
    for path in files(folder, skip):
        name = f"/{path.relative_to(below or folder)}"
        with contextlib.suppress(OSError):
            status = path.stat()
            if status.st_size > MOST_BYTES or not status.st_size:
                continue
            leaks = leaks_in(path.read_bytes(), sought, f"{where}: {name}")
            if not name.startswith(tuple(allowed)):
                found += leaks
            elif leaks and (status.st_mode & 0o077 or status.st_uid):
                found += [
                    f"{leak}, mode {status.st_mode & 0o777:o} of user {status.st_uid}" for leak in leaks
                ]
    return found


def files(folder: Path, skip: str = "") -> Iterator[Path]:
    """Regular files below a folder, on its file system. Files that disappear meanwhile are skipped."""
    device = folder.stat().st_dev if folder.exists() else None
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != skip and same_device(Path(place, name), device)]
        for name in names:
            path = Path(place, name)
            if path.is_file() and not path.is_symlink():
                yield path


def same_device(folder: Path, device: int | None) -> bool:
    try:
        return folder.lstat().st_dev == device
    except OSError:
        return False


def leaks_in(content: bytes, sought: list[Secret], place: str) -> list[str]:
    """One line for each secret in `content`."""
    return [f"{secret.name} in {place}" for secret in sought if secret.is_in(content)]
