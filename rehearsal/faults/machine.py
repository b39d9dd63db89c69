"""Faults of the machine itself: disk, mounts, ports, clock, cards."""

import contextlib
from collections.abc import Iterator

from rehearsal.faults import inject
from rehearsal.faults.context import AGENT, FaultContext
from rehearsal.faults.fault import fault, host_problem
from rehearsal.lab import gpus

AREA = "machine"


@fault(
    AREA,
    "first up",
    host_problem("gpu-1", "disk", r"0\.\d GiB free where k3s keeps its data"),
    r"df -h /var/lib",
    max_seconds=60,
    remedy="the small file system is unmounted",
)
def disk_full(context: FaultContext) -> Iterator[None]:
    """the file system where k3s keeps its data has no space"""
    with inject.small_disk(context[AGENT], "/var/lib/rancher", "size=1m"):
        yield


@fault(
    AREA,
    "first up",
    r"gpu-1: k3s \(agent\) was not ready after 15 s",
    r"the disk is full: see df -h and df -i",
    max_seconds=120,
    remedy="the small file system is unmounted",
)
def no_inodes(context: FaultContext) -> Iterator[None]:
    """the file system where k3s keeps its data has space, but no free inodes"""
    small_disk = inject.small_disk(context[AGENT], "/var/lib/rancher", "size=60g,nr_inodes=5")
    with context.short_timeouts(), small_disk:
        yield


@fault(
    AREA,
    "change",
    r"gpu-1: could not write /etc/rancher/k3s/\S+",
    r"is the disk full or read-only\? see df -h, df -i and mount",
    max_seconds=60,
    remedy="it is mounted read-write",
)
def read_only(context: FaultContext) -> Iterator[None]:
    """the folder of k3s's configuration is read-only, as after a disk error"""
    with inject.remounted(context[AGENT], "/etc/rancher", "ro"):
        yield


@fault(
    AREA,
    "first up",
    host_problem("gpu-1", "ports", r"taken: 10250 \(by \S+\)"),
    r"sudo ss -ltnp 'sport = :10250'",
    max_seconds=60,
    remedy="the process that listens there is stopped",
)
def port_taken(context: FaultContext) -> Iterator[None]:
    """another process listens on the kubelet's port"""
    context.run_on(AGENT, "systemd-run --unit taker --socket-property ListenStream=10250 sleep infinity")
    yield
    context.run_on(AGENT, "systemctl stop taker.socket")


@fault(
    AREA,
    "change",
    host_problem("gpu-1", "mounts", r"/usr/local/bin is mounted .*noexec"),
    r"findmnt -T /usr/local/bin",
    max_seconds=60,
    remedy="it is mounted with exec",
)
def noexec(context: FaultContext) -> Iterator[None]:
    """the folder of the k3s binary is mounted noexec"""
    with inject.remounted(context[AGENT], "/usr/local/bin", "noexec"):
        yield


@fault(
    AREA,
    "change",
    host_problem("gpu-1", "clock", r"the clock is \d+ s ahead"),
    r"timedatectl set-ntp true",
    max_seconds=60,
    remedy="the clock is set",
)
def clock_ahead(context: FaultContext) -> Iterator[None]:
    """a machine's clock is ten minutes ahead"""
    ahead = (
        'case "$*" in "-u +%s") echo $(($(/usr/bin/date -u +%s) + 600)) ;; *) exec /usr/bin/date "$@" ;; esac'
    )
    with inject.wrapped(context[AGENT], "date", ahead):
        yield


@contextlib.contextmanager
def number_of_cards(context: FaultContext, count: int) -> Iterator[None]:
    """Gives the agent `count` cards within the block, and one afterwards."""
    _set_cards(context, count)
    yield
    _set_cards(context, 1)


def _set_cards(context: FaultContext, count: int) -> None:
    machine = context[AGENT]
    cards = gpus.Gpus("NVIDIA-GeForce-RTX-2080-Ti", count, 11264)
    gpus.install(cards, machine.name, machine.root, machine.folder / "sysfs")


@fault(
    AREA,
    "change",
    host_problem("gpu-1", "gpu", "2 NVIDIA cards in nvidia-smi"),
    r"count: 2 in the pool, if that is right",
    max_seconds=60,
    remedy="the machine has the declared number of cards",
    scope="full",
)
def more_cards(context: FaultContext) -> Iterator[None]:
    """a machine has two cards, and the stack file declares one"""
    with number_of_cards(context, 2):
        yield


@fault(
    AREA,
    "change",
    host_problem("gpu-1", "gpu", "0 NVIDIA cards in nvidia-smi"),
    r"dmesg \| grep -i nvidia",
    max_seconds=60,
    remedy="the card is back",
    scope="full",
)
def card_gone(context: FaultContext) -> Iterator[None]:
    """a card has fallen off the bus"""
    with number_of_cards(context, 0):
        yield
