"""Every check of hosts, in the order of the reports. To add one, write a rule in `rules/` and a row here."""

from k3sgpu.doctor.check import Check
from k3sgpu.doctor.rules import (
    between_hosts,
    card_access,
    driver,
    fabric,
    gpu,
    mig,
    network,
    ownership,
    resources,
    system,
)
from k3sgpu.hosts import ssh_errors
from k3sgpu.problem import Severity

ERROR: frozenset[Severity] = frozenset({"error"})
WARNING: frozenset[Severity] = frozenset({"warning"})
EITHER = ERROR | WARNING

# Name, rule, severities, typical remedy; `waivable=False` if the stack file may not waive it.

CONNECTION_CHECKS = (
    Check("connection", ssh_errors.connection, ERROR, "is sshd running there, on that port?", waivable=False),
    Check("host-key", ssh_errors.host_key, ERROR, "compare on the machine's console first", waivable=False),
    Check("login", ssh_errors.login, ERROR, "ssh-copy-id -i", waivable=False),
    Check("facts", ssh_errors.facts, ERROR, '"id; uptime" must answer at once', waivable=False),
)
"""Reported when a machine cannot be reached or asked."""

MACHINE_CHECKS = (
    Check("privileges", system.privileges, ERROR, "pulumi config set --secret sudoPassword", waivable=False),
    Check("system", system.system, ERROR, "use a distribution with systemd"),
    Check("tools", system.tools, ERROR, "sudo apt-get install -y"),
    Check(
        "cgroup", system.cgroup, EITHER, "add systemd.unified_cgroup_hierarchy=1 to the kernel's command line"
    ),
    Check("owner", ownership.owner, ERROR, "remove it with its own tools", waivable=False),
    Check("version", ownership.version, ERROR, "k3s: {version:"),
    Check("ports", network.ports, ERROR, "then stop or move what listens there"),
    Check("address", network.address, EITHER, "nodeIp:"),
    Check("flannel", network.flannel, EITHER, "flannelIface:"),
    Check("route", network.route, ERROR, "sudo ip route add default via <gateway>"),
    Check("dns", network.dns, ERROR, "cat /etc/resolv.conf; getent ahosts"),
    Check("resolv-conf", network.resolv_conf, WARNING, "k3s: {config: {resolv-conf:"),
    Check("download", network.download, ERROR, "look at firewalls and proxies"),
    Check("cpu", resources.cpu, WARNING, "give the machine another CPU"),
    Check("memory", resources.memory, WARNING, "give the machine more memory"),
    Check("disk", resources.disk, EITHER, "sudo du -xhd1 /var/lib | sort -h | tail"),
    Check("inodes", resources.inodes, WARNING, "sudo du --inodes -xd2 /var/lib | sort -n | tail"),
    Check("file-system", resources.file_system, EITHER, "mount a local disk at /var/lib/rancher"),
    Check("mounts", system.mounts, ERROR, "change its options in /etc/fstab and remount it"),
    Check("swap", system.swap, WARNING, "sudo swapoff -a"),
    Check("modules", system.modules, WARNING, "install the rest of the kernel's modules and reboot"),
    Check("kernel-config", system.kernel_config, WARNING, "sudo k3s check-config"),
    Check("security", system.security, EITHER, "install k3s-selinux from rpm.rancher.io"),
    Check("iptables", system.iptables, WARNING, "k3s: {config: {prefer-bundled-bin: true}}"),
    Check("nm-cloud-setup", system.network_manager, ERROR, "sudo systemctl disable nm-cloud-setup.service"),
    Check("time-sync", system.time_sync, WARNING, "sudo timedatectl set-ntp true"),
    Check("networks", network.networks, ERROR, "k3s: {clusterCidr: 172.30.0.0/16}"),
    Check("firewall", network.firewall, WARNING, "sudo ufw allow 6443/tcp"),
    Check("platform", gpu.platform, ERROR, "use another machine"),
    Check("gpu", gpu.gpu, EITHER, "look at dmesg for the missing card"),
    Check("partitions", mig.partitions, EITHER, "sudo nvidia-smi mig -i"),
    Check("toolkit", driver.toolkit, EITHER, "install the package nvidia-container-toolkit"),
    Check(
        "card-access",
        card_access.card_access,
        EITHER,
        "--set accept-nvidia-visible-devices-envvar-when-unprivileged=false",
    ),
    Check("runtime", driver.runtime, WARNING, "sudo systemctl restart"),
    Check("containerd", driver.containerd, WARNING, "sudo systemctl disable --now"),
    Check("driver", driver.driver, ERROR, "driverVersion:"),
    Check(
        "driver-image", driver.driver_image, WARNING, "install the driver, and gpuOperator: {driver: host}"
    ),
    Check("headers", driver.headers, WARNING, "sudo apt-get install -y linux-headers-"),
    Check("fabric", fabric.fabric, ERROR, "sudo systemctl enable --now nvidia-fabricmanager"),
    Check("secure-boot", driver.secure_boot, ERROR, "turn Secure Boot off in the firmware"),
)
"""Rules about one machine."""

CROSS_CHECKS = (
    Check("node-address", between_hosts.node_address, EITHER, "nodeIp"),
    Check("machine-id", between_hosts.machine_id, ERROR, "sudo systemd-machine-id-setup"),
    Check("product-uuid", between_hosts.product_uuid, WARNING, "give the virtual machine a UUID of its own"),
    Check("hostname", between_hosts.hostname, WARNING, "sudo hostnamectl set-hostname"),
    Check("clock", between_hosts.clock, ERROR, "sudo timedatectl set-ntp true"),
    Check("registration", between_hosts.registration, EITHER, "look at firewalls and load balancers"),
    Check("skew", between_hosts.skew, WARNING, "then pulumi up: servers are upgraded first"),
)
"""Rules that compare machines with each other."""


def checks() -> tuple[Check, ...]:
    """All checks of hosts, in the order of the reports."""
    return (*CONNECTION_CHECKS, *MACHINE_CHECKS, *CROSS_CHECKS)
