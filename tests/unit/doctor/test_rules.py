"""Every rule for machines: a machine that is in order, and what is said when one fact is not."""

from typing import get_args

import pytest

from k3sgpu.doctor.host_check import build_report
from k3sgpu.doctor.machine import Machine, Plan, release
from k3sgpu.doctor.registry import CROSS_RULES, RULES, TOOLS, run_rules
from k3sgpu.hosts.facts import Facts, parse
from k3sgpu.hosts.ssh import Answer, Clock
from k3sgpu.report import Report, as_json, as_text
from k3sgpu.settings.models.doctor import WaivableCheck
from tests.data.captures import CAPTURES

DEBIAN = f"""\
privileges\troot
kernel\tLinux
arch\tx86_64
os\tDebian GNU/Linux 12 (bookworm)
systemd\trunning
machine-id\taaaa
cpus\t4
memory-kib\t8000000
cgroup-fs\tcgroup2fs
cgroup-controllers\tcpuset cpu io memory hugetlb pids rdma misc
disk-free-kib\t68775260
address\t127.0.0.1
address\t10.0.0.11
address\tfe80::1%eth0
default-route\teth0
kernel-headers\tthere
listens\t0016
{chr(10).join(f"tool{chr(9)}{tool}" for tool in [*TOOLS, "curl"])}
end\tok
"""
GPU = """\
pci-gpu\t0000:01:00.0 0x1e04
nvidia-module\t580.126.20
nvidia-smi-status\t0
nvidia-smi\tNVIDIA GeForce RTX 2080 Ti, 11264 MiB
toolkit\t/usr/bin/nvidia-container-runtime
"""
OURS = """\
owner\tproject k3s-gpu-sharing
owner\tstack dev
owner\thost node-1
owner\tmachine-id aaaa
k3s-binary\t/usr/local/bin/k3s
k3s-version\tv1.36.2+k3s1
k3s-unit\tk3s.service active
listens\t192B
listens\t280A
"""
CARD = {"count": 1, "product": "NVIDIA-GeForce-RTX-2080-Ti"}
RELEASE = "https://github.com/k3s-io/k3s/releases/download/v1.36.2%2Bk3s1/k3s"
PLAN = Plan(
    project="k3s-gpu-sharing", stack="dev", k3s_version="v1.36.2+k3s1", mirror="https://example.org",
    driver="host", toolkit="host",
)  # fmt: skip


def facts(text: str = DEBIAN, **changes: str | tuple[str, ...] | None) -> Facts:
    """The facts of `text`, with some values replaced (None: not said); `a_b` is the fact a-b."""
    values = dict(parse(text).values)
    for name, value in changes.items():
        key = name.replace("_", "-")
        values.pop(key, None)
        if value is not None:
            values[key] = (value,) if isinstance(value, str) else value
    return Facts(values)


def machine(known: Facts, name="node-1", role="server", clock=None, peer="", **spec) -> Machine:
    told = {
        "name": name, "role": role, "address": "10.0.0.11", "port": 22, "user": "root", "gpu": None, **spec,
    }  # fmt: skip
    return Machine(told, known, clock, peer)


def said(thing: Machine, plan: Plan = PLAN) -> dict[str, str]:
    """What is wrong with one machine: severity and text by check."""
    return {f.check: f"{f.severity}: {f.found} | {f.expected} | {f.remedy}" for f in run_rules([thing], plan)}


def plan(**changes) -> Plan:
    return Plan(**{**vars(PLAN), **changes})


