"""Refused values of k3s.config, doubtful ones, and the accepted ones that come closest."""

from collections.abc import Mapping
from typing import Any

from tests.data.refused_k3s import SEVERAL
from tests.data.stack_files import REMOVE, Refusal

CONFIG = "k3s/config"
NO_GPU = {"pools/rtx/gpu": REMOVE, "workloads": {}, "sharing": REMOVE}
TWO = {
    "pools/control/hosts/server-2": "10.0.0.12",
    "k3s/initialServer": "server-1",
    "k3s/registrationAddress": "k3s.example.org",
}
POSTGRES = {"datastore-endpoint": "postgres://k3s@10.0.0.9:5432/k3s"}


def _refused(key: str, value: Any, found: str, expected: str, remedy: str) -> Refusal:
    return {CONFIG: {key: value}}, f"k3s.config.{key}", found, expected, remedy


REFUSALS: dict[str, Refusal] = {
    "a mapping for a text": _refused(
        "cluster-domain", {"a": 1}, "a mapping", "a DNS domain", "cluster-domain: cluster.local"
    ),
    "a + behind a single value": _refused(
        "cluster-domain+", "gpu.local", "a + behind cluster-domain", "a list", "write cluster-domain instead"
    ),
    "a join key": _refused(
        "vpn-auth", "name=tailscale,joinKey=hidden", "the key vpn-auth", "does not set", "--secret vpnAuth"
    ),
    "a database with its password": _refused(
        "datastore-endpoint",
        "postgres://k3s:hidden@10.0.0.9:5432/k3s",
        "(not shown)",
        "no secrets",
        "--secret datastoreEndpoint",
    ),
    "a URL with a password": _refused(
        "kube-apiserver-arg",
        ["audit-webhook-config-file=https://me:hidden@example.org/x"],
        "(not shown)",
        "no secrets",
        "remove the password",
    ),
    "an unknown argument of a program": _refused(
        "kube-apiserver-arg",
        ["audit-log-pth=/var/log/audit"],
        "the unknown argument audit-log-pth",
        "kube-apiserver of Kubernetes 1.36",
        "write audit-log-path=/var/log/audit",
    ),
    "a wrong value of an argument": _refused(
        "kube-controller-manager-arg",
        ["node-cidr-mask-size=wide"],
        "node-cidr-mask-size=wide",
        "a whole number",
        "write node-cidr-mask-size=",
    ),
    "a choice that a program does not have": _refused(
        "kube-proxy-arg",
        ["proxy-mode=iptable"],
        "proxy-mode=iptable",
        "one of iptables, ipvs, nftables",
        "write proxy-mode=iptables",
    ),
    "an argument of a program that k3s sets": _refused(
        "kube-apiserver-arg",
        ["service-cluster-ip-range=10.99.0.0/16"],
        "the argument service-cluster-ip-range",
        "does not set itself",
        "k3s.serviceCidr",
    ),
    "docker beside GPUs": _refused("docker", True, "another container runtime", "GPU nodes", "remove it"),
    "a containerd beside GPUs": _refused(
        "container-runtime-endpoint", "/run/containerd/containerd.sock", "another", "gpu-1", "remove it"
    ),
    "k3s without root": _refused("rootless", True, "true", "k3s as root", "remove it"),
    "no scheduler": _refused("disable-scheduler", True, "true", "a scheduler", "remove it"),
    "servers that listen to themselves": _refused(
        "bind-address", "127.0.0.1", "127.0.0.1, for 1 server", "every other node", "remove it"
    ),
    "one address for all servers": (
        {**SEVERAL, CONFIG: {"advertise-address": "10.0.0.11"}},
        "k3s.config.advertise-address",
        "10.0.0.11, for 3 servers",
        "every other node",
        "the node's address",
    ),
    "name servers outside of the services": _refused(
        "cluster-dns", "8.8.8.8", "8.8.8.8", "a free address in k3s.serviceCidr", "10.43.0.10"
    ),
    "a certificate without its key": _refused(
        "datastore-certfile", "/etc/k3s/db.crt", "datastore-certfile alone", "or neither", "write both"
    ),
    "a database for each of several servers": (
        {**SEVERAL, CONFIG: {"datastore-endpoint": "sqlite:///var/lib/db"}},
        "k3s.config.datastore-endpoint",
        "a database on each of 3 servers",
        "all servers share",
        "remove it",
    ),
    "snapshots of somebody else's database": (
        {**SEVERAL, CONFIG: POSTGRES, "k3s/snapshots": {"retention": 3}},
        "k3s.snapshots",
        "a database outside of the cluster",
        "etcd inside",
        "remove k3s.snapshots",
    ),
}

