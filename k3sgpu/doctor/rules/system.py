"""The rules about a machine's kernel, file systems and system services."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Network

from k3sgpu.doctor.machine import Machine, Plan
from k3sgpu.problem import Problem

INODES_LEAST = 100_000  # an image of many small files takes tens of thousands


def modules(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """k3s loads them itself and only warns: pods then start without a network."""
    ways = {"vxlan": "vxlan", "wireguard-native": "wireguard"}
    unused = set(ways.values()) - {ways.get(plan.flannel)}
    if missing := [name for name in machine.facts.all("kernel-lacks") if name not in unused]:
        release = machine.facts.one("kernel-release")
        yield machine.problem(
            f"the kernel {release} has no {', '.join(missing)}, built in or as a module",
            "overlay for containers; br_netfilter, nf_conntrack vxlan or wireguard for the pods' network",
            "install the rest of the kernel's modules and reboot: linux-modules-extra-$(uname -r) (Ubuntu), "
            "kernel-modules-extra (RHEL, Fedora), kernel-default (SUSE)",
            "warning",
        )


def kernel_config(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """k3s's own look at the kernel, where it runs."""
    if missing := machine.facts.all("check-config"):
        yield machine.problem(
            f"k3s check-config fails for {', '.join(missing)}",
            "a kernel with all that k3s needs",
            f'{machine.ssh} "sudo k3s check-config"; the distribution\'s own kernel has them',
            "warning",
        )


def mounts(machine: Machine, plan: Plan) -> Iterator[Problem]:
    needs = {
        "/var/lib": ("data and containers", ("ro", "noexec")),
        "/usr/local/bin": ("its program", ("ro", "noexec")),
    }
    for line in machine.facts.all("mounted"):
        place, _, options = line.partition(" ")
        what, bad = needs.get(place, ("", ()))
        if wrong := [option for option in options.split(",") if option in bad]:
            yield machine.problem(
                f"{place} is mounted {', '.join(wrong)}",
                f"a place to write and to run programs: k3s keeps {what} there",
                f'{machine.ssh} "findmnt -T {place}", then change its options in /etc/fstab and remount it',
            )


def inodes(machine: Machine, plan: Plan) -> Iterator[Problem]:
    free = machine.facts.number("inodes-free")
    if free is not None and free < INODES_LEAST:
        yield machine.problem(
            f"{free} inodes free where k3s keeps its data (/var/lib)",
            f"{INODES_LEAST}: images are many small files",
            f'{machine.ssh} "sudo du --inodes -xd2 /var/lib | sort -n | tail", then make room',
            "warning",
        )


def swap(machine: Machine, plan: Plan) -> Iterator[Problem]:
    if used := machine.facts.all("swap"):
        yield machine.problem(
            f"swap is on: {', '.join(used)}",
            "none, so that a pod's memory limit means memory",
            f'{machine.ssh} "sudo swapoff -a", and take it out of /etc/fstab',
            "warning",
        )


def security(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """What SELinux and AppArmor need beside k3s; its install script brings the first from the network."""
    facts = machine.facts
    if facts.one("selinux") and plan.mirror.startswith("file://") and not facts.one("selinux-policy"):
        yield machine.problem(
            "SELinux is enforcing, and k3s's policy is not installed",
            "the package k3s-selinux: an installation from local files does not bring it",
            "install k3s-selinux from rpm.rancher.io, or a copy of it",
        )
    if facts.one("apparmor") and not facts.one("apparmor-parser"):
        yield machine.problem(
            "AppArmor is on, and there is no apparmor_parser",
            "it: without it containerd starts no pod",
            f'{machine.ssh} "sudo apt-get install -y apparmor"   # SUSE: zypper install apparmor-parser',
            "warning",
        )


def iptables(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """These versions write the same rule again and again (k3s-io/k3s#3117)."""
    found = re.search(r"v1\.8\.([0-4])\b", machine.facts.one("iptables"))
    if found:
        yield machine.problem(
            f"iptables 1.8.{found[1]}, which duplicates rules",
            "1.8.5 or later, or the one that k3s brings",
            "k3s: {config: {prefer-bundled-bin: true}} in the stack file",
            "warning",
        )


def network_manager(machine: Machine, plan: Plan) -> Iterator[Problem]:
    if machine.facts.one("nm-cloud-setup"):
        yield machine.problem(
            "nm-cloud-setup is enabled, which breaks the pods' network",
            "it disabled",
            f"{machine.ssh} "
            '"sudo systemctl disable nm-cloud-setup.service nm-cloud-setup.timer; sudo reboot"',
        )


def time_sync(machine: Machine, plan: Plan) -> Iterator[Problem]:
    if machine.facts.one("clock-synchronized") == "no":
        yield machine.problem(
            "nothing keeps the clock right",
            "a synchronised clock: certificates and joins depend on it",
            f'{machine.ssh} "sudo timedatectl set-ntp true"   # or install chrony',
            "warning",
        )


def networks(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """A host's network inside the pods' is out of the pods' reach, and the other way round."""
    if machine.facts.one("k3s-binary"):  # the routes may be k3s's own, and it is too late to choose
        return
    for line in machine.facts.all("route"):
        target, _, interface = line.partition(" ")
        for key, text in plan.networks.items():
            for cidr in text.split(","):
                if _overlap(target, cidr):
                    yield machine.problem(
                        f"the route to {target} by {interface} overlaps k3s.{key} {cidr}",
                        "networks for pods and services that no machine has a route to",
                        f"k3s: {{{key}: 172.30.0.0/16}} in the stack file, or another free one",
                    )


def _overlap(one: str, other: str) -> bool:
    """Not where one of them is no IPv4 network."""
    try:
        return IPv4Network(one, strict=False).overlaps(IPv4Network(other, strict=False))
    except ValueError:
        return False
