"""What a step uses of this computer: processor time of this rehearsal's programs by kind, and memory."""

import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

EVERY_SECONDS = 2
TICKS = os.sysconf("SC_CLK_TCK")
# By kind: the names of processes, as the kernel cuts them at 15 characters.
KINDS: Mapping[str, tuple[str, ...]] = {
    "engine": ("pulumi",),
    "API server": ("kube-apiserver",),
    "database": ("kine", "etcd"),
    "scheduler and controllers": ("kube-controller", "kube-scheduler"),
    "k3s": ("k3s", "k3s-server", "k3s-agent"),
    "kwok and gpusim": ("kwok", "gpusim"),
    "sshd": ("sshd",),
    "systemd": ("systemd", "systemd-journal", "systemd-logind", "dbus-daemon", "systemd-nspawn", "(sd-pam)"),
}
# Programs in Python on this computer, by a word of their command lines.
PYTHON = {
    "rehearsal.bench.single_run": "program",
    "rehearsal.simulators.plugins": "provider plugins",
    "k3sgpu": "preflight, staging and gate",
}


@dataclass
class Usage:
    """Seconds of processor time by kind of program, and the least free memory in MiB."""

    seconds: dict[str, float] = field(default_factory=dict)
    busy: float = 0
    """The share of all processors' time that was not idle, of all programs of this computer, from 0 to 1."""
    least_free_mib: float = 0


@dataclass
class _Process:
    kind: str
    began: int
    """Ticks of processor time before the measurement."""
    used: int


@contextmanager
def measured(group: str) -> Iterator[Usage]:
    """Fills the Usage that it yields when the block ends.

    Counts this process's descendants and what runs in control groups whose names begin with `group`, as seen
    every two seconds: shorter programs are missing.
    """
    usage, ended = Usage(least_free_mib=free_mib()), threading.Event()
    seen: dict[tuple[str, str], _Process | None] = {}

    def look(first: bool) -> None:
        for pid in processes():
            try:
                name, start, used, parent = stat(pid)
                known = seen.get((pid, start))
                if (pid, start) not in seen or (known and known.kind in ("others", "shells")):
                    kind = kind_of(pid, name) if is_ours(pid, parent, group) else None
                    # What starts later counts from its own start.
                    began = known.began if known else used if first else 0
                    seen[pid, start] = known = _Process(kind, began, used) if kind else None
                if known:
                    known.used = used
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended
        usage.least_free_mib = min(usage.least_free_mib, free_mib())

    def watch() -> None:
        look(first=True)
        while not ended.wait(EVERY_SECONDS):
            look(first=False)

    before = processor_ticks()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield usage
    finally:
        ended.set()
        watcher.join()
        total, idle = (b - a for a, b in zip(before, processor_ticks(), strict=True))
        usage.busy = 1 - idle / total if total else 0
        sums: Counter[str] = Counter()
        for one in seen.values():
            if one:
                sums[one.kind] += one.used - one.began
        usage.seconds = {kind: ticks / TICKS for kind, ticks in sums.most_common()}


def is_ours(pid: str, parent: str, group: str) -> bool:
    """Whether a process runs in such a control group, or descends from this process."""
    if f"/{group}" in Path("/proc", pid, "cgroup").read_text():
        return True
    while parent not in ("0", "1"):
        if parent == str(os.getpid()):
            return True
        parent = stat(parent)[3]
    return False


def kind_of(pid: str, name: str) -> str:
    """The kind of a process by its name, and of Python by its command line."""
    if name.startswith("python"):
        words = Path("/proc", pid, "cmdline").read_text(errors="replace")
        return next((kind for word, kind in PYTHON.items() if word in words), "others")
    if name in ("sh", "dash", "bash"):
        return "shells"
    return next((kind for kind, names in KINDS.items() if name in names), "others")


def processes() -> list[str]:
    """The ids of all processes."""
    return [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def stat(pid: str) -> tuple[str, str, int, str]:
    """A process's name, start, ticks of processor time, and parent."""
    text = Path("/proc", pid, "stat").read_text(errors="replace")
    words = text[text.rindex(")") + 2 :].split()
    return text[text.index("(") + 1 : text.rindex(")")], words[19], int(words[11]) + int(words[12]), words[1]


def processor_ticks() -> tuple[int, int]:
    """(total, idle) ticks of all processors since this computer started."""
    words = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(words), words[3] + words[4]


def free_mib() -> float:
    """The memory that programs can still get."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) / 1024
