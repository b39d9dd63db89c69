"""The values of k3s.config, and the secrets that belong there."""

from typing import Any

import pytest
import yaml

from k3sgpu import settings as s
from k3sgpu.settings.models.k3s_config_values import CONFIG_TYPES, has_password
from k3sgpu.settings.models.k3s_flags import KEY_TYPES
from k3sgpu.settings.rules.k3s_config import OWNED_KEYS
from tests.data.refused_k3s_config import NO_GPU, TWO
from tests.data.stack_files import the_problem, with_

RIGHT = """
    {debug: true, selinux: "true", v: 4, lb-server-port: 6445, resolv-conf: /run/resolv.conf, log: /k3s.log}
    {container-runtime-endpoint: "unix:///run/containerd/containerd.sock", default-runtime: nvidia}
    {helm-job-image: "r:5000/helm@sha256:0000000000000000000000000000000000000000000000000000000000000000"}
    {flannel-iface: wg0, pause-image: "registry.example.org:5000/pause:3.6", snapshotter: native}
    {node-internal-dns: gpu.example.org, node-external-dns: [a.example.org, b.example.org]}
    {cluster-domain: k8s.example.org, cluster-dns: 10.43.0.53, service-node-port-range: 30000-31000}
    {advertise-address: 10.0.0.11, advertise-port: 443, servicelb-namespace: lb, embedded-registry: true}
    {system-default-registry: registry.example.org/mirror, helm-job-image: rancher/klipper-helm:v0.9}
    {egress-selector-mode: disabled, secrets-encryption-provider: secretbox, etcd-snapshot-name: before}
    {default-local-storage-path: /data, kube-apiserver-arg+: [event-ttl=2h], etcd-arg: heartbeat-interval=300}
    {datastore-endpoint: "mysql://k3s@tcp(10.0.0.9:3306)/k3s"}
    {kube-scheduler-arg: [bind-address=0.0.0.0], kube-controller-manager-arg: bind-address=0.0.0.0}
    {kube-apiserver-arg: ["authorization-mode=Node,RBAC", tls-cipher-suites=TLS_AES_128_GCM_SHA256]}
    {datastore-endpoint: "postgres://k3s@db.example.org/k3s?sslmode=verify-full"}
"""
WRONG = """
    {debug: "yes"} {debug: 1} {docker: "on"} {selinux: []} {v: -1} {v: 1.5} {v: "0x1"} {lb-server-port: 0}
    {advertise-port: 65536} {advertise-port: "https"} {resolv-conf: resolv.conf} {log: "/var/log/a b"}
    {flannel-iface: "eth 0"} {flannel-iface: a-very-long-interface-name} {flannel-iface: eth0/1}
    {pause-image: "pause image"} {pause-image: Pause} {snapshotter: overlay} {default-runtime: "a;b"}
    {node-internal-dns: ["a b"]} {cluster-domain: "-k8s"} {cluster-domain: K8S.local} {cluster-domain: 1}
    {cluster-domain: "a\\nHTTP_PROXY=http://evil"} {cluster-domain: "a\\tb"} {cluster-domain: ".local"}
    {cluster-domain: [cluster.local]} {cluster-domain: ""} {cluster-dns: kube-dns} {cluster-dns: 10.43.0.1}
    {cluster-dns: 10.43.0} {cluster-dns: 10.44.0.10} {cluster-dns: [10.43.0.10, 8.8.8.8]}
    {cluster-dns: {a: 1}}
    {service-node-port-range: 30000} {service-node-port-range: 32000-30000}
    {service-node-port-range: 30000-99999} {advertise-address: server-1} {advertise-address: 127.0.0.1}
    {advertise-address: 0.0.0.0} {bind-address: 10.0.0.12} {bind-address: localhost} {servicelb-namespace: LB}
    {system-default-registry: "https://registry.example.org"} {egress-selector-mode: none}
    {secrets-encryption-provider: aes} {kube-apiserver-arg: [1]} {kube-apiserver-arg: {event-ttl: 2h}}
    {kube-apiserver-arg: ["event-ttl=2h\\n--x=y"]} {kube-apiserver-arg: ["event ttl"]}
    {kube-apiserver-arg: [event-ttl=2]} {kube-scheduler-arg: [leader-elect=maybe]} {kube-proxy-arg: [x=y]}
    {kube-controller-manager-arg: [cluster-cidr=10.1.0.0/16]} {datastore-endpoint: "db.example.org"}
    {datastore-endpoint: "oracle://db"} {datastore-endpoint: "postgres://db\\nx"} {datastore-endpoint: 5}
    {datastore-endpoint: "nats://token@nats.example.org"} {datastore-keyfile: /etc/key}
    {vmodule: "a\\u001b[0m"} {kube-proxy-arg: [proxy-mode=userspace]}
    {kube-apiserver-arg: [bind-address=0.0.0.0]}
    {kube-apiserver-arg: ["authorization-mode=Node,Rbac"]} {kube-scheduler-arg: [tls-min-version=1.2]}
    {datastore-endpoint: "postgres://db/k3s?user=k3s&password=hidden"} {rootless: "true"}
    {datastore-endpoint: "mysql://k3s:hidden@tcp(10.0.0.9:3306)/k3s"}
    {datastore-endpoint: "https://root:hidden@etcd-1:2379,https://root:hidden@etcd-2:2379"}
    {node-taint: ["a=b:NoSchedule"]} {node-label: [a=b]} {node-ip: 10.0.0.9} {token: hidden}
    {agent-token: hidden}
    {etcd-s3-secret-key: hidden} {etcd-s3-access-key: hidden} {vpn-auth: "name=tailscale,joinKey=hidden"}
    {server: "https://10.0.0.11:6443"} {datastore-endpont: x} {kubelet-arg: [max-pods=1]}
"""