@pytest.mark.parametrize(
    ("thing", "wanted"),
    [
        (machine(facts()), PLAN),
        (machine(facts(), role="agent"), PLAN),
        (machine(facts(DEBIAN + GPU), gpu=CARD), PLAN),
        (machine(facts(DEBIAN + OURS)), PLAN),
        (machine(facts(cpus="1"), role="agent"), PLAN),
        (machine(facts(DEBIAN + GPU + OURS, containerd_config="nvidia"), gpu=CARD), PLAN),
        (machine(facts(DEBIAN + OURS, containerd_config="plain"), gpu=None), PLAN),
        (machine(facts(DEBIAN + GPU, service=("docker", "containerd")), gpu=CARD), PLAN),
        (machine(facts(arch="aarch64", privileges="sudo")), PLAN),
        (machine(facts(tool=tuple(TOOLS))), plan(mirror="file:///srv/k3s")),
        (machine(facts(tool=(*TOOLS, "wget"))), PLAN),
        (machine(facts(DEBIAN + OURS, k3s_unit="k3s.service activating")), PLAN),
        (machine(facts(DEBIAN + OURS, k3s_version="v1.35.9+k3s4")), PLAN),
        (machine(facts(address=None)), PLAN),
        (machine(facts(), address="node-1.example.org", peer="10.0.0.11"), PLAN),
        (machine(facts(DEBIAN + GPU, toolkit=None), gpu=CARD), plan(toolkit="operator")),
        (
            machine(facts(pci_gpu="0000:01:00.0 0x1e04", os_id="ubuntu"), gpu=CARD),
            plan(driver="operator", toolkit="operator"),
        ),
        (
            machine(facts(DEBIAN + GPU, operator_driver="/run/nvidia/driver"), gpu=CARD),
            plan(driver="operator"),
        ),
        (
            machine(
                facts(DEBIAN + GPU, nvidia_smi="NVIDIA GB10, [N/A]"),
                gpu={"count": 1, "product": "NVIDIA-GB10"},
            ),
            PLAN,
        ),
    ],
)
def test_in_order(thing, wanted):
    assert said(thing, wanted) == {}


