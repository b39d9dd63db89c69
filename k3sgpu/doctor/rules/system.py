"""Rules about a machine's operating system: rights, init, kernel, mounts and services."""

import re
from collections.abc import Iterator

from k3sgpu.doctor.data_folder import data_folder
from k3sgpu.doctor.machine import Machine, Plan, parse_version
from k3sgpu.doctor.rules.network import EXIT_STATUS
from k3sgpu.problem import Problem

# What the scripts for hosts and k3s's install script call, and the package that has it on most distributions.
TOOLS = {
    "sha256sum": "coreutils",
    "timeout": "coreutils",
    "mktemp": "coreutils",
    "cut": "coreutils",
    "od": "coreutils",
    "tee": "coreutils",
    "cmp": "diffutils",
    "flock": "util-linux",
    "awk": "gawk",
    "sed": "sed",
    "grep": "grep",
    "tar": "tar",
    "ip": "iproute2",
    "ps": "procps",
    "modprobe": "kmod",
}

# The kernel module that each flannel backend needs.
_FLANNEL_MODULES = {"vxlan": "vxlan", "wireguard-native": "wireguard"}

_K3S_FOLDERS = {"/var/lib": "data and containers", "/usr/local/bin": "its program"}
_BAD_MOUNT_OPTIONS = ("ro", "noexec")


