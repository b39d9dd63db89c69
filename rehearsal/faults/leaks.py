"""Where secrets must not be: what was said, stored, logged, left in files or shown in process lists."""

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

from rehearsal.faults import inject
from rehearsal.lab.fixture import Stage
from rehearsal.lab.machine_records import Booted
from rehearsal.process import RehearsalError

EVERY_SECONDS = 0.1
YOUNG = 20  # samples for which a process is looked at: it may become another program after it has begun
MOST_BYTES = 16 * 1024 * 1024  # of a file; what is larger are programs
# The rest of a machine's file system is its disk, which this computer sees.
IN_MEMORY = ("run", "tmp", "dev/shm")
# What is meant to hold secrets, and is root's alone.
KEEPERS = ("/etc/rancher/", "/var/lib/rancher/", "/etc/systemd/system/k3s")
TOKENS = "/var/lib/rancher/k3s/server/token", "/var/lib/rancher/k3s/server/agent-token"
# Pulumi's own way to be told it; only the same user can read a process's environment.
OWN_ENVIRONMENT = b"PULUMI_CONFIG_PASSPHRASE="


@dataclass(frozen=True)
class Sought:
    """A secret, in every form that it is looked for in."""

    name: str
    forms: tuple[bytes, ...]

    @classmethod
    def of(cls, name: str, value: str) -> Sought:
        plain = value.encode()
        return cls(name, tuple(dict.fromkeys([plain, *encoded(plain), quote(value, safe="").encode()])))

    def is_in(self, content: bytes) -> bool:
        return any(form in content for form in self.forms)


def encoded(plain: bytes) -> Iterator[bytes]:
    """What is the same of `plain` in base64 wherever it begins in a text, in both alphabets."""
    for offset, first in ((0, 0), (1, 2), (2, 3)):
        text = base64.b64encode(bytes(offset) + plain)[first : (offset + len(plain)) * 4 // 3]
        yield text
        yield text.translate(bytes.maketrans(b"+/", b"-_"))


@dataclass
class Sampler:
    """Looks at the process list of this computer, the machines' among it, and at temporary files, all the
    time."""

    temporary: Path
    seen: dict[bytes, str] = field(default_factory=dict)
    """By content: whose it was."""
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
        for pid in (pid for pid, age in self._ages.items() if age <= YOUNG):
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
    """A sampler for as long as the block runs; temporary files of this process and its own go to
    `temporary` meanwhile."""
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


def secrets(stage: Stage, booted: Iterable[Booted]) -> list[Sought]:
    """Every secret of a stage, as far as it has come into being."""
    values = {
        "the private key": line(stage.site.state / "id_ed25519", 2),
        "the passphrase": line(stage.site.folder / "engine/passphrase", 0),
        **{f"the secret {name}": value for name, value in stage.site.secrets.items()},
    }
    with contextlib.suppress(FileNotFoundError):
        found = re.search(r"client-key-data: (\S+)", stage.site.kubeconfig.read_text())
        key = base64.b64decode(found[1]).decode() if found else ""
        values["the administrator's key"] = "".join(key.splitlines()[1:2])
    for machine in booted:
        for path in TOKENS:
            with contextlib.suppress(OSError):
                token = (machine.root / path[1:]).read_text().strip().rpartition(":")[2]
                values[f"{machine.host}'s {Path(path).name}"] = token
    return [Sought.of(name, value) for name, value in values.items() if value]


def line(path: Path, number: int) -> str:
    """One line of a file; nothing where it is not there yet."""
    with contextlib.suppress(FileNotFoundError, IndexError):
        return path.read_text().splitlines()[number]
    return ""


def scan(stage: Stage, booted: Mapping[str, Booted], sampler: Sampler) -> list[str]:
    """Everything of a stage and its run that holds a secret and must not: one line each."""
    sought = secrets(stage, booted.values())
    texts = {"what the engine said": "\n".join(stage.said), "the engine's events": "\n".join(stage.events)}
    found = [leak for place, text in texts.items() for leak in held(text.encode(), sought, place)]
    for content, whose in list(sampler.seen.items()):
        found += held(content, sought, whose)
    for content, (name, mode) in list(sampler.files.items()):
        if mode & 0o077:
            found += held(content, sought, f"the temporary file {name}, mode {mode & 0o777:o}")
    found += in_files(stage.site.state, sought, "this computer", on_this_computer(stage), but="machines")
    for machine in booted.values():
        found += on_machine(machine, sought)
    return list(dict.fromkeys(found))


def on_machine(machine: Booted, sought: list[Sought]) -> list[str]:
    """What a machine's disk, memory file systems and journal hold."""
    found = in_files(machine.folder / "upper", sought, machine.host, KEEPERS)
    try:
        root = Path(f"/proc/{inject.leader(machine)}/root")
        journal = inject.inside(machine, "journalctl --no-pager --output cat")
    except RehearsalError:  # it is off
        return found
    found += held(journal.encode(), sought, f"{machine.host}: its journal")
    for folder in IN_MEMORY:
        found += in_files(root / folder, sought, machine.host, KEEPERS, below=root)
    return found


def on_this_computer(stage: Stage) -> list[str]:
    """What is meant to hold secrets here."""
    here = stage.site
    paths = [here.state / "id_ed25519", here.kubeconfig, here.folder / "engine/passphrase"]
    return [f"/{path.relative_to(here.state)}" for path in paths]


def in_files(
    folder: Path,
    sought: list[Sought],
    where: str,
    keepers: Iterable[str],
    below: Path | None = None,
    but: str = "",
) -> list[str]:
    """Files below `folder` that hold a secret and are not of `keepers` (paths, or folders that end in /), or
    that others than root could read. `keepers` begin at `below`; what is in a folder called `but` is left
    out."""
    found = []
    for path in files(folder, but):
        name = f"/{path.relative_to(below or folder)}"
        with contextlib.suppress(OSError):
            status = path.stat()
            if status.st_size > MOST_BYTES or not status.st_size:
                continue
            leaks = held(path.read_bytes(), sought, f"{where}: {name}")
            if not name.startswith(tuple(keepers)):
                found += leaks
            elif leaks and (status.st_mode & 0o077 or status.st_uid):
                found += [
                    f"{leak}, mode {status.st_mode & 0o777:o} of user {status.st_uid}" for leak in leaks
                ]
    return found


def files(folder: Path, but: str = "") -> Iterator[Path]:
    """Regular files below a folder, on its own file system; what goes away meanwhile is passed over."""
    device = folder.stat().st_dev if folder.exists() else None
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != but and same_device(Path(place, name), device)]
        for name in names:
            path = Path(place, name)
            if path.is_file() and not path.is_symlink():
                yield path


def same_device(folder: Path, device: int | None) -> bool:
    try:
        return folder.lstat().st_dev == device
    except OSError:
        return False


def held(content: bytes, sought: list[Sought], place: str) -> list[str]:
    """One line for each secret that `content` holds."""
    return [f"{secret.name} in {place}" for secret in sought if secret.is_in(content)]