CASES = [
    # rule, facts, more of the machine, plan, what is said
    ("privileges", facts(privileges="none", sudo_said="sudo: a password is required"), {"user": "me"}, {},
     ["error: me is not root", "sudo: a password is required", "me ALL=(ALL) NOPASSWD: ALL",
      "pulumi config set --secret sudoPassword"]),
    ("privileges", facts(privileges="wrong-password", sudo_said="sudo: 1 incorrect password attempt"),
     {"user": "me"}, {}, ["error: me is not root, and sudo refused the secret sudoPassword: sudo: 1 incorr"]),
    ("system", facts(kernel="Darwin"), {}, {}, ["error: kernel Darwin", "Linux"]),
    ("system", facts(arch="armv7l"), {}, {}, ["error: machine type armv7l", "x86_64 or aarch64"]),
    ("system", facts(systemd=None), {}, {}, ["error: Debian GNU/Linux 12 (bookworm) does not run systemd"]),
    ("tools", facts(tool=("curl", *(tool for tool in TOOLS if tool != "flock"))), {}, {},
     ["error: not there: flock", "sudo apt-get install -y util-linux"]),
    ("tools", facts(tool=tuple(TOOLS), os="Rocky Linux 10.0"), {}, {},
     ["error: not there: curl or wget", "sudo dnf install -y curl"]),
    ("cgroup", facts(cgroup_fs="tmpfs"), {}, {}, ["error: cgroup v1", "unified_cgroup_hierarchy=1"]),
    ("cgroup", facts(cgroup_fs="tmpfs"), {}, {"k3s_version": "v1.34.3+k3s1"}, ["warning: cgroup v1"]),
    ("cgroup", facts(cgroup_controllers="cpuset cpu io pids"), {}, {}, ["warning:", "not there: memory"]),
    ("cgroup", facts(cgroup_controllers=None), {}, {}, ["warning:", "not there: cpu, cpuset, memory, pids"]),
    ("owner", facts(k3s_binary="/usr/local/bin/k3s", k3s_version="v1.33.1+k3s1"), {}, {},
     ["error: k3s v1.33.1+k3s1 that this program did not install", "k3s-uninstall.sh"]),
    ("owner", facts(k3s_unit="k3s-agent.service inactive"), {}, {}, ["error: k3s of some version"]),
    ("owner", facts(DEBIAN + OURS.replace("stack dev", "stack prod")), {}, {},
     ["error: this machine is host node-1 of stack prod", "pulumi up --stack prod", "or leave it there"]),
    ("owner", facts(DEBIAN + OURS.replace("project k3s", "project other")), {}, {},
     ["project other-gpu-sharing"]),
    ("owner", facts(DEBIAN + OURS), {"name": "node-9"}, {},
     ["error: this machine is already host node-1 of this stack", "call it node-1 again",
      "add it as node-9"]),
    ("owner", facts(DEBIAN + OURS, machine_id="bbbb"), {}, {},
     ["error: its marker was written by another machine (machine-id aaaa, here bbbb)", "if it is a copy"]),
    ("owner", facts(DEBIAN + OURS), {"role": "agent"}, {}, ["error: it runs k3s.service", "agent"]),
    ("owner", facts(kubernetes="/etc/kubernetes/kubelet.conf"), {}, {},
     ["error: kubeadm", "/etc/kubernetes/kubelet"]),
    ("owner", facts(kubernetes="/var/snap/microk8s"), {}, {}, ["error: MicroK8s: /var/snap/microk8s"]),
    ("version", facts(DEBIAN + OURS, k3s_version="v1.36.10+k3s1"), {}, {},
     ["error: k3s v1.36.10+k3s1 is installed", "v1.36.2+k3s1 or older", "version: v1.36.10+k3s1"]),
    ("version", facts(DEBIAN + OURS, k3s_version="v1.36.2+k3s2"), {}, {}, ["error: k3s v1.36.2+k3s2"]),
    ("ports", facts(listens=("0016", "192B", "280A"), listener="6443 nginx"), {}, {},
     ["error: taken: 6443 (by nginx), 10250 (by something)", "6443 for the API server", "sport = :6443"]),
    ("ports", facts(listens="2808"), {"role": "agent"}, {}, ["error: taken: 10248"]),
    ("ports", facts(DEBIAN + OURS, k3s_unit="k3s.service failed"), {}, {}, ["error: taken: 6443"]),
    ("address", facts(), {"address": "192.0.2.9"}, {},
     ["error: 192.0.2.9 is on no interface", "it has 10.0.0.11 |", "nodeIp: 10.0.0.11 for node-1"]),
    ("address", facts(), {"address": "a.example", "peer": "192.0.2.9"}, {},
     ["error: 192.0.2.9 is on no interface"]),
    ("route", facts(default_route=None), {}, {}, ["error: no default route", "ip route add default"]),
    ("memory", facts(memory_kib="1000000"), {}, {}, ["warning: 1.0 GiB of memory", "about 2 GiB"]),
    ("memory", facts(memory_kib="500000"), {"role": "agent"}, {},
     ["warning: 0.5 GiB of memory", "about 1 GiB"]),
    ("disk", facts(disk_free_kib="4000000"), {}, {}, ["error: 3.8 GiB free", "5 GiB at the least"]),
    ("disk", facts(DEBIAN + OURS, disk_free_kib="4000000"), {}, {}, ["warning: 3.8 GiB free"]),
    ("disk", facts(disk_free_kib="8000000"), {}, {}, ["warning: 7.6 GiB free", "10 GiB"]),
    ("disk", facts(DEBIAN + GPU, disk_free_kib="30000000"), {"gpu": CARD}, {},
     ["warning: 28.6 GiB free", "40 GiB"]),
    ("firewall", facts(firewall="ufw"), {}, {"networks": {"clusterCidr": "10.42.0.0/16"}},
     ["warning: ufw is active", "ufw allow from 10.42.0.0/16"]),
    ("firewall", facts(firewall="firewalld"), {}, {}, ["warning: firewalld", "firewall-cmd --reload"]),
    ("gpu", facts(DEBIAN + GPU), {}, {},
     ["warning: 1 NVIDIA card, and its pool declares none",
      "gpu: {product: NVIDIA-GeForce-RTX-2080-Ti, count: 1, memoryMiB: 11264}"]),
    ("gpu", facts(pci_gpu=("0000:01:00.0 0x1e04", "0000:02:00.0 0x1e04")), {}, {},
     ["warning: 2 NVIDIA cards"]),
    ("gpu", facts(toolkit="/usr/bin/nvidia-container-runtime"), {"gpu": CARD}, {},
     ["error: no nvidia-smi, so no driver (0 NVIDIA cards on the PCI bus)", "driver: operator"]),
    ("gpu", facts(DEBIAN + GPU, nvidia_smi_status="14"), {"gpu": CARD}, {},
     ["error: nvidia-smi ends with status 14", "infoROM", "takes any other for no driver"]),
    ("gpu", facts(DEBIAN + GPU, nvidia_smi_status="124", nvidia_smi=None), {"gpu": CARD}, {}, ["it hangs"]),
    ("gpu", facts(DEBIAN + GPU, nvidia_smi_status="255"), {"gpu": CARD}, {},
     ["error: nvidia-smi ends with status 255"]),
    ("gpu", facts(DEBIAN + GPU), {"gpu": {**CARD, "count": 2}}, {},
     ["error: 1 NVIDIA card in nvidia-smi", "2, as declared", "count: 1"]),
    ("gpu", facts(DEBIAN + GPU), {"gpu": {"count": 1, "product": "Tesla-T4"}}, {},
     ["error: 1 × NVIDIA-GeForce-RTX-2080-Ti", "Tesla-T4, as declared",
      "product: NVIDIA-GeForce-RTX-2080-Ti"]),
    ("gpu", facts(DEBIAN + GPU, nvidia_smi=("Tesla T4, 15360 MiB", "Quadro P600, 2048 MiB")),
     {"gpu": {"count": 2, "product": "Tesla-T4"}}, {}, ["error: 1 × Quadro-P600", "a pool of its own"]),
    ("gpu", facts(toolkit="x"), {"gpu": CARD}, {"driver": "operator"},
     ["error: 0 NVIDIA cards on the PCI bus"]),
    ("gpu", facts(pci_gpu="0000:01:00.0 0x1e04", nouveau="loaded", toolkit="x"), {"gpu": CARD},
     {"driver": "operator"}, ["error: the nouveau driver is loaded", "blacklist nouveau"]),
    ("gpu", facts(DEBIAN + GPU), {"gpu": CARD}, {"driver": "operator"},
     ["warning: NVIDIA's driver 580.126.20 is already loaded", "driver: host"]),
    ("ports", facts(listens_udp="2118"), {}, {}, ["error: taken: 8472/udp", "sport = :8472"]),
    ("ports", facts(listens="094C"), {}, {"servers": 3}, ["error: taken: 2380", "etcd's members"]),
    ("inodes", facts(inodes_free="9000"), {}, {}, ["warning: 9000 inodes free", "du --inodes"]),
    ("mounts", facts(mounted=("/var/lib rw,nodev,noexec", "/usr/local/bin rw")), {}, {},
     ["error: /var/lib is mounted noexec", "data and containers", "findmnt -T /var/lib"]),
    ("mounts", facts(mounted="/usr/local/bin ro,relatime"), {}, {},
     ["error: /usr/local/bin is mounted ro", "its program"]),
    ("swap", facts(swap=("/dev/dm-1", "/swap.img")), {}, {},
     ["warning: swap is on: /dev/dm-1, /swap.img", "swapoff -a"]),
    ("modules", facts(kernel_lacks=("br_netfilter", "vxlan"), kernel_release="6.12.0-55.el10"), {}, {},
     ["warning: the kernel 6.12.0-55.el10 has no br_netfilter, vxlan", "kernel-modules-extra"]),
    ("security", facts(selinux="enforcing"), {}, {"mirror": "file:///srv/k3s"},
     ["error: SELinux is enforcing", "k3s-selinux"]),
    ("security", facts(apparmor="enabled"), {}, {},
     ["warning: AppArmor is on", "apt-get install -y apparmor"]),
    ("iptables", facts(iptables="iptables v1.8.4 (nf_tables)"), {}, {},
     ["warning: iptables 1.8.4", "prefer-bundled-bin: true"]),
    ("nm-cloud-setup", facts(nm_cloud_setup="enabled"), {}, {},
     ["error: nm-cloud-setup", "systemctl disable"]),
    ("time-sync", facts(clock_synchronized="no"), {}, {},
     ["warning: nothing keeps the clock", "set-ntp true"]),
    ("networks", facts(route=("10.0.0.0/24 eth0", "10.42.7.0/24 wg0")), {},
     {"networks": {"clusterCidr": "10.42.0.0/16,fd00::/56", "serviceCidr": "10.43.0.0/16"}},
     ["error: the route to 10.42.7.0/24 by wg0 overlaps k3s.clusterCidr 10.42.0.0/16",
      "k3s: {clusterCidr: 172"]),
    ("gpu", facts(DEBIAN + GPU, pci_driver="vfio-pci"), {"gpu": CARD}, {},
     ["error: 1 NVIDIA card held by vfio-pci"]),
    ("gpu", facts(DEBIAN + GPU, pci_gpu=("0000:01:00.0 0x1e04", "0000:02:00.0 0x1e04")), {"gpu": CARD}, {},
     ["warning: 2 NVIDIA cards on the PCI bus, and 1 in nvidia-smi"]),
    ("fabric", facts(DEBIAN + GPU, nvswitch=("0000:05:00.0", "0000:06:00.0")), {"gpu": CARD}, {},
     ["error: 2 NVSwitches", "systemctl enable --now nvidia-fabricmanager"]),
    ("secure-boot", facts(pci_gpu="0000:01:00.0 0x1e04", secure_boot="enabled", toolkit="x"), {"gpu": CARD},
     {"driver": "operator"}, ["error: Secure Boot is on", "driver: host"]),
    ("secure-boot", facts(pci_gpu="0000:01:00.0 0x1e04", lockdown="integrity", toolkit="x"), {"gpu": CARD},
     {"driver": "operator"}, ["error: kernel lockdown is integrity"]),
    ("driver", facts(DEBIAN + GPU), {"gpu": {**CARD, "driver": "58"}}, {},
     ["error: NVIDIA's driver 580.126.20", "58, as declared", 'driverVersion: "580.126.20" in the pool']),
    ("toolkit", facts(DEBIAN + GPU, toolkit=None), {"gpu": CARD}, {},
     ["error: no nvidia-container-runtime where k3s looks", "toolkit: operator"]),
    ("toolkit", facts(DEBIAN + GPU, toolkit=("/usr/local/nvidia/toolkit/x", "/usr/bin/x")), {"gpu": CARD}, {},
     ["warning: a GPU operator's toolkit", "k3s takes the operator's first"]),
    ("runtime", facts(DEBIAN + GPU + OURS, containerd_config="plain"), {"gpu": CARD}, {},
     ["warning: k3s started before NVIDIA's toolkit came", "systemctl restart k3s.service"]),
    ("containerd", facts(DEBIAN + GPU, service=("docker", "containerd")), {"gpu": CARD},
     {"toolkit": "operator"}, ["warning: docker and containerd beside", "disable --now docker containerd"]),
    ("driver-image", facts(pci_gpu="0000:01:00.0 0x1e04", os_id="debian", kernel_headers="there"),
     {"gpu": CARD}, {"driver": "operator", "toolkit": "operator"},
     ["warning: Debian GNU/Linux 12 (bookworm), for which NVIDIA publishes no image", "driver: host"]),
    ("headers", facts(pci_gpu="0000:01:00.0 0x1e04", kernel_release="6.8.0-63-generic", os_id="ubuntu",
                      kernel_headers=None), {"gpu": CARD}, {"driver": "operator", "toolkit": "operator"},
     ["warning: no headers of the kernel 6.8.0-63-generic", "linux-headers-6.8.0-63-generic"]),
    ("version", facts(DEBIAN + OURS, k3s_version="v1.34.9+k3s1"), {}, {},
     ["error: k3s v1.34.9+k3s1 is installed", "a release of v1.35", "skips a minor version"]),
    ("owner", facts(service=("kubelet",)), {}, {}, ["error: a kubelet runs as a service", "another machine"]),
    ("owner", facts(kubernetes="/var/lib/rancher/rke2"), {}, {}, ["error: RKE2", "rke2-uninstall.sh"]),
    ("owner", facts(kubernetes="/var/lib/k0s"), {}, {}, ["error: k0s: /var/lib/k0s", "k0s reset"]),
    ("owner", facts(kubernetes="/var/snap/k8s"), {}, {}, ["error: Canonical Kubernetes"]),
    ("ports", facts(listens="1389"), {"role": "agent"}, {"embedded_registry": True},
     ["error: taken: 5001", "the embedded registry"]),
    ("ports", facts(listens_udp="CA6C"), {}, {"flannel": "wireguard-native"}, ["error: taken: 51820/udp"]),
    ("modules", facts(kernel_lacks=("wireguard", "vxlan")), {}, {"flannel": "wireguard-native"},
     ["has no wireguard, built in"]),
    ("kernel-config", facts(DEBIAN + OURS, check_config=("CONFIG_VETH", "CONFIG_VXLAN")), {}, {},
     ["warning: k3s check-config fails for CONFIG_VETH, CONFIG_VXLAN"]),
    ("cpu", facts(cpus="1"), {}, {}, ["warning: one CPU", "2 for a k3s server"]),
    ("cpu", facts(DEBIAN + GPU, cpus="1"), {"gpu": CARD, "role": "agent"}, {}, ["2 for a GPU node"]),
    ("memory", facts(DEBIAN + GPU, memory_kib="2000000"), {"gpu": CARD, "role": "agent"}, {},
     ["warning: 1.9 GiB of memory", "about 4 GiB for a GPU node"]),
    ("disk", facts(program_free_kib="90000"), {}, {}, ["error: 87 MiB free", "/usr/local/bin"]),
    ("address", facts(source="10.9.0.3"), {}, {"registration": "10.9.0.1"},
     ["warning: its way to 10.9.0.1 begins at 10.9.0.3, and its node address is 10.0.0.11",
      "nodeIp: 10.9.0.3 for node-1"]),
    ("dns", facts(unknown_name="github.com", download=f"{RELEASE} 000 curl 6"), {}, {},
     ["error: not known here: github.com", "cat /etc/resolv.conf", "airGap: FOLDER"]),
    ("dns", facts(DEBIAN + OURS, unknown_name=("github.com", "k3s.example")), {},
     {"registration": "k3s.example"}, ["error: not known here: k3s.example |"]),
    ("download", facts(download=(f"{RELEASE} 000 curl 28", "https://x.org/install.sh 200 curl 0")), {}, {},
     [f"error: {RELEASE} is not reached: no answer in time", f"curl -sSIL {RELEASE}"]),
    ("download", facts(download=f"{RELEASE} 000 wget 4"), {}, {}, ["is not reached: no connection"]),
    ("download", facts(download=f"{RELEASE} 000 curl 92"), {}, {}, ["is not reached: status curl 92"]),
    ("download", facts(download=f"{RELEASE} 404 curl 0"), {}, {},
     ["is not there (HTTP 404)", "correct k3s.version"]),
]  # fmt: skip


