"""The machine itself: disks, clock, ports, cards."""

from collections.abc import Iterator

from faults import inject
from faults.fault import AGENT, Life, fault

AREA = "machine"


@fault(
    AREA,
    "first up",
    r"gpu-1 .*\n.*ERROR disk: 0\.\d GiB free where k3s keeps its data",
    r"df -h /var/lib",
    within=60,
    healed="room is made",
)
def disk_full(life: Life) -> Iterator[None]:
    """no room where k3s keeps its data"""
    inject.small_disk(life[AGENT], "/var/lib/rancher", "size=1m")
    yield
    inject.unmount(life[AGENT], "/var/lib/rancher")


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n.*ERROR mounts: /usr/local/bin is mounted .*noexec",
    r"findmnt -T /usr/local/bin",
    within=60,
    healed="it is mounted to run programs",
)
def noexec(life: Life) -> Iterator[None]:
    """no program runs where k3s's would be"""
    inject.remount(life[AGENT], "/usr/local/bin", "noexec")
    yield
    inject.unmount(life[AGENT], "/usr/local/bin")


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n(.*\n)*?.*ERROR clock: the clock is \d+ s ahead",
    r"timedatectl set-ntp true",
    within=60,
    healed="the clock is set",
)
def clock_ahead(life: Life) -> Iterator[None]:
    """a machine's clock is ten minutes ahead"""
    ahead = (
        'case "$*" in "-u +%s") echo $(($(/usr/bin/date -u +%s) + 600)) ;; *) exec /usr/bin/date "$@" ;; esac'
    )
    inject.wrapped(life[AGENT], "date", ahead)
    yield
    inject.unwrapped(life[AGENT], "date")
