"""Refused kubeletArgs, doubtful ones, and the accepted ones that come closest."""

from typing import Any

from tests.data.stack_files import REMOVE, Refusal

ARGS, POOL_ARGS = "k3s/kubeletArgs", "pools/rtx/kubeletArgs"
NO_GPU = {"pools/rtx/gpu": REMOVE, "workloads": {}, "sharing": REMOVE}
WIDE = {
    "k3s/config": {"kube-controller-manager-arg": ["node-cidr-mask-size=22"]},
    "k3s/clusterCidr": "10.50.0.0/16",
}

REFUSALS: dict[str, Refusal] = {
    "an argument with dashes": (
        {ARGS: {"--max-pods": 200}},
        "k3s.kubeletArgs.--max-pods",
        "--max-pods",
        "without leading dashes",
        "write max-pods: 200",
    ),
    "an argument with its value": (
        {ARGS: {"max-pods=200": "x"}},
        "k3s.kubeletArgs.max-pods=200",
        "max-pods=200",
        "without leading dashes",
        "write max-pods: 200",
    ),
    "a field of a KubeletConfiguration": (
        {ARGS: {"maxPods": 200}},
        "k3s.kubeletArgs.maxPods",
        "the unknown argument maxPods",
        "an argument of the kubelet of Kubernetes 1.36",
        "write max-pods: 200",
    ),
    "a field with another name than its flag": (
        {POOL_ARGS: {"reservedSystemCPUs": "0-1"}},
        "pools.rtx.kubeletArgs.reservedSystemCPUs",
        "the unknown argument",
        "Kubernetes 1.36",
        "write reserved-cpus: 0-1",
    ),
    "a field without a flag": (
        {ARGS: {"shutdownGracePeriod": "60s"}},
        "k3s.kubeletArgs.shutdownGracePeriod",
        "the unknown argument",
        "Kubernetes 1.36",
        "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d",
    ),
    "a removed argument": (
        {ARGS: {"network-plugin": "cni"}},
        "k3s.kubeletArgs.network-plugin",
        "the unknown argument network-plugin",
        "k3s does not start with another",
        "",
    ),
    "an argument of the program's": (
        {POOL_ARGS: {"node-labels": "a=b"}},
        "pools.rtx.kubeletArgs.node-labels",
        "node-labels",
        "do not set themselves",
        "write labels in the pools",
    ),
    "an argument of k3s's": (
        {"pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "kubeletArgs": {"cgroup-driver": "cgroupfs"}}},
        "pools.rtx.hosts.gpu-1.kubeletArgs.cgroup-driver",
        "cgroup-driver",
        "do not set themselves",
        "remove it",
    ),
    "an argument that is a list": (
        {ARGS: {"max-pods": [1]}},
        "k3s.kubeletArgs.max-pods",
        "a list",
        "a string, a number",
        "max-pods: 200",
    ),
    "a value of another type": (
        {ARGS: {"fail-swap-on": "no"}},
        "k3s.kubeletArgs.fail-swap-on",
        '"no"',
        "true or false",
        "write fail-swap-on: true",
    ),
    "a password in an argument": (
        {ARGS: {"storage-driver-password": "hidden"}},
        "k3s.kubeletArgs.storage-driver-password",
        "not shown",
        "no secrets",
        "remove it",
    ),
    "an unknown feature gate": (
        {ARGS: {"feature-gates": "MemoryQos=true"}},
        "k3s.kubeletArgs.feature-gates",
        "the unknown feature gate MemoryQos",
        "a feature gate of Kubernetes 1.36",
        "write MemoryQoS=true",
    ),
    "a feature gate that is locked": (
        {ARGS: {"feature-gates": "SidecarContainers=false"}},
        "k3s.kubeletArgs.feature-gates",
        "SidecarContainers=false",
        "SidecarContainers=true",
        "remove SidecarContainers",
    ),
    "static CPUs without a reservation": (
        {ARGS: {"cpu-manager-policy": "static"}},
        "k3s.kubeletArgs.cpu-manager-policy",
        "no CPU is reserved",
        "a reservation of CPU",
        'kube-reserved: "cpu=500m"',
    ),
    "static memory without a reservation": (
        {ARGS: {"memory-manager-policy": "Static"}},
        "k3s.kubeletArgs.memory-manager-policy",
        "no memory is reserved",
        "reserved-memory",
        "reserved-memory:",
    ),
    "options of no policy": (
        {ARGS: {"cpu-manager-policy-options": "full-pcpus-only=true"}},
        "k3s.kubeletArgs.cpu-manager-policy-options",
        "without cpu-manager-policy: static",
        "static",
        "write cpu-manager-policy: static",
    ),
    "an enforcement without its cgroup": (
        {ARGS: {"enforce-node-allocatable": "pods,kube-reserved"}},
        "k3s.kubeletArgs.enforce-node-allocatable",
        "without kube-reserved-cgroup",
        "the cgroup",
        "write kube-reserved-cgroup",
    ),
    "two enforcements of one reservation": (
        {
            ARGS: {
                "enforce-node-allocatable": "kube-reserved,kube-reserved-compressible",
                "kube-reserved-cgroup": "/kube",
            }
        },
        "k3s.kubeletArgs.enforce-node-allocatable",
        "kube-reserved and kube-reserved-compressible",
        "one of the two",
        "take kube-reserved-compressible out",
    ),
    "no enforcement beside one": (
        {ARGS: {"enforce-node-allocatable": "none,pods"}},
        "k3s.kubeletArgs.enforce-node-allocatable",
        "none,pods",
        "none alone",
        "write none",
    ),
    "no cgroups for an enforcement": (
        {ARGS: {"cgroups-per-qos": False}},
        "k3s.kubeletArgs.cgroups-per-qos",
        "false, beside enforce-node-allocatable: pods",
        "cgroups",
        "enforce-node-allocatable: none",
    ),
    "thresholds of images that cross": (
        {ARGS: {"image-gc-high-threshold": 70}},
        "k3s.kubeletArgs.image-gc-high-threshold",
        "image-gc-low-threshold: 80",
        "below the high one",
        "image-gc-high-threshold: 85",
    ),
    "a soft eviction without its period": (
        {ARGS: {"eviction-soft": "memory.available<1Gi"}},
        "k3s.kubeletArgs.eviction-soft",
        "no grace period for memory.available",
        "a grace period",
        '"memory.available=90s"',
    ),
    "reserved CPUs beside a cgroup": (
        {ARGS: {"reserved-cpus": "0", "kube-reserved-cgroup": "/kube"}},
        "k3s.kubeletArgs.reserved-cpus",
        "beside kube-reserved-cgroup",
        "one of the two",
        "remove kube-reserved-cgroup",
    ),
    "a lock without its file": (
        {ARGS: {"exit-on-lock-contention": True}},
        "k3s.kubeletArgs.exit-on-lock-contention",
        "without lock-file",
        "lock-file beside it",
        "write lock-file",
    ),
    "more pods than addresses": (
        {POOL_ARGS: {"max-pods": 500}},
        "pools.rtx.kubeletArgs.max-pods",
        "500 pods on a node, whose network is a /24",
        "at most 254",
        "node-cidr-mask-size=23",
    ),
    "more nodes than wider networks": (
        {**WIDE, "k3s/clusterCidr": "10.50.0.0/22"},
        "k3s.clusterCidr",
        "room for 1 nodes",
        "a /22 for the pods of each",
        "/21 or larger",
    ),
}

WARNINGS: dict[str, Refusal] = {
    "kernel settings that a machine must have": (
        {"k3s/config": {"protect-kernel-defaults": True}},
        "k3s.config.protect-kernel-defaults",
        "sysctls differ",
        "the kubelet's sysctls",
        "vm.overcommit_memory=1",
    ),
    "another folder of the kubelet": (
        {ARGS: {"root-dir": "/data/kubelet"}},
        "k3s.kubeletArgs.root-dir",
        "/data/kubelet",
        "/var/lib/kubelet",
        "without GPUs",
    ),
    "an argument of a newer kubelet": (
        {"k3s/version": "v1.37.1+k3s1", ARGS: {"new-argument": "1"}},
        "k3s.kubeletArgs.new-argument",
        "the unknown argument new-argument",
        "Kubernetes 1.36",
        "",
    ),
}

ACCEPTED: dict[str, dict[str, Any]] = {
    "as many pods as addresses": {ARGS: {"max-pods": 254}},
    "more pods on wider networks": {**WIDE, ARGS: {"max-pods": 500}},
    "more pods for one host": {
        "pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "kubeletArgs": {"max-pods": 250}}
    },
    "static CPUs with a reservation": {ARGS: {"cpu-manager-policy": "static", "kube-reserved": "cpu=500m"}},
    "static CPUs with a reservation of the pool": {
        ARGS: {"reserved-cpus": "0-1"},
        POOL_ARGS: {"cpu-manager-policy": "static", "topology-manager-policy": "best-effort"},
    },
    "static CPUs beside a file on the hosts": {
        ARGS: {"cpu-manager-policy": "static", "config": "/etc/kubelet.yaml"}
    },
    "static memory with a reservation": {
        ARGS: {"memory-manager-policy": "Static", "reserved-memory": "0:memory=1124Mi"}
    },
    "a soft eviction with its period": {
        ARGS: {"eviction-soft": "memory.available<1Gi", "eviction-soft-grace-period": "memory.available=90s"}
    },
    "an enforcement with its cgroup": {
        ARGS: {
            "enforce-node-allocatable": "pods,system-reserved",
            "system-reserved-cgroup": "/system.slice",
            "system-reserved": "cpu=1,memory=1Gi,ephemeral-storage=10Gi,pid=1000",
        }
    },
    "no cgroups and no enforcement": {ARGS: {"cgroups-per-qos": False, "enforce-node-allocatable": "none"}},
    "a folder of the kubelet without GPUs": {**NO_GPU, ARGS: {"root-dir": "/data/kubelet"}},
    "an argument that an older kubelet may not have": {"k3s/version": "v1.35.4+k3s1", ARGS: {"max-pods": 9}},
}