@pytest.mark.parametrize(("check", "known", "spec", "changes", "expected"), CASES)
def test_out_of_order(check, known, spec, changes, expected):
    found = said(machine(known, **spec), plan(**changes))
    assert list(found) == [check]
    for text in expected:
        assert text in found[check]


def test_every_rule_has_a_failing_case():
    assert {case[0] for case in CASES} == set(RULES)
    assert set(CROSS_RULES) == {"machine-id", "product-uuid", "hostname", "clock", "registration", "skew"}


@pytest.mark.parametrize("text", CAPTURES.values(), ids=CAPTURES)
@pytest.mark.parametrize("networks", [{}, {"clusterCidr": "10.42.0.0/16", "serviceCidr": "10.43.0.0/16"}])
def test_machines_of_every_distribution_are_in_order(text, networks):
    wanted = plan(networks=networks, servers=3)
    assert said(machine(facts(text)), wanted) == {}
    assert said(machine(facts(text), role="agent"), wanted) == {}
    assert said(machine(facts(text + GPU), gpu=CARD), wanted) == {}
    machines = [machine(facts(one), name=name) for name, one in CAPTURES.items()]
    assert run_rules(machines, wanted) == []


@pytest.mark.parametrize(
    ("known", "changes"),
    [
        (facts(listens_udp="2118", k3s_binary="x", k3s_version="v1.36.2+k3s1"), {}),
        (facts(route="10.42.0.0/24 cni0", k3s_binary="x"), {"networks": {"clusterCidr": "10.42.0.0/16"}}),
        (facts(route="nonsense eth0"), {"networks": {"clusterCidr": "nonsense"}}),
        (facts(listens="094C"), {}),
        (facts(selinux="enforcing", selinux_policy="k3s"), {"mirror": "file:///srv/k3s"}),
        (facts(secure_boot="enabled"), {"driver": "operator"}),
        (facts(DEBIAN + OURS, unknown_name="github.com", download=f"{RELEASE} 000 curl 6"), {}),
        (facts(DEBIAN + OURS, program_free_kib="90000"), {}),
        (facts(download=(f"{RELEASE} 200 curl 0", f"{RELEASE} 405 curl 0", "nonsense")), {}),
        (facts(source="10.0.0.11"), {"registration": "10.0.0.1"}),
        (facts(source="127.0.0.1"), {"registration": "10.0.0.11"}),
        (facts(kernel_lacks="wireguard"), {}),
        (facts(kernel_lacks=("vxlan", "wireguard")), {"flannel": "host-gw"}),
        (facts(listens_udp="CA6C", listens="1389"), {}),
        (facts(service="docker"), {"toolkit": "operator"}),
    ],
)
def test_what_is_not_wrong_after_all(known, changes):
    found = said(machine(known), plan(**changes))
    assert not found.keys() - {"owner"}


