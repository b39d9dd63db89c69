"""The machine itself: disks, clock, ports, cards."""

from collections.abc import Iterator

from rehearsal.faults import inject
from rehearsal.faults.fault import AGENT, Life, fault

AREA = "machine"


@fault(
    AREA,
    "first up",
    r"gpu-1 .*\n.*error: disk\n\s*found: +0\.\d GiB free where k3s keeps its data",
    r"df -h /var/lib",
    within=60,
    healed="room is made",
)
def disk_full(life: Life) -> Iterator[None]:
    """no room where k3s keeps its data"""
    with inject.small_disk(life[AGENT], "/var/lib/rancher", "size=1m"):
        yield


@fault(
    AREA,
    "first up",
    r"gpu-1: k3s \(agent\) was not ready after 15 s",
    r"the disk is full: see df -h and df -i",
    within=120,
    healed="room is made",
)
def no_inodes(life: Life) -> Iterator[None]:
    """there is room where k3s keeps its data, and no file can be made"""
    with life.impatient(), inject.small_disk(life[AGENT], "/var/lib/rancher", "size=60g,nr_inodes=5"):
        yield


@fault(
    AREA,
    "change",
    r"gpu-1: could not write /etc/rancher/k3s/\S+",
    r"is the disk full or read-only\? see df -h, df -i and mount",
    within=60,
    healed="it is mounted to be written to",
)
def read_only(life: Life) -> Iterator[None]:
    """the folder of k3s's configuration can only be read, as after an error of the disk"""
    with inject.remounted(life[AGENT], "/etc/rancher", "ro"):
        yield


@fault(
    AREA,
    "first up",
    r"gpu-1 .*\n(.*\n)*?.*error: ports\n\s*found: +taken: 10250 \(by \S+\)",
    r"sudo ss -ltnp 'sport = :10250'",
    within=60,
    healed="what held it is stopped",
)
def port_taken(life: Life) -> Iterator[None]:
    """something else listens where k3s's kubelet would"""
    life.on(AGENT, "systemd-run --unit taker --socket-property ListenStream=10250 sleep infinity")
    yield
    life.on(AGENT, "systemctl stop taker.socket")


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n.*error: mounts\n\s*found: +/usr/local/bin is mounted .*noexec",
    r"findmnt -T /usr/local/bin",
    within=60,
    healed="it is mounted to run programs",
)
def noexec(life: Life) -> Iterator[None]:
    """no program runs where k3s's would be"""
    with inject.remounted(life[AGENT], "/usr/local/bin", "noexec"):
        yield


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n(.*\n)*?.*error: clock\n\s*found: +the clock is \d+ s ahead",
    r"timedatectl set-ntp true",
    within=60,
    healed="the clock is set",
)
def clock_ahead(life: Life) -> Iterator[None]:
    """a machine's clock is ten minutes ahead"""
    ahead = (
        'case "$*" in "-u +%s") echo $(($(/usr/bin/date -u +%s) + 600)) ;; *) exec /usr/bin/date "$@" ;; esac'
    )
    with inject.wrapped(life[AGENT], "date", ahead):
        yield
