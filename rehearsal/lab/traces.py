"""What a cluster leaves on a machine: files, processes, mounts, network links and packet filter rules."""

from rehearsal.lab import ssh
from rehearsal.lab.machine_records import RunningMachine

# Where k3s, the operator and this program write. With containers /var/lib/rancher lies on another disk.
FOLDERS = "/etc /usr/local /var/lib /var/lib/rancher /opt /root /run/k3s /run/nvidia /run/flannel /run/cdi"
FILES = (
    f"find {FOLDERS} -xdev -not -path '/opt/standin*' -not -path '/var/lib/systemd/*'"
    " -not -path '/var/lib/dbus/*' -not -path '/root/.ssh*' -not -path '/etc/standin*' 2>/dev/null"
)
PROGRAMS = "k3s|kube|kwok|kine|etcd|gpusim|containerd|runc|pause|nfd-|gpu-|nvidia-|config-m|mps-|card-test"
PROCESSES = f"ps -e -o comm= | grep -E '^({PROGRAMS})' | sed 's/^/process /'"
# A login has mounts of its own.
MOUNTS = "cut -d' ' -f2 /proc/mounts | grep -v -E '^/run/(user|credentials)/' | sed 's/^/mount /'"
LINKS = "ls /sys/class/net | sed 's/^/link /'"
RULES = "iptables-save 2>/dev/null | grep '^-A' | sed 's/^/rule /'"


def snapshot(machine: RunningMachine) -> set[str]:
    """One line for each file, process, mount, link and rule that may be of a cluster.

    What a later snapshot has and an earlier one has not was left behind.
    """
    command = "; ".join([FILES, PROCESSES, MOUNTS, LINKS, RULES, ":"])
    return set(ssh.run(machine, command).splitlines())