@pytest.mark.parametrize("names", [("a", "b"), ("a", "a")])
def test_hostnames(names):
    two = [machine(facts(hostname=n, machine_id=str(i)), name=f"h{i}") for i, n in enumerate(names)]
    found = [(f.where, f.check, f.severity) for f in run_rules(two, PLAN)]
    same = [("h0", "hostname", "warning"), ("h1", "hostname", "warning")]
    assert found == (same if names[0] == names[1] else [])


@pytest.mark.parametrize("uuids", [("a", "b"), ("a", "a"), (None, None)])
def test_product_uuids(uuids):
    two = [machine(facts(product_uuid=u, machine_id=str(i)), name=f"h{i}") for i, u in enumerate(uuids)]
    found = [(f.where, f.check, f.severity) for f in run_rules(two, PLAN)]
    same = [("h0", "product-uuid", "warning"), ("h1", "product-uuid", "warning")]
    assert found == (same if uuids == ("a", "a") else [])


SERVER = facts(DEBIAN + OURS, own_ca="c0ffee", machine_id="aaaa")


@pytest.mark.parametrize(
    ("server", "agent", "expected"),
    [
        (SERVER, facts(machine_id="bbbb", api="c0ffee"), ""),
        (SERVER, facts(machine_id="bbbb"), "error: no k3s server answers at https://10.0.0.1:6443 from here"),
        (SERVER, facts(machine_id="bbbb", api="bad"), "error: another cluster answers at https://10.0.0.1"),
        # Nobody lives there yet, or nobody says who lives there; a name that is not known has its own rule.
        (facts(DEBIAN + OURS, k3s_unit="k3s.service inactive", listens=None), facts(machine_id="bbbb"), ""),
        (facts(), facts(machine_id="bbbb"), ""),
        (facts(DEBIAN + OURS), facts(machine_id="bbbb", api="bad"), ""),
    ],
)
def test_where_a_server_runs_the_others_find_it_and_no_other(server, agent, expected):
    machines = [machine(server), machine(agent, name="gpu-1", role="agent")]
    found = run_rules(machines, plan(registration="10.0.0.1"))
    assert [(f.where, f.check) for f in found] == ([("gpu-1", "registration")] if expected else [])
    assert "".join(f"{f.severity}: {f.found}" for f in found).startswith(expected)


