"""facts.sh in a folder that looks like a machine, with stand-ins for the commands that it calls."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from k3sgpu.hosts.fact_forms import malformed
from k3sgpu.hosts.facts import SCRIPT, Facts, facts_script, parse_facts
from tests.unit.hosts.shells import SHELLS

FILES = {
    "etc/os-release": 'ID=ubuntu\nVERSION_ID="24.04"\nPRETTY_NAME="Ubuntu 24.04.2 LTS"\n',
    "etc/machine-id": "3f1c\n",
    "etc/nvidia-container-runtime/config.toml": "#accept-nvidia-visible-devices-as-volume-mounts = false\n"
    " accept-nvidia-visible-devices-envvar-when-unprivileged=false  # closed\n[nvidia-container-cli]\n"
    "accept-nvidia-visible-devices-as-volume-mounts = true\n",
    "etc/k3s-gpu-sharing/owner": "project=k3s-gpu-sharing\nstack=dev\nhost=gpu-1\nmachine-id=3f1c\n",
    "etc/systemd/system/k3s-agent.service": "[Unit]\n",
    "etc/ufw/ufw.conf": "ENABLED=yes\n",
    "etc/kubernetes/kubelet.conf": "",
    "proc/cpuinfo": "processor\t: 0\nprocessor\t: 1\n",
    "proc/meminfo": "MemTotal:        2028536 kB\nMemFree: 1 kB\n",
    "proc/net/route": "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
    "eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\n"
    "eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\n",
    "proc/net/udp": "  sl  local_address\n   1: 00000000:2118 00000000:0000 07 0\n",
    "sys/module/zfs/version": "2.1.5-1ubuntu6\n",
    "etc/resolv.conf": "# stub\nnameserver 127.0.0.53\noptions edns0\n",
    "run/systemd/resolve/resolv.conf": "nameserver 10.0.0.1\n",
    "proc/swaps": "Filename Type Size Used Priority\n/swap.img file 8388604 0 -2\n",
    "proc/filesystems": "nodev\tproc\n\text4\nnodev\toverlay\n",
    "sys/fs/selinux/enforce": "1",
    "usr/share/selinux/packages/k3s.pp": "",
    "sys/class/dmi/id/product_uuid": "4c4c4544\n",
    "var/lib/rancher/k3s/server/tls/server-ca.crt": "certificates\n",
    "var/lib/rancher/k3s/agent/etc/containerd/config.toml": "version = 3\n",
    "sys/module/apparmor/parameters/enabled": "Y\n",
    "sys/kernel/security/lockdown": "none [integrity] confidentiality\n",
    "sys/firmware/efi/efivars/SecureBoot-8be4df61": "\x06\x00\x00\x00\x01",
    "sys/bus/pci/devices/0000:04:00.0/vendor": "0x10de\n",
    "sys/bus/pci/devices/0000:04:00.0/class": "0x068000\n",
    "proc/net/tcp": "  sl  local_address rem_address   st\n"
    "   0: 0100007F:192C 00000000:0000 0A 0\n   1: 0A00000A:D431 0B00000A:192B 01 0\n",
    "proc/net/tcp6": "  sl  local_address\n   0: 00000000000000000000000000000000:192B 0:0000 0A 0\n",
    "sys/module/nouveau/version": "1",
    "sys/module/nvidia/version": "580.126.20\n",
    "sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n",
    "sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de\n",
    "sys/bus/pci/devices/0000:01:00.0/class": "0x030000\n",
    "sys/bus/pci/devices/0000:01:00.0/device": "0x1e04\n",
    "sys/bus/pci/devices/0000:01:00.1/vendor": "0x10de\n",
    "sys/bus/pci/devices/0000:01:00.1/class": "0x040300\n",
    "sys/bus/pci/devices/0000:02:00.0/vendor": "0x10de\n",
    "sys/bus/pci/devices/0000:02:00.0/class": "0x030200\n",
    "sys/bus/pci/devices/0000:02:00.0/device": "0x2330\n",
    "sys/bus/pci/devices/0000:02:00.0/subsystem_vendor": "0x10de\n",
    "sys/bus/pci/devices/0000:02:00.0/subsystem_device": "0x16c1\n",
    "sys/bus/pci/devices/0000:03:00.0/vendor": "0x8086\n",
    "sys/bus/pci/devices/0000:03:00.0/class": "0x030000\n",
}
PROGRAMS = {
    "usr/local/bin/k3s": 'case $1 in check-config) echo "- CONFIG_VETH: enabled"; '
    'echo "- CONFIG_VXLAN: missing (fail)" ;; '
    '*) echo "k3s version v1.36.2+k3s1 (abcdef12)"; echo "go version go1.26" ;; esac',
    "usr/bin/nvidia-container-runtime": "exit 0",
    # The driver does not know the state of the fabric.
    "bin/nvidia-smi": 'case "$*" in -L) echo "GPU 0: NVIDIA A30 (UUID: GPU-1)"; '
    'echo "  MIG 1g.6gb      Device  0: (UUID: MIG-1)"; echo "  MIG 2g.12gb     Device  1: (UUID: MIG-2)"; '
    'echo "GPU 1: NVIDIA A30 (UUID: GPU-2)" ;; *fabric*) exit 2 ;; '
    "*mig.mode*) echo Enabled; echo Disabled ;; "
    '*) echo "NVIDIA GeForce RTX 2080 Ti, 11264 MiB"; echo "WARNING: infoROM"; exit 14 ;; esac',
    # The API answers, k3s can be downloaded, and anything else times out.
    "bin/curl": 'case "$*" in *:6443/cacerts) echo certificates ;; *k3s) printf 200 ;; '
    "*) printf 000; exit 28 ;; esac",
    "bin/getent": '[ "$2" != nowhere.example ]',
    "bin/systemctl": 'case "$*" in *docker) ;; "is-active k3s-agent.service") echo active ;; '
    "*nm-cloud-setup*) echo enabled ;; *) exit 3 ;; esac",
    "bin/ip": 'case "$*" in *"route show"*) echo "default via 10.0.0.1 dev eth0"; '
    'echo "10.0.0.0/24 dev eth0 proto kernel scope link" ;; '
    '*"get 10.0.0.1"*) echo "10.0.0.1 dev eth0 src 10.0.0.10 uid 0" ;; '
    '*) echo "2: eth0    inet 10.0.0.10/24 brd 10.0.0.255 scope global eth0" ;; esac',
    "bin/modprobe": '[ "$3" != vxlan ]',
    "bin/iptables": 'echo "iptables v1.8.4 (nf_tables)"',
    "bin/timedatectl": "echo no",
    "bin/ss": 'printf "LISTEN 0 128 *:6443 *:* users:((\\"kube-apiserver\\",pid=7,fd=3))\\n"',
}


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for name, text in PROGRAMS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "sys/bus/pci/devices/0000:01:00.0/driver").symlink_to("../../drivers/nouveau")
    (tmp_path / "sys/bus/pci/drivers/nouveau").mkdir(parents=True)
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    return tmp_path


def facts_of(
    root: Path,
    shell: str = "sh",
    *,
    privileges: str = "root",
    sudo_message: str = "",
    downloads: Sequence[str] = (),
    registration: str = "",
) -> Facts:
    """Runs facts.sh with `root` in front of every path that it reads."""
    program, *applet = shell.split()
    command = [shutil.which(program) or program, *applet]
    ran = subprocess.run(
        [*command, "-s", privileges, str(root), sudo_message],
        input=facts_script(downloads, registration), capture_output=True, text=True, timeout=30, check=True,
        env={"PATH": f"{root}/bin:/usr/bin:/bin", "LANG": "de_DE.UTF-8"},
    )  # fmt: skip
    assert ran.stderr == ""
    return parse_facts(ran.stdout)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_fact_of_a_machine_is_printed(machine, shell):
    facts = facts_of(machine, shell)
    assert facts.complete
    assert [wrong for name, values in facts.values.items() if (wrong := malformed(name, values))] == []
    for name, value in {
        "privileges": ("root",),
        "os": ("Ubuntu 24.04.2 LTS",),
        "os-id": ("ubuntu",),
        "os-version": ("24.04",),
        "product-uuid": ("4c4c4544",),
        "check-config": ("CONFIG_VXLAN",),
        "containerd-config": ("plain",),
        "service": ("docker",),
        "systemd": ("running",),
        "machine-id": ("3f1c",),
        "cpus": ("2",),
        "memory-kib": ("2028536",),
        "address": ("10.0.0.10 eth0",),
        "default-route": ("eth0",),
        "listens": ("192B", "192C"),
        "listener": ("6443 kube-apiserver",),
        "owner": ("project k3s-gpu-sharing", "stack dev", "host gpu-1", "machine-id 3f1c"),
        "k3s-binary": ("/usr/local/bin/k3s",),
        "k3s-version": ("v1.36.2+k3s1",),
        "k3s-unit": ("k3s-agent.service active",),
        "kubernetes": ("/etc/kubernetes/kubelet.conf",),
        "firewall": ("ufw",),
        "listens-udp": ("2118",),
        "swap": ("/swap.img",),
        "zfs": ("2.1.5-1ubuntu6",),
        "nameserver": ("/etc/resolv.conf 127.0.0.53", "/run/systemd/resolve/resolv.conf 10.0.0.1"),
        "kernel-lacks": ("vxlan",),
        "selinux": ("enforcing",),
        "selinux-policy": ("k3s",),
        "apparmor": ("enabled",),
        "lockdown": ("integrity",),
        "secure-boot": ("enabled",),
        "iptables": ("iptables v1.8.4 (nf_tables)",),
        "clock-synchronized": ("no",),
        "nm-cloud-setup": ("enabled",),
        "route": ("10.0.0.0/24 eth0",),
        "nvswitch": ("0000:04:00.0",),
        "pci-driver": ("nouveau",),
        "pci-gpu": ("0000:01:00.0 0x1e04", "0000:02:00.0 0x2330 0x10de 0x16c1"),
        "nouveau": ("loaded",),
        "nvidia-module": ("580.126.20",),
        "nvidia-smi-status": ("14",),
        "mig-partition": ("0 1g.6gb", "0 2g.12gb"),
        "mig-mode": ("Enabled", "Disabled"),
        "fabric": (),
        "nvidia-smi": ("NVIDIA GeForce RTX 2080 Ti, 11264 MiB", "WARNING: infoROM"),
        "toolkit": ("/usr/bin/nvidia-container-runtime",),
        "toolkit-option": ("accept-nvidia-visible-devices-envvar-when-unprivileged false",),
        "cgroup-controllers": ("cpuset cpu io memory pids",),
    }.items():
        assert facts.all(name) == value, name
    assert {"awk", "sed", "sha256sum"} <= set(facts.all("tool"))
    assert facts.number("disk-free-kib") and facts.number("program-free-kib")
    assert not facts.all("download") + facts.all("api") + facts.all("source")  # nothing to reach


@pytest.mark.parametrize("shell", SHELLS)
def test_what_a_machine_can_reach_is_printed(machine, shell):
    there, away = "https://release.example/v1/k3s", "https://nowhere.example/install.sh"
    facts = facts_of(machine, shell, downloads=[there, away], registration="10.0.0.1")
    assert facts.complete
    there += "-arm64" if facts.one("arch") == "aarch64" else ""
    assert sorted(facts.all("download")) == [f"{away} 000 curl 28", f"{there} 200 curl 0"]
    assert facts.all("unknown-name") == ("nowhere.example",)
    assert facts.one("api") == facts.one("own-ca") != ""
    assert facts.all("source") == ("10.0.0.10",)


def test_data_folder_is_where_its_links_lead(machine):
    on_big = machine / "mnt/big"
    on_big.mkdir(parents=True)
    (machine / "var/lib/rancher").rename(on_big / "rancher")
    (machine / "var/lib/rancher").symlink_to(on_big / "rancher")
    at = subprocess.run(["df", "-P", str(on_big)], capture_output=True, text=True, check=True)
    mount = at.stdout.splitlines()[1].split()[5]
    (machine / "proc/mounts").write_text(f"disk {mount} nfs4 rw,relatime 0 0\n")
    assert facts_of(machine).all("data-mounted") == ("/mnt/big/rancher/k3s nfs4 rw,relatime",)


def test_way_to_the_selinux_policy_is_asked_where_the_install_script_downloads_it(machine):
    url = ["https://release.example/v1/k3s"]
    assert facts_of(machine, downloads=url).all("policy-download") == ()
    (machine / "etc/redhat-release").write_text("Rocky Linux\n")
    assert facts_of(machine, downloads=url).all("policy-download") == ("000 curl 28",)
    assert facts_of(machine).all("policy-download") == ()


def test_urls_and_addresses_are_not_run_as_commands(machine):
    facts = facts_of(machine, downloads=["https://a.example/$(id);id"], registration="'; id #")
    assert facts.complete and not any("uid=" in value for all in facts.values.values() for value in all)


def test_container_prints_no_product_uuid(machine):
    (machine / "run/systemd/container").write_text("systemd-nspawn\n")
    assert facts_of(machine).all("product-uuid") == ()


@pytest.mark.parametrize("shell", SHELLS)
def test_machine_with_nothing_on_it_prints_no_such_facts(tmp_path, shell):
    facts = facts_of(tmp_path, shell, privileges="none", sudo_message="sudo: a password\tis required\n")
    assert facts.complete
    assert facts.one("sudo-said") == "sudo: a password is required"
    for name in (
        "owner",
        "k3s-binary",
        "pci-gpu",
        "systemd",
        "default-route",
        "nvidia-smi-status",
        "toolkit",
    ):
        assert facts.all(name) == (), name


def test_script_changes_nothing(machine):
    def state():
        return {path: path.stat().st_mtime_ns for path in sorted(machine.rglob("*"))}

    before = state()
    facts_of(machine)
    assert state() == before


def test_time_is_printed_first(machine):
    assert next(iter(facts_of(machine).values)) == "time"


def test_program_that_reads_stdin_does_not_swallow_the_script(machine):
    (machine / "bin/nvidia-smi").write_text("#!/bin/sh\ncat >/dev/null\nexit 0\n")
    facts = facts_of(machine)
    assert facts.complete
    assert facts.number("nvidia-smi-status") == 0


def test_shellcheck_finds_nothing():
    checked = subprocess.run(
        [shutil.which("shellcheck", path=f"{Path('.venv/bin').resolve()}:/usr/bin") or "shellcheck",
         "--external-sources", "--severity", "style", "--shell", "sh", str(SCRIPT)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout


def test_scripts_search_the_toolkit_where_k3s_does():
    """And so does k3s's stand-in, in this order: the first one found is used."""
    places = re.compile(r"for dir in (/usr/local/nvidia/\S+ \S+); do")
    converge = (SCRIPT.parent / "parts/service.sh").read_text()
    found = places.findall(SCRIPT.read_text()) + places.findall(converge)
    assert found == ["/usr/local/nvidia/toolkit /usr/bin"] * 2
    standin = SCRIPT.parents[3] / "rehearsal/simulators/go/standin/cmd/k3s/containerd.go"
    assert 'runtimeFolders = []string{"/usr/local/nvidia/toolkit", "/usr/bin"}' in standin.read_text()