# By case: change, the secret that is set, path, a piece of `found`, of `expected`, of `remedy`
SECRET_REFUSALS: dict[str, tuple[Mapping[str, Any], str, str, str, str, str]] = {
    "a database twice": (
        {CONFIG: POSTGRES},
        "datastoreEndpoint",
        "k3s.config.datastore-endpoint",
        "beside the secret",
        "one of the two",
        "pulumi config rm datastoreEndpoint",
    ),
    "a VPN twice": (
        {
            CONFIG: {"vpn-auth-file": "/etc/vpn"},
            "pools/control/hosts/server-1": "100.64.0.11",
            "pools/rtx/hosts/gpu-1": "100.64.0.21",
        },
        "vpnAuth",
        "k3s.config.vpn-auth-file",
        "beside the secret vpnAuth",
        "one of the two",
        "pulumi config rm vpnAuth",
    ),
}

WARNINGS: dict[str, Refusal] = {
    "addresses that a VPN replaces": (
        {CONFIG: {"vpn-auth-file": "/etc/vpn"}},
        "k3s.config.vpn-auth-file",
        "addresses outside of 100.64.0.0/10: gpu-1, server-1",
        "k3s takes that one instead of nodeIp",
        "tailscale ip -4",
    ),
}

ACCEPTED: dict[str, dict[str, Any]] = {
    "two servers with a database of their own": {**TWO, CONFIG: POSTGRES},
    "three servers with a database of their own": {**SEVERAL, CONFIG: POSTGRES},
    "etcd outside of the cluster": {
        **TWO,
        CONFIG: {
            "datastore-endpoint": "https://etcd-1:2379,https://etcd-2:2379",
            "datastore-cafile": "/etc/k3s/ca.crt",
            "datastore-certfile": "/etc/k3s/db.crt",
            "datastore-keyfile": "/etc/k3s/db.key",
        },
    },
    "one server with SQLite elsewhere": {CONFIG: {"datastore-endpoint": "sqlite:///data/k3s.db?mode=rwc"}},
    "docker without GPUs": {**NO_GPU, CONFIG: {"docker": True}},
    "docker switched off": {CONFIG: {"docker": False, "rootless": False, "disable-scheduler": "false"}},
    "a server that listens on its address": {CONFIG: {"bind-address": "10.0.0.11"}},
    "a server that listens everywhere": {**SEVERAL, CONFIG: {"bind-address": "0.0.0.0"}},
    "the registration address advertised": {
        **SEVERAL,
        "k3s/registrationAddress": "10.0.0.100",
        CONFIG: {"advertise-address": "10.0.0.100"},
    },
    "another name server of the services": {CONFIG: {"cluster-dns": ["10.43.0.53"]}},
    "arguments of every program": {
        CONFIG: {
            "kube-apiserver-arg": [
                "audit-log-path=/var/log/audit",
                "--feature-gates=NodeLogQuery=true",
                "v=2",
            ],
            "kube-apiserver-arg+": ["event-ttl=2h"],
            "kube-controller-manager-arg": "node-monitor-period=2s",
            "kube-scheduler-arg": ["config=/etc/kubernetes/scheduler.yaml"],
            "kube-proxy-arg": ["proxy-mode=nftables"],
            "kube-cloud-controller-manager-arg": ["secure-port=0"],
            "etcd-arg": ["quota-backend-bytes=8589934592"],
        }
    },
    "Tailscale addresses": {
        CONFIG: {"vpn-auth-file": "/etc/vpn"},
        "pools/control/hosts/server-1": "100.64.0.11",
        "pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "nodeIp": "100.64.0.21"},
    },
}