def test_a_node_at_work_that_lost_its_way_to_the_servers_does_not_block_what_may_help_it():
    own = OURS.replace("host node-1", "host gpu-1").replace("k3s.service", "k3s-agent.service")
    agent = machine(facts(DEBIAN + own.replace("machine-id aaaa", "machine-id bbbb"), machine_id="bbbb"),
                    name="gpu-1", role="agent")  # fmt: skip
    (found,) = run_rules([machine(SERVER), agent], plan(registration="10.0.0.1"))
    assert (found.where, found.check, found.severity) == ("gpu-1", "registration", "warning")


@pytest.mark.parametrize(("server", "agent", "newer"), [("1.35.4", "1.36.2", 1), ("1.36.1", "1.36.2", 0)])
def test_an_agent_that_is_newer_than_a_server(server, agent, newer):
    own = OURS.replace("host node-1", "host gpu-1").replace("k3s.service", "k3s-agent.service")
    own = own.replace("machine-id aaaa", "machine-id bbbb")
    machines = [
        machine(facts(DEBIAN + OURS, k3s_version=f"v{server}+k3s1")),
        machine(facts(DEBIAN + own, k3s_version=f"v{agent}+k3s1", machine_id="bbbb"), "gpu-1", "agent"),
    ]
    found = [f for f in run_rules(machines, PLAN) if f.check == "skew"]
    assert [f.where for f in found] == ["gpu-1"] * newer
    if found:
        assert found[0].found == "k3s v1.36.2+k3s1, and server node-1 runs v1.35.4+k3s1"


