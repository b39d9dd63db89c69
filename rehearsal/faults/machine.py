"""The machine itself: disks, clock, ports, cards."""

from collections.abc import Iterator

from rehearsal.faults import inject
from rehearsal.faults.context import AGENT, FaultContext
from rehearsal.faults.fault import fault

AREA = "machine"


@fault(
    AREA,
    "first up",
    r"gpu-1 .*\n.*error: disk\n\s*found: +0\.\d GiB free where k3s keeps its data",
    r"df -h /var/lib",
    max_seconds=60,
    remedy="room is made",
)
def disk_full(context: FaultContext) -> Iterator[None]:
    """no room where k3s keeps its data"""
    with inject.small_disk(context[AGENT], "/var/lib/rancher", "size=1m"):
        yield


@fault(
    AREA,
    "first up",
    r"gpu-1: k3s \(agent\) was not ready after 15 s",
    r"the disk is full: see df -h and df -i",
    max_seconds=120,
    remedy="room is made",
)
def no_inodes(context: FaultContext) -> Iterator[None]:
    """there is room where k3s keeps its data, and no file can be made"""
    with (
        context.short_timeouts(),
        inject.small_disk(context[AGENT], "/var/lib/rancher", "size=60g,nr_inodes=5"),
    ):
        yield


@fault(
    AREA,
    "change",
    r"gpu-1: could not write /etc/rancher/k3s/\S+",
    r"is the disk full or read-only\? see df -h, df -i and mount",
    max_seconds=60,
    remedy="it is mounted to be written to",
)
def read_only(context: FaultContext) -> Iterator[None]:
    """the folder of k3s's configuration can only be read, as after an error of the disk"""
    with inject.remounted(context[AGENT], "/etc/rancher", "ro"):
        yield


@fault(
    AREA,
    "first up",
    r"gpu-1 .*\n(.*\n)*?.*error: ports\n\s*found: +taken: 10250 \(by \S+\)",
    r"sudo ss -ltnp 'sport = :10250'",
    max_seconds=60,
    remedy="what held it is stopped",
)
def port_taken(context: FaultContext) -> Iterator[None]:
    """something else listens where k3s's kubelet would"""
    context.run_on(AGENT, "systemd-run --unit taker --socket-property ListenStream=10250 sleep infinity")
    yield
    context.run_on(AGENT, "systemctl stop taker.socket")


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n.*error: mounts\n\s*found: +/usr/local/bin is mounted .*noexec",
    r"findmnt -T /usr/local/bin",
    max_seconds=60,
    remedy="it is mounted to run programs",
)
def noexec(context: FaultContext) -> Iterator[None]:
    """no program runs where k3s's would be"""
    with inject.remounted(context[AGENT], "/usr/local/bin", "noexec"):
        yield


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n(.*\n)*?.*error: clock\n\s*found: +the clock is \d+ s ahead",
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
