"""The output of facts.sh on machines of several distributions.

CAPTURES are written by hand, in the form of facts.sh and with values that such machines have; no machine
printed them. None of these machines has a problem. The values were compared with what people and projects
show of such machines (2026-11-28):

- RHEL 9: XFS's mount options, with logbsize=32k (RedHatInsights/insights-core, its tests of ProcMounts);
  iptables 1.8.10 since 9.4 (cilium/cilium#37749), on nf_tables alone.
- Ubuntu 24.04: kernel 6.8.0-63 and iptables 1.8.10 on nf_tables; 22.04: 1.8.7 on nf_tables.
- openSUSE Leap 15.6: kernel 6.4.0-150600.23.53; btrfs with subvolumes of their own for /var and /usr/local;
  iptables on the old tables unless iptables-backend-nft is installed
  (os-autoinst/os-autoinst-distri-opensuse#23326).

USERLANDS were printed by facts.sh in the userlands of Debian 11, 12 and 13: Debian's own packages in a folder
and a chroot into it, on one computer, without a network and without systemd. The facts about kernel and disk
are therefore that computer's; the facts about programs are the distribution's.
"""

from pathlib import Path

from k3sgpu.doctor.rules.system import TOOLS

_TOOLS = (*TOOLS, "curl")


def _capture(*lines: str) -> str:
    common = [
        "privileges root",
        "kernel Linux",
        "systemd running",
        "cgroup-fs cgroup2fs",
        "cgroup-controllers cpuset cpu io memory hugetlb pids rdma misc",
        *(f"tool {tool}" for tool in _TOOLS),
        "clock-synchronized yes",
        "address 127.0.0.1",
        "address ::1",
        "address 10.0.0.11",
        "listens 0016",
        "lockdown none",
        "end ok",
    ]
    return "\n".join(line.replace(" ", "\t", 1) for line in [*lines, *common]) + "\n"


CAPTURES = {
    "Debian 12": _capture(
        "kernel-release 6.1.0-37-amd64",
        "arch x86_64",
        "hostname deb-1",
        "os Debian GNU/Linux 12 (bookworm)",
        "machine-id 3f6c0a5f0d1b4b7a8e5a0c1d2e3f4a5b",
        "cpus 8",
        "memory-kib 32811540",
        "disk-free-kib 182031104",
        "inodes-free 12714290",
        "mounted /var/lib rw,relatime,errors=remount-ro",
        "mounted /usr/local/bin rw,relatime,errors=remount-ro",
        "iptables iptables v1.8.9 (nf_tables)",
        "route 10.0.0.0/24 enp1s0",
        "default-route enp1s0",
        "listens-udp 0044",
        "apparmor enabled",
        "apparmor-parser there",
    ),
    "Ubuntu 22.04": _capture(
        "kernel-release 5.15.0-143-generic",
        "arch x86_64",
        "hostname ubuntu-jammy",
        "os Ubuntu 22.04.5 LTS",
        "machine-id 9c1e7b2a44d94f0bb1de0a5f6c7d8e9f",
        "cpus 64",
        "memory-kib 528156232",
        "disk-free-kib 1660944384",
        "inodes-free 114027316",
        "mounted /var/lib rw,relatime",
        "mounted /usr/local/bin rw,relatime",
        "iptables iptables v1.8.7 (nf_tables)",
        "route 10.0.0.0/16 eno1",
        "route 172.17.0.0/16 docker0",
        "default-route eno1",
        "listens 0035",
        "listens-udp 0035",
        "apparmor enabled",
        "apparmor-parser there",
        "nvswitch 0000:05:00.0",
        "nvswitch 0000:06:00.0",
        "fabric-manager active",
    ),
    "Ubuntu 24.04": _capture(
        "kernel-release 6.8.0-63-generic",
        "arch aarch64",
        "hostname gh200",
        "os Ubuntu 24.04.2 LTS",
        "machine-id 0b2d6f8ac3e14b5d97f0a1c2d3e4f5a6",
        "cpus 72",
        "memory-kib 491005696",
        "disk-free-kib 855638016",
        "mounted /var/lib rw,relatime",
        "mounted /usr/local/bin rw,relatime",
        "iptables iptables v1.8.10 (nf_tables)",
        "route 10.0.0.0/24 enP6p3s0f0np0",
        "default-route enP6p3s0f0np0",
        "listens-udp 0035",
        "secure-boot enabled",
        "apparmor enabled",
        "apparmor-parser there",
    ),
    "RHEL 9": _capture(
        "kernel-release 5.14.0-570.22.1.el9_6.x86_64",
        "arch x86_64",
        "hostname rhel9.example.org",
        "os Red Hat Enterprise Linux 9.6 (Plow)",
        "machine-id e2a1f0c9d8b74a6e95d4c3b2a1908f7e",
        "cpus 16",
        "memory-kib 65437184",
        "disk-free-kib 61865984",
        "inodes-free 32986112",
        "mounted /var/lib rw,seclabel,relatime,attr2,inode64,logbufs=8,logbsize=32k,noquota",
        "mounted /usr/local/bin rw,seclabel,relatime,attr2,inode64,logbufs=8,logbsize=32k,noquota",
        "selinux enforcing",
        "iptables iptables v1.8.10 (nf_tables)",
        "route 10.0.0.0/24 ens192",
        "default-route ens192",
        "listens-udp 0143",
    ),
    "openSUSE Leap 15.6": _capture(
        "kernel-release 6.4.0-150600.23.53-default",
        "arch x86_64",
        "hostname leap",
        "os openSUSE Leap 15.6",
        "machine-id 7d5c4b3a29184f0e8d7c6b5a49382716",
        "cpus 12",
        "memory-kib 16307732",
        "disk-free-kib 48234496",
        "mounted /var/lib rw,relatime,ssd,space_cache=v2,subvolid=263,subvol=/@/var",
        "mounted /usr/local/bin rw,relatime,ssd,space_cache=v2,subvolid=264,subvol=/@/usr/local",
        "iptables iptables v1.8.7 (legacy)",
        "route 10.0.0.0/24 eth0",
        "default-route eth0",
        "listens 0016",
        "listens-udp 0323",
        "apparmor enabled",
        "apparmor-parser there",
    ),
}

USERLANDS = {file.stem: file.read_text() for file in (Path(__file__).parent / "userlands").glob("*.txt")}