def test_what_the_stack_file_waives_is_shown_and_counts_for_nothing():
    told = {"waive": ["disk", "swap"], "role": "server"}
    thing = machine(facts(disk_free_kib="4000000", swap="/swap.img"), **told)
    found = {f.check: f.severity for f in run_rules([thing], PLAN)}
    assert found == {"disk": "waived", "swap": "waived"}
    verdict = Report("t", {"node-1": "x"}, run_rules([thing], PLAN))
    assert verdict.exit_code == 0
    assert "t: 2 waived" in as_text(verdict)
    assert "  waived: swap: swap is on: /swap.img" in as_text(verdict)
    assert as_json(verdict)["waived"] == 2


def test_every_rule_can_be_waived_but_whose_machine_it_is_and_who_may_log_in():
    assert set(get_args(WaivableCheck)) == {*RULES, *CROSS_RULES} - {"owner", "privileges"}


@pytest.mark.parametrize("name", ["aaaa", "bbbb"])
def test_machine_ids(name):
    two = [machine(facts(), name="a"), machine(facts(machine_id=name), name="b")]
    found = [(f.where, f.check) for f in run_rules(two, PLAN)]
    assert found == ([("a", "machine-id"), ("b", "machine-id")] if name == "aaaa" else [])


def test_machines_that_do_not_say_their_id_are_not_the_same():
    assert run_rules([machine(facts(machine_id=None), name=name) for name in "ab"], PLAN) == []