def privileges(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """The login is root, or becomes root with sudo."""
    user, how = machine.spec["user"], machine.facts.one("privileges")
    message = f": {text}" if (text := machine.facts.one("sudo-said")) else ""
    if how == "wrong-password":
        yield machine.problem(
            f"{user} is not root, and sudo refused the secret sudoPassword{message}",
            "the password of this user, and sudo rights for the user",
            f"pulumi config set --secret sudoPassword\n{machine.ssh} -t sudo -v   # must accept the password",
        )
    elif how == "none":
        yield machine.problem(
            f"{user} is not root, and sudo wants a password or refuses{message}",
            "root, sudo without a password, or sudo with the secret sudoPassword",
            "pulumi config set --secret sudoPassword\n"
            f"or {machine.ssh} -t \"echo '{user} ALL=(ALL) NOPASSWD: ALL' | sudo tee /etc/sudoers.d/{user}\"",
        )


def system(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """The machine runs Linux with systemd on x86_64 or aarch64."""
    facts = machine.facts
    if (kernel := facts.one("kernel")) != "Linux":
        yield machine.problem(f"kernel {kernel or 'unknown'}", "Linux", "use a machine that runs Linux")
        return
    if (arch := facts.one("arch")) not in ("x86_64", "aarch64"):
        yield machine.problem(
            f"machine type {arch or 'unknown'}",
            "x86_64 or aarch64: k3s and NVIDIA's images exist for these",
            "use another machine, or a 64-bit system on this one",
        )
    if facts.one("systemd") != "running":
        yield machine.problem(
            f"{facts.one('os') or 'the system'} does not run systemd",
            "systemd as init: k3s is installed as one of its units",
            "use a distribution with systemd (Debian, Ubuntu, RHEL, SUSE …); a plain container has none",
        )


def tools(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """The commands that the installation uses are installed."""
    present = machine.facts.all("tool")
    missing = [tool for tool in TOOLS if tool not in present]
    packages = sorted({TOOLS[tool] for tool in missing})
    if not plan.mirror.startswith("file://") and not {"curl", "wget"} & set(present):
        missing.append("curl or wget")
        packages.append("curl")
    if missing:
        yield machine.problem(
            f"not installed: {', '.join(missing)}",
            "the commands that the installation uses",
            f'{machine.ssh} "{_install_command(machine)} {" ".join(packages)}"',
        )


def _pair(line: str) -> tuple[str, str]:
    first, _, rest = line.partition(" ")
    return first, rest


def _install_command(machine: Machine) -> str:
    os = machine.facts.one("os").lower()
    if "debian" in os or "ubuntu" in os:
        return "sudo apt-get install -y"
    return "sudo zypper install -y" if "suse" in os else "sudo dnf install -y"


def cgroup(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """cgroup v2 is mounted, with the controllers cpu, cpuset, memory and pids."""
    kind = machine.facts.one("cgroup-fs")
    if kind != "cgroup2fs":
        planned = parse_version(plan.k3s_version)
        # Kubernetes 1.35 made true the default of the kubelet's failCgroupV1.
        refused = planned is None or planned[:2] >= (1, 35)
        yield machine.problem(
            f"cgroup v1 or hybrid (/sys/fs/cgroup is {kind or 'unknown'})",
            "cgroup v2: kubelets of Kubernetes 1.35 and later refuse v1",
            "add systemd.unified_cgroup_hierarchy=1 to the kernel's command line "
            "(/etc/default/grub, then update-grub) and reboot",
            "error" if refused else "warning",
        )
        return
    present = machine.facts.one("cgroup-controllers").split()
    missing = [name for name in ("cpu", "cpuset", "memory", "pids") if name not in present]
    if missing:
        yield machine.problem(
            f"cgroup controllers missing: {', '.join(missing)}",
            "cpu, cpuset, memory and pids, so that the limits of pods are enforced",
            "on a Raspberry Pi add cgroup_memory=1 cgroup_enable=memory to cmdline.txt and reboot; "
            "in a container the host has to delegate them",
            "warning",
        )


def modules(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """The kernel has the modules for containers and for the network of the pods.

    k3s loads them itself and only warns when one is missing: pods then start without a network.
    """
    unused = set(_FLANNEL_MODULES.values()) - {_FLANNEL_MODULES.get(plan.flannel)}
    if missing := [name for name in machine.facts.all("kernel-lacks") if name not in unused]:
        kernel = machine.facts.one("kernel-release")
        yield machine.problem(
            f"the kernel {kernel} has no {', '.join(missing)}, built in or as a module",
            "overlay for containers; br_netfilter, nf_conntrack and vxlan or wireguard for the pods' network",
            "install the rest of the kernel's modules and reboot: linux-modules-extra-$(uname -r) (Ubuntu), "
            "kernel-modules-extra (RHEL, Fedora), kernel-default (SUSE)",
            "warning",
        )


def kernel_config(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """`k3s check-config` passes, where k3s runs already."""
    if missing := machine.facts.all("check-config"):
        yield machine.problem(
            f"k3s check-config fails for {', '.join(missing)}",
            "a kernel with everything that k3s needs",
            f'{machine.ssh} "sudo k3s check-config"; the distribution\'s own kernel has them',
            "warning",
        )


def mounts(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """k3s can write and run programs in /var/lib and /usr/local/bin."""
    folders = dict(_pair(line) for line in machine.facts.all("mounted"))
    uses = {folder: _K3S_FOLDERS[folder] for folder in folders if folder in _K3S_FOLDERS}
    data = data_folder(machine)
    if data.options and data.options != folders.get("/var/lib"):
        folders[data.path], uses[data.path] = data.options, _K3S_FOLDERS["/var/lib"]
    for folder, use in uses.items():
        wrong = [option for option in folders[folder].split(",") if option in _BAD_MOUNT_OPTIONS]
        if wrong:
            yield machine.problem(
                f"{folder} is mounted {', '.join(wrong)}",
                f"a folder to write to and to run programs from: k3s keeps {use} there",
                f'{machine.ssh} "findmnt -T {folder}", then change its options in /etc/fstab and remount it',
            )


def swap(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """Swap is off."""
    if used := machine.facts.all("swap"):
        yield machine.problem(
            f"swap is on: {', '.join(used)}",
            "no swap, so that a pod's memory limit means memory",
            f'{machine.ssh} "sudo swapoff -a", and remove it from /etc/fstab',
            "warning",
        )


def security(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """What SELinux and AppArmor need for k3s is installed.

    k3s's install script downloads the SELinux policy, but not when k3s is installed from local files.
    """
    facts = machine.facts
    if facts.one("selinux") and plan.mirror.startswith("file://") and not facts.one("selinux-policy"):
        yield machine.problem(
            "SELinux is enforcing, and k3s's policy is not installed",
            "the package k3s-selinux: an installation from local files does not install it",
            "install k3s-selinux from rpm.rancher.io, or a copy of it",
        )
    answer = facts.one("policy-download")
    if answer.startswith("000") and not plan.mirror.startswith("file://") and not machine.installed(plan):
        reason = EXIT_STATUS.get(answer.partition(" ")[2], "no answer")
        yield machine.problem(
            f"rpm.rancher.io cannot be reached: {reason}",
            "access to it: k3s's install script downloads the SELinux policy k3s-selinux from there",
            f"{machine.ssh} curl -sSI https://rpm.rancher.io   # look at firewalls and proxies\n"
            "or install k3s-selinux by other means, and k3s: {airGap: FOLDER} in the stack file",
        )
    if facts.one("apparmor") and not facts.one("apparmor-parser"):
        yield machine.problem(
            "AppArmor is enabled, and apparmor_parser is not installed",
            "apparmor_parser: without it containerd starts no pod",
            f'{machine.ssh} "sudo apt-get install -y apparmor"   # SUSE: zypper install apparmor-parser',
            "warning",
        )


def iptables(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """iptables is not one of the versions that add the same rule again and again.

    These are 1.8.0 to 1.8.4 (k3s-io/k3s#3117).
    """
    found = re.search(r"v1\.8\.([0-4])\b", machine.facts.one("iptables"))
    if found and not plan.k3s_config.get("prefer-bundled-bin"):
        yield machine.problem(
            f"iptables 1.8.{found[1]}, which duplicates rules",
            "1.8.5 or later, or the iptables that k3s contains",
            "k3s: {config: {prefer-bundled-bin: true}} in the stack file",
            "warning",
        )


def network_manager(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """nm-cloud-setup is disabled: it breaks the network of the pods."""
    if machine.facts.one("nm-cloud-setup"):
        yield machine.problem(
            "nm-cloud-setup is enabled, which breaks the pods' network",
            "nm-cloud-setup disabled",
            f"{machine.ssh} "
            '"sudo systemctl disable nm-cloud-setup.service nm-cloud-setup.timer; sudo reboot"',
        )


def time_sync(machine: Machine, plan: Plan) -> Iterator[Problem]:
    """The clock is synchronised: certificates and joins depend on it."""
    if machine.facts.one("clock-synchronized") == "no":
        yield machine.problem(
            "the clock is not synchronised",
            "a synchronised clock: certificates and joins depend on it",
            f'{machine.ssh} "sudo timedatectl set-ntp true"   # or install chrony',
            "warning",
        )
