"""The values of the kubelet's arguments, as the kubelet of the pinned release reads them."""

import pytest

from k3sgpu import settings as s
from k3sgpu.settings.models.flag_values import FLAG_TYPES
from k3sgpu.settings.models.kubelet_flags import CHOICES, FOLDERS_AND_FILES, KUBELET_FLAGS, RANGES
from k3sgpu.settings.rules.kubelet import OWNED_ARGS, SECRET_ARGS
from tests.data.refused_kubelet import NO_GPU
from tests.data.stack_files import the_problem, with_

RIGHT = """
    max-pods=110 max-pods=1 fail-swap-on=false fail-swap-on=True serialize-image-pulls=0 v=2
    node-status-update-frequency=10s cpu-cfs-quota-period=100ms streaming-connection-idle-timeout=0
    streaming-connection-idle-timeout=1h30m image-gc-high-threshold=100 oom-score-adj=-999 port=10250
    eviction-hard=memory.available<500Mi,nodefs.available<10% eviction-hard=pid.available<5%
    eviction-minimum-reclaim=nodefs.available=10% kube-reserved=cpu=500m,memory=1Gi system-reserved=cpu=0.5
    feature-gates=NodeSwap=true,MemoryQoS=false container-log-max-size=10Mi container-log-max-files=5
    allowed-unsafe-sysctls=net.core.somaxconn,kernel.msg* resolv-conf=/run/systemd/resolve/resolv.conf
    resolv-conf= root-dir=/data/kubelet root-dir=/var/lib/other pod-max-pids=-1 pod-max-pids=4096
    config=/etc/rancher/k3s/kubelet.yaml tls-min-version=VersionTLS12 topology-manager-policy=restricted
    tls-cipher-suites=TLS_AES_128_GCM_SHA256,TLS_AES_256_GCM_SHA384 logging-format=json
    allowed-unsafe-sysctls=net.*,net/ipv4/tcp_tw_reuse,kernel.sem,fs.mqueue.msg_max
    reserved-cpus=0-1,8 register-node=true authorization-mode=Webhook seccomp-default=true
"""
WRONG = """
    max-pods=0 max-pods=-1 max-pods=1.5 max-pods=0110 max-pods=0x6e max-pods=1_000 max-pods=many max-pods=
    max-pods=100000 max-pods=99999999999999999999 max-pods=１１０ fail-swap-on=no fail-swap-on=yes
    fail-swap-on=2 fail-swap-on= node-status-update-frequency=10 node-status-update-frequency=10S
    cpu-cfs-quota-period=1d
    image-gc-high-threshold=101 oom-score-adj=-1001 port=0 port=65536 eviction-hard=memory.available=500Mi
    eviction-hard=memory<500Mi eviction-hard=memory.available<lots eviction-hard=memory.available<110%
    eviction-minimum-reclaim=disk=1Gi kube-reserved=500m kube-reserved=gpu=1 kube-reserved=cpu=-1
    kube-reserved=cpu=half feature-gates=NodeSwap feature-gates=NodeSwap=on container-log-max-size=big
    container-log-max-files=1 resolv-conf=resolv.conf root-dir=data root-dir=/ root-dir=/data root-dir=/var/
    root-dir=/var/lib root-dir=/data/../etc root-dir=/data//x root-dir=/data/kubelet/
    config=kubelet.yaml tls-min-version=1.2 tls-cipher-suites=TLS_AES_128_GCM_SHA256,AES
    allowed-unsafe-sysctls=vm.max_map_count allowed-unsafe-sysctls=net.core.*,Net allowed-unsafe-sysctls=*
    topology-manager-policy=strict logging-format=xml reserved-cpus=a reserved-cpus=0- register-node=false
    runonce=true enable-server=false cpu-manager-policy=Static memory-manager-policy=static
    enforce-node-allocatable=pod eviction-soft-grace-period=memory.available=90
"""


def rows(text: str) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (row.partition("=") for row in text.split())]


@pytest.mark.parametrize(("name", "value"), rows(RIGHT))
def test_value_that_the_kubelet_reads_is_accepted(name: str, value: str) -> None:
    s.parse(with_({"k3s/kubeletArgs": {name: value}}))


@pytest.mark.parametrize(("name", "value"), rows(WRONG))
def test_value_that_the_kubelet_refuses_is_refused(name: str, value: str) -> None:
    problem = the_problem({**NO_GPU, "k3s/kubeletArgs": {name: value}})
    assert problem.where == f"k3s.kubeletArgs.{name}"
    assert problem.remedy.startswith(f"write {name}: ")
    example = problem.remedy.removeprefix(f"write {name}: ").strip('"')
    companions = {"reserved-cpus": "0", "reserved-memory": "0:memory=1Gi"}
    s.parse(with_({"k3s/kubeletArgs": {**companions, name: example}}))


@pytest.mark.parametrize("value", ["1\r2", "1\n2", "1\x002", "a\x1b[31m", "a\u2028b"])
def test_control_characters_are_refused(value: str) -> None:
    assert the_problem({"k3s/kubeletArgs": {"provider-id": value}}).where == "k3s.kubeletArgs.provider-id"


def test_tables_name_known_arguments() -> None:
    for table in (CHOICES, FOLDERS_AND_FILES, RANGES, OWNED_ARGS, SECRET_ARGS):
        assert set(table) <= set(KUBELET_FLAGS)
    assert set(KUBELET_FLAGS.values()) <= {*FLAG_TYPES, "reserved", "thresholds"}
    assert all(kind.accepts(kind.example) for kind in FLAG_TYPES.values())