def ahead(seconds, wide=1.0):
    return Clock(earliest=seconds, latest=seconds + wide)


@pytest.mark.parametrize(
    ("clocks", "wrong"),
    [
        ([0], []),
        ([29], []),
        ([35], ["0"]),
        ([-35], ["0"]),
        ([0, 100], ["1"]),
        ([100, 100, 101], []),  # the machines agree; it is this computer that is wrong
        ([0, 1, -2, -90], ["3"]),
        ([0, 20, 40, 60], ["3"]),
    ],
)
def test_clocks(clocks, wrong):
    machines = [machine(facts(machine_id=str(n)), name=str(n), clock=ahead(s)) for n, s in enumerate(clocks)]
    found = [f for f in run_rules(machines, PLAN) if f.check == "clock"]
    assert [f.where for f in found] == wrong


def test_a_slow_answer_is_no_wrong_clock():
    slow = machine(facts(), clock=Clock(earliest=-45, latest=1))
    assert run_rules([slow], PLAN) == []


def test_a_clock_says_which_way_it_is_off():
    (found,) = run_rules([machine(facts(), clock=ahead(-95.5))], PLAN)
    assert "94 s behind" in found.found
    assert "timedatectl set-ntp true" in found.remedy


@pytest.mark.parametrize(
    ("text", "value"),
    [("v1.36.2+k3s1", (1, 36, 2, 1)), ("v1.37.0-rc1+k3s2", (1, 37, 0, 2)), ("", None), ("v1.36.2", None)],
)
def test_release(text, value):
    assert release(text) == value


def test_the_report_about_a_machine():
    inventory = {
        "owner": {"project": "k3s-gpu-sharing", "stack": "dev"}, "k3sVersion": "v1.36.2+k3s1",
        "driver": "host", "toolkit": "host",
        "hosts": [machine(facts(), gpu=CARD).spec],
    }  # fmt: skip
    answers = {"node-1": Answer(facts(DEBIAN + GPU + OURS), None, "10.0.0.11")}
    verdict = build_report(inventory, answers, {})
    assert verdict.exit_code == 0
    assert verdict.subjects["node-1"] == (
        "10.0.0.11, Debian GNU/Linux 12 (bookworm), x86_64, 4 CPUs, 7.6 GiB, "
        "1 × NVIDIA-GeForce-RTX-2080-Ti, k3s v1.36.2+k3s1 (ours)"
    )
