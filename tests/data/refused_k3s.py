"""Refused values of the section `k3s`, and secrets that do not match it."""

from collections.abc import Mapping
from typing import Any

from tests.data.stack_files import Refusal

PROXY = {"https": "http://lab@proxy.example.org:3128", "noProxy": [".example.org"]}
HIGH = {"pools/control/hosts/server-2": "10.0.0.12", "pools/control/hosts/server-3": "10.0.0.13"}
SEVERAL = {**HIGH, "k3s/initialServer": "server-1", "k3s/registrationAddress": "k3s.example.org"}

REFUSALS: dict[str, Refusal] = {
    "no network": ({"k3s/clusterCidr": "pods"}, "k3s.clusterCidr", "pods", "an IPv4 network", "10.42.0.0/16"),
    "a network of another size": (
        {"k3s/serviceCidr": "10.43.0.0/30"},
        "k3s.serviceCidr",
        "10.43.0.0/30",
        "/12 to /28",
        "write for instance",
    ),
    "an address for a network": (
        {"k3s/clusterCidr": "10.50.0.1/16"},
        "k3s.clusterCidr",
        "10.50.0.1/16",
        "without host bits set",
        "write clusterCidr: 10.50.0.0/16",
    ),
    "networks that overlap": (
        {"k3s/serviceCidr": "10.42.128.0/20"},
        "k3s.serviceCidr",
        "10.42.128.0/20 for services and 10.42.0.0/16 for pods",
        "do not overlap",
        "serviceCidr: 10.43.0.0/16",
    ),
    "a machine in the pods' network": (
        {"pools/rtx/hosts/gpu-1": "10.42.7.7"},
        "pools.rtx.hosts.gpu-1",
        "10.42.7.7, which lies in 10.42.0.0/16",
        "outside of k3s.clusterCidr",
        "write another k3s.clusterCidr",
    ),
    "two machines in the services' network": (
        {"pools/rtx/hosts": {"gpu-1": "10.43.7.7", "gpu-2": "10.43.7.8"}},
        "pools.rtx.hosts.gpu-1",
        "10.43.7.7, one of 2 that lie in 10.43.0.0/16",
        "outside of k3s.serviceCidr",
        "write another k3s.serviceCidr",
    ),
    "more nodes than networks": (
        {"k3s/clusterCidr": "10.50.0.0/24"},
        "k3s.clusterCidr",
        "room for 1 nodes",
        "room for 2 nodes",
        "/23 or larger",
    ),
    "a backend of one's own": (
        {"k3s/flannelBackend": "none"},
        "k3s.flannelBackend",
        "none",
        "one of vxlan, host-gw, wireguard-native",
        "write",
    ),
    "a typed key in config": (
        {"k3s/config": {"kubelet-arg": ["max-pods=200"]}},
        "k3s.config.kubelet-arg",
        "",
        "",
        "k3s.kubeletArgs",
    ),
    "a bucket in config": (
        {"k3s/config": {"etcd-s3-bucket": "b"}},
        "k3s.config.etcd-s3-bucket",
        "",
        "",
        "write k3s.snapshots.s3",
    ),
    "a proxy without an address": (
        {"k3s/proxy": {"noProxy": [".example.org"]}},
        "k3s.proxy",
        "neither http nor https",
        "noProxy does nothing",
        "http://proxy.example.org:3128",
    ),
    "a proxy that is none": (
        {"k3s/proxy": {"https": "proxy.example.org"}},
        "k3s.proxy.https",
        "proxy.example.org",
        "http://HOST:PORT",
        "http://proxy.example.org:3128",
    ),
    "a proxy with its password": (
        {"k3s/proxy": {"https": "http://lab:hidden@proxy.example.org:3128"}},
        "k3s.proxy.https",
        "a password in it (not shown)",
        "without a password",
        "--secret proxyPassword",
    ),
    "a login at a proxy without its password": (
        {"k3s/proxy": PROXY},
        "k3s.proxy",
        "no secret proxyPassword",
        "both or none",
        "--secret proxyPassword",
    ),
    "a client certificate without its key": (
        {"k3s/registries": {"tls": {"m.example.org": {"certFile": "/etc/ssl/a.pem"}}}},
        "k3s.registries.tls.m.example.org.keyFile",
        "the key is missing",
        "certFile and keyFile together",
        "add `keyFile: ",
    ),
    "a registry that is a URL": (
        {"k3s/registries": {"mirrors": {"https://docker.io": {"endpoints": ["https://m.example.org"]}}}},
        "k3s.registries.mirrors.https://docker.io",
        "https://docker.io",
        "HOST or HOST:PORT",
        "docker.io",
    ),
    "a mirror without an address": (
        {"k3s/registries": {"mirrors": {"docker.io": {"endpoints": []}}}},
        "k3s.registries.mirrors.docker.io.endpoints",
        "an empty list",
        "the URLs of the mirrors",
        "https://mirror.example.org",
    ),
    "snapshots of one server": (
        {"k3s/snapshots": {"retention": 3}},
        "k3s.snapshots",
        "with one server",
        "three or five servers",
        "docs/guides/operations.md",
    ),
    "a schedule that is none": (
        {**SEVERAL, "k3s/snapshots": {"schedule": "hourly"}},
        "k3s.snapshots.schedule",
        "hourly",
        "five fields of cron",
        "0 */6 * * *",
    ),
}

# By case: change, the secret that is set, path, a piece of `found`, of `expected`, of `remedy`
SECRET_REFUSALS: dict[str, tuple[Mapping[str, Any], str, str, str, str, str]] = {
    "a password without a proxy": (
        {},
        "proxyPassword",
        "k3s.proxy",
        "no proxy with a login name",
        "http://USER@HOST:PORT",
        "pulumi config rm proxyPassword",
    ),
    "a key without a bucket": (
        {},
        "s3AccessKey",
        "k3s.snapshots.s3",
        "the secret s3AccessKey",
        "the bucket",
        "pulumi config rm s3AccessKey",
    ),
    "half a key": (
        {**SEVERAL, "k3s/snapshots": {"s3": {"bucket": "k3s"}}},
        "s3AccessKey",
        "s3SecretKey",
        "the secret is missing",
        "or neither",
        "--secret s3SecretKey",
    ),
}