def documents(text: str) -> list[dict[str, Any]]:
    return list(
        yaml.safe_load_all(
            text.replace("{", "\n--- {", 1).replace("} {", "}\n--- {").replace("}\n    {", "}\n--- {")
        )
    )


@pytest.mark.parametrize("config", [one for one in documents(RIGHT) if one], ids=str)
def test_value_that_k3s_reads_is_accepted(config: dict[str, Any]) -> None:
    s.parse(with_({**NO_GPU, "k3s/config": config}))


@pytest.mark.parametrize("config", [one for one in documents(WRONG) if one], ids=str)
def test_value_that_k3s_refuses_is_refused(config: dict[str, Any]) -> None:
    problem = the_problem({"k3s/config": config})
    assert problem.where == f"k3s.config.{next(iter(config))}"
    assert problem.expected and problem.remedy and "hidden" not in str(problem)


@pytest.mark.parametrize("kind", CONFIG_TYPES)
def test_example_of_every_type_is_one(kind: str) -> None:
    assert CONFIG_TYPES[kind].accepts(yaml.safe_load(CONFIG_TYPES[kind].example))


def test_keys_without_a_checked_type_are_the_program_s_own() -> None:
    free = {key for key, kind in KEY_TYPES.items() if kind == "text" and not OWNED_KEYS.fullmatch(key)}
    assert free == {"vmodule"}


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("postgres://k3s@db:5432/k3s", False),
        ("postgres://k3s:p@ss@db/k3s", True),
        ("https://a:2379,https://b:2379", False),
        ("mysql://root:@tcp(db:3306)/k3s", True),
        ("nats://db:4222?bucket=k3s", False),
        ("postgres://db/k3s?sslPassword=x", True),
    ],
)
def test_password_in_an_endpoint_is_found(endpoint: str, expected: bool) -> None:
    assert has_password(endpoint) == expected


VPN = "name=tailscale,joinKey=tskey-auth-abc,controlServerURL=https://vpn.example.org,extraArgs=--ssh --x=y"


def test_secrets_become_lines_of_the_nodes_configuration() -> None:
    secrets = ("vpnAuth", "datastoreEndpoint")
    settings = s.parse(with_(TWO), secrets)
    assert settings.external_database
    assert [problem.where for problem in settings.warnings] == ["k3s"]  # addresses that are not Tailscale's
    values = {"vpnAuth": f"{VPN}\n", "datastoreEndpoint": "postgres://k3s:p@db:5432/k3s\n"}
    s.check_secrets(values)
    assert yaml.safe_load(s.node_secret_texts(settings, values)["NODE_CONFIG"]) == {"vpn-auth": VPN}
    server = yaml.safe_load(
        s.server_secret_texts({"datastoreEndpoint": values["datastoreEndpoint"]})["SERVER_CONFIG"]
    )
    assert server == {"datastore-endpoint": "postgres://k3s:p@db:5432/k3s"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("vpnAuth", "tskey-auth-hidden"),
        ("vpnAuth", "name=wireguard,joinKey=hidden"),
        ("vpnAuth", "name=tailscale"),
        ("vpnAuth", "name=tailscale,joinKey=hidden\nx: y"),
        ("vpnAuth", "name=tailscale,key=hidden"),
        ("datastoreEndpoint", "hidden"),
        ("datastoreEndpoint", "sqlite:///hidden"),
        ("datastoreEndpoint", "postgres://hidden@db\nx: y"),
        ("datastoreEndpoint", ""),
    ],
)
def test_secret_of_another_form_is_refused_without_being_shown(name: str, value: str) -> None:
    with pytest.raises(s.SettingsError) as refused:
        s.check_secrets({name: value})
    (problem,) = refused.value.problems
    assert problem.where == name and f"--secret {name}" in problem.remedy and "hidden" not in str(problem)
