"""Destroy: it searches the machines, names what remains, and needs no running cluster."""

from collections.abc import Iterator

import pytest

from rehearsal.lab import nspawn
from rehearsal.lab.fixture import StackFixture, stack_config, stack_fixture

SERVER, AGENT = "server-1", "gpu-1"
CDI = "/var/run/cdi/k8s.device-plugin.nvidia.com-gpu.json"

# What k3s, its network, its pods and the operator leave where something went wrong.
PLANT = f"""
ip link add cni0 type veth peer name pod0
iptables -t nat -N KUBE-SERVICES
iptables -t nat -A OUTPUT -m comment --comment 'kubernetes service portals' -j KUBE-SERVICES
iptables -A INPUT -p tcp --dport 9 -j ACCEPT
mkdir -p /run/k3s/containerd/rootfs /var/lib/kubelet/pods/a/volume
mount -t tmpfs tmpfs /run/k3s/containerd/rootfs
mount -t tmpfs tmpfs /var/lib/kubelet/pods/a/volume
mkdir -p /var/run/cdi /etc/cdi && echo '{{}}' >{CDI} && echo theirs >/etc/cdi/theirs.yaml
mkdir -p /var/lib/rancher/k3s/data/x/bin && cp /bin/sleep /var/lib/rancher/k3s/data/x/bin/containerd-shim
setsid /var/lib/rancher/k3s/data/x/bin/containerd-shim 9999 >/dev/null 2>&1 </dev/null &
echo 1 >/proc/sys/net/ipv4/conf/default/forwarding
"""
LOOK = f"""
ls -d /etc/rancher /etc/k3s-gpu-sharing /usr/local/lib/k3s-gpu-sharing /run/k3s /run/k3s-gpu-sharing \
    /var/lib/rancher /var/lib/kubelet /usr/local/bin/k3s* /usr/local/bin/kubectl /usr/local/nvidia {CDI} \
    /etc/systemd/system/k3s* /run/lock/k3s-gpu-sharing.lock 2>/dev/null
systemctl list-unit-files 'k3s*' --no-legend
grep -E ' /(run/k3s|var/lib/kubelet|var/lib/rancher)' /proc/self/mounts
ip -brief link | grep -E 'cni|flannel|pod0'
iptables-save | grep -E 'KUBE|CNI|FLANNEL'
pgrep -x containerd-shim
:
"""
FORWARDING = "cat /proc/sys/net/ipv4/conf/default/forwarding"


# What an administrator does whose root disk is small, before k3s comes.
LINKS = """
mkdir -p /disk/rancher /disk/kubelet /var/lib/rancher
ln -s /disk/rancher /var/lib/rancher/k3s
ln -s ../../disk/kubelet /var/lib/kubelet
"""
LINK_OF_THE_PARENT = (
    "mkdir -p /disk/lib /disk/kubelet; cd /var/lib; ln -s /disk/lib rancher; ln -s /disk/kubelet kubelet"
)
PLANT_ON_THE_DISK = """
for folder in /disk/kubelet /disk/root; do
    mkdir -p $folder/pods/a/volume && mount -t tmpfs tmpfs $folder/pods/a/volume
    echo theirs >$folder/pods/a/volume/x
done
mkdir -p /var/lib/rancher/k3s/data/x/bin && cp /bin/sleep /var/lib/rancher/k3s/data/x/bin/containerd-shim
setsid /var/lib/rancher/k3s/data/x/bin/containerd-shim 9999 >/dev/null 2>&1 </dev/null &
"""
LOOK_ON_THE_DISK = """
find /disk ! -type d
grep ' /disk/' /proc/self/mounts
pgrep -x containerd-shim
:
"""


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    config = stack_config("dev")
    config["pools"]["control"]["hosts"] = {SERVER: "10.77.0.56"}
    config["pools"]["rtx"]["hosts"] = {AGENT: "10.77.0.57"}
    with stack_fixture("removal", tmp_path_factory.mktemp("removal"), config) as one:
        yield one


def test_destroy_without_a_cluster_cleans_and_names_what_remains(cluster: StackFixture):
    machines = cluster.start_machines()
    server, agent = machines[SERVER], machines[AGENT]
    cluster.run_on(agent, "echo 0 >/proc/sys/net/ipv4/conf/default/forwarding")
    cluster.up_k3s_only()
    cluster.run_on(agent, PLANT)
    for trace in (
        "cni0",
        "KUBE-SERVICES",
        CDI,
        "/run/k3s/containerd/rootfs",
        "/var/lib/kubelet/pods/a/volume",
    ):
        assert trace in cluster.run_on(agent, LOOK)
    nspawn.power_cut(server)

    cluster.run_on(agent, "mv $(readlink -f $(command -v ip)) /root/ip")  # nobody can take an interface away
    said = cluster.expect_failure(cluster.destroy)
    assert "gpu-1: still there: interface cni0; expected nothing of k3s" in said and "remedy: " in said
    cluster.run_on(agent, "cp /root/ip /usr/local/sbin/ip")
    said = cluster.expect_failure(cluster.destroy)
    assert "cluster-clean-server-1" in said and "still there" not in said
    assert cluster.run_on(agent, LOOK) == ""
    assert cluster.run_on(agent, FORWARDING) == "0"
    theirs = cluster.run_on(agent, "cat /etc/cdi/theirs.yaml; iptables-save")
    assert theirs.startswith("theirs") and "--dport 9 -j ACCEPT" in theirs

    cluster.start_machines()
    cluster.destroy()
    assert cluster.resources() == {}
    assert cluster.run_on(server, LOOK) == ""


def test_destroy_cleans_the_disk_that_links_and_root_dir_lead_to(cluster: StackFixture):
    cluster.config["k3s"]["kubeletArgs"] = {"root-dir": "/disk/root"}
    machines = cluster.start_machines()
    server, agent = machines[SERVER], machines[AGENT]
    cluster.run_on(server, LINK_OF_THE_PARENT)
    cluster.run_on(agent, LINKS)
    cluster.up_k3s_only()
    for machine in (server, agent):
        cluster.run_on(machine, PLANT_ON_THE_DISK)
        assert "tmpfs /disk/root/pods/a/volume" in cluster.run_on(machine, LOOK_ON_THE_DISK)
    assert cluster.run_on(server, "find /disk -name 'server-ca.key'")

    cluster.run_on(agent, "echo theirs >/disk/kubelet/photo")
    said = cluster.expect_failure(cluster.destroy)
    assert (
        "/var/lib/kubelet leads to /disk/kubelet, and this is in it and not k3s's: /disk/kubelet/photo"
        in said
    )
    assert "containerd-shim" in cluster.run_on(agent, LOOK_ON_THE_DISK)
    cluster.run_on(agent, "rm /disk/kubelet/photo")
    cluster.destroy()
    assert cluster.resources() == {}
    for machine in (server, agent):
        assert cluster.run_on(machine, LOOK_ON_THE_DISK) == ""
    assert (
        cluster.run_on(agent, "readlink /var/lib/rancher/k3s /var/lib/kubelet")
        == "/disk/rancher\n../../disk/kubelet"
    )
    assert cluster.run_on(server, "readlink /var/lib/rancher; ls /disk/lib") == "/disk/lib"
