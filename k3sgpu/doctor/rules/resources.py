"""Rules about CPU, memory and disk: whether there is enough for k3s and its images, without workloads."""

import re
from collections.abc import Iterator

from k3sgpu.doctor.data_folder import data_folder
from k3sgpu.doctor.machine import KIB_PER_GIB, Machine, Plan, gib
from k3sgpu.problem import Problem

MIN_MEMORY_KIB = {"server": 1_800_000, "agent": 900_000}
"""By role. Less than 2 and 1 GiB: a machine with "2 GB" shows some 1.9 GiB."""
MIN_MEMORY_GPU_KIB = 3_700_000
MIN_PROGRAM_KIB = 200_000
"""k3s's program twice: an upgrade is written beside the old one."""
MIN_DISK_GIB = 5
"""k3s with its images, before any workload."""
ENOUGH_DISK_GIB = 10
ENOUGH_DISK_GPU_GIB = 40
"""What NVIDIA asks for on the root disk of a GPU node: CUDA images are large."""
MIN_INODES = 100_000
"""An image of many small files takes tens of thousands."""
UNFIT_FILE_SYSTEMS = frozenset(
    "nfs nfs4 cifs smb3 smbfs 9p afs beegfs ceph glusterfs gpfs lustre "
    "fuseblk ntfs3 vfat exfat ecryptfs".split()
)
"""Types in /proc/mounts of file systems over the network, and of others that overlayfs cannot write to."""


def cpu(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """A server and a GPU node have at least two CPUs, and as many as teams request with their slices."""
    if machine.facts.number("cpus") == 1 and (machine.role == "server" or machine.gpu):
        yield machine.problem(
            "one CPU",
            f"2 for a {'k3s server' if machine.role == 'server' else 'GPU node'}, without workloads",
            "give the machine another CPU, or let another one have this role",
            "warning",
        )
    guaranteed, cpus = (machine.gpu or {}).get("guaranteed"), machine.facts.number("cpus")
    if guaranteed and cpus and guaranteed["cpuMillis"] > 1000 * cpus:
        yield machine.problem(
            f"{cpus} CPUs, where guaranteed pods may request {guaranteed['cpuMillis'] / 1000:g}",
            f"perSlice.cpuMillis for {guaranteed['slices']} slices of teams: else a guaranteed pod can stay\n"
            "Pending for want of CPU",
            f"write perSlice: {{cpuMillis: {900 * cpus // guaranteed['slices']}}} in the pool's gpu, "
            "or give the machine another CPU",
            "warning",
        )


def memory(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """There is enough memory: 2 GiB on a server, 1 GiB on an agent, 4 GiB with cards, and teams' requests."""
    found = machine.facts.number("memory-kib")
    least = MIN_MEMORY_GPU_KIB if machine.gpu else MIN_MEMORY_KIB[machine.role]
    node = "GPU node" if machine.gpu else f"k3s {machine.role}"
    if found is not None and found < least:
        yield machine.problem(
            f"{gib(found)} of memory",
            f"about {round(least / KIB_PER_GIB)} GiB for a {node}, without workloads",
            "give the machine more memory, or let another one have this role",
            "warning",
        )
    guaranteed = (machine.gpu or {}).get("guaranteed")
    if guaranteed and found and (requests := guaranteed["memoryMiB"] * 1024) > found:
        yield machine.problem(
            f"{gib(found)} of memory, where guaranteed pods may request {gib(requests)}",
            f"perSlice.memoryMiB for {guaranteed['slices']} slices of teams: else a guaranteed pod can stay\n"
            "Pending for want of memory",
            f"write perSlice: {{memoryMiB: {found * 9 // 10 // 1024 // guaranteed['slices']}}} in the pool's "
            "gpu, or give the machine more memory",
            "warning",
        )


def disk(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """There is enough free disk space where k3s keeps its program and its data.

    An error only where less than 5 GiB are free and k3s is not yet installed by us: a running node that has
    filled its disk must not block a change that may help it.
    """
    room = machine.facts.number("program-free-kib")
    if room is not None and room < MIN_PROGRAM_KIB and not machine.installed(plan):
        yield machine.problem(
            f"{room // 1024} MiB free where k3s keeps its program (/usr/local/bin)",
            f"{MIN_PROGRAM_KIB // 1024} MiB: an upgrade is written beside the old program",
            f'{machine.ssh} "df -h /usr/local/bin", then free some space',
        )
    free = machine.facts.number("disk-free-kib")
    enough = ENOUGH_DISK_GPU_GIB if machine.gpu else ENOUGH_DISK_GIB
    if free is None or free >= enough * KIB_PER_GIB:
        return
    blocks = free < MIN_DISK_GIB * KIB_PER_GIB and not machine.belongs_to(plan)
    folder = data_folder(machine)
    yield machine.problem(
        f"{gib(free)} free where k3s keeps its data ({folder.for_messages})",
        f"at least {MIN_DISK_GIB} GiB, and {enough} GiB for the images of such a node",
        f'{machine.ssh} "df -h {folder.for_commands}; sudo du -xhd1 {folder.for_commands} | sort -h | tail", '
        "then free some space",
        "error" if blocks else "warning",
    )


def inodes(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """There are enough free inodes where k3s keeps its data."""
    free, folder = machine.facts.number("inodes-free"), data_folder(machine)
    if free is not None and free < MIN_INODES:
        yield machine.problem(
            f"{free} inodes free where k3s keeps its data ({folder.for_messages})",
            f"at least {MIN_INODES}: images are many small files",
            f'{machine.ssh} "sudo du --inodes -xd2 {folder.for_commands} | sort -n | tail", '
            "then remove some files",
            "warning",
        )


def file_system(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """k3s's data lie on a local file system that carries overlayfs, such as ext4, xfs or ZFS 2.2."""
    folder = data_folder(machine)
    kind = folder.file_system
    if kind in UNFIT_FILE_SYSTEMS or kind.startswith("fuse."):
        yield machine.problem(
            f"k3s keeps its data in {folder.for_messages}, on {kind}",
            "ext4 or xfs on a local disk: containerd's overlayfs and k3s's database do not work on this one",
            "mount a local disk at /var/lib/rancher, or make it a link to a folder on one",
            # A node that runs must not block a change that may help it.
            "warning" if machine.belongs_to(plan) else "error",
        )
    elif kind == "zfs" and not plan.k3s_config.get("snapshotter") and not _carries_overlayfs(machine):
        version = machine.facts.one("zfs") or "of unknown version"
        yield machine.problem(
            f"k3s keeps its data in {folder.for_messages}, on ZFS {version}",
            "ext4, xfs, or ZFS 2.2 or later: containerd's overlayfs does not work on older ones",
            "mount a volume with ext4 at /var/lib/rancher (zfs create -V 100G <pool>/k3s; mkfs.ext4; mount)\n"
            "or k3s: {config: {snapshotter: native}} in the stack file, which copies every layer of an image",
            "warning",
        )


def _carries_overlayfs(machine: Machine) -> bool:
    """Whether the machine's ZFS is 2.2 or later, which can be overlayfs's upper layer (its release notes)."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})\b", machine.facts.one("zfs"))
    return bool(found) and (int(found[1]), int(found[2])) >= (2, 2)
