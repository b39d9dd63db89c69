"""What follows from the section `k3s`: config.yaml, kubelet arguments, registries.yaml, proxy environment."""

import json

import pytest
import yaml

from k3sgpu import settings as s
from tests.data.refused_k3s import PROXY, SEVERAL
from tests.data.stack_files import with_


def test_k3s_defaults_are_not_written_to_config() -> None:
    """A cluster created without these keys must not get them later."""
    plain = s.parse(with_({})).k3s
    keys = {"k3s/clusterCidr": "10.42.0.0/16", "k3s/flannelBackend": "vxlan", "k3s/secretsEncryption": True}
    assert s.parse(with_(keys)).k3s.server_config == plain.server_config == {"secrets-encryption": True}


def test_servers_get_typed_keys_and_server_keys_of_config() -> None:
    store = {"endpoint": "s3.example.org", "bucket": "k3s", "folder": "lab"}
    keys = {
        **SEVERAL,
        "k3s/clusterCidr": "10.50.0.0/16",
        "k3s/flannelBackend": "host-gw",
        "k3s/secretsEncryption": False,
        "k3s/snapshots": {"schedule": "0 */6 * * *", "retention": 14, "s3": store},
        "k3s/config": {"etcd-expose-metrics": True, "debug": True},
    }
    k3s = s.parse(with_(keys)).k3s
    assert k3s.node_config == {"debug": True}
    assert k3s.server_config == {
        "cluster-cidr": "10.50.0.0/16",
        "flannel-backend": "host-gw",
        "secrets-encryption": False,
        "etcd-expose-metrics": True,
        "etcd-snapshot-schedule-cron": "0 */6 * * *",
        "etcd-snapshot-retention": 14,
        "etcd-s3": True,
        "etcd-s3-endpoint": "s3.example.org",
        "etcd-s3-bucket": "k3s",
        "etcd-s3-folder": "lab",
    }
    assert s.server_secret_texts({}) == {}
    config = s.server_secret_texts({"s3AccessKey": "id\n", "s3SecretKey": "a: 'b'\n"})["SERVER_CONFIG"]
    assert yaml.safe_load(config) == {"etcd-s3-access-key": "id", "etcd-s3-secret-key": "a: 'b'"}


def test_kubelet_argument_of_host_overrides_pool_and_k3s() -> None:
    keys = {
        "k3s/kubeletArgs": {"max-pods": 110, "serialize-image-pulls": False},
        "pools/rtx/kubeletArgs": {"max-pods": 200},
        "pools/rtx/hosts/gpu-1": {"address": "10.0.0.21", "kubeletArgs": {"max-pods": 250}},
        "pools/rtx/hosts/gpu-2": "10.0.0.22",
    }
    found = {node.name: dict(node.kubelet_args) for node in s.parse(with_(keys)).nodes}
    assert found == {
        name: {"max-pods": pods, "serialize-image-pulls": "false"}
        for name, pods in (("gpu-1", "250"), ("gpu-2", "200"), ("server-1", "110"))
    }


def test_registries_yaml_has_mirrors_tls_and_credentials() -> None:
    keys = {
        "mirrors": {
            "docker.io": {"endpoints": ["https://m.example.org/v2"], "rewrites": {"^library/(.*)": "d/$1"}}
        },
        "tls": {"m.example.org": {"caFile": "/etc/ssl/ca.pem"}},
    }
    logins = {name: {"username": "u", "password": "p'\n: #"} for name in ("m.example.org", "other:5000")}
    settings = s.parse(with_({"k3s/registries": keys}), ("registryCredentials",))
    texts = s.node_secret_texts(settings, {"registryCredentials": json.dumps(logins)})
    assert texts.keys() == {"REGISTRIES"}
    assert yaml.safe_load(texts["REGISTRIES"]) == {
        "mirrors": {
            "docker.io": {"endpoint": ["https://m.example.org/v2"], "rewrite": {"^library/(.*)": "d/$1"}}
        },
        "configs": {
            "m.example.org": {"auth": logins["m.example.org"], "tls": {"ca_file": "/etc/ssl/ca.pem"}},
            "other:5000": {"auth": logins["other:5000"]},
        },
    }


@pytest.mark.parametrize("text", ["hidden", "[]", '{"a": {"username": "hidden"}}', '{"a": "hidden"}'])
def test_malformed_registry_credentials_are_refused_without_being_shown(text: str) -> None:
    with pytest.raises(s.SettingsError) as refused:
        s.check_secrets({"registryCredentials": text})
    assert "--secret registryCredentials" in str(refused.value) and "hidden" not in str(refused.value)


def test_no_proxy_contains_everything_of_the_cluster() -> None:
    hosts = {"gpu-1": {"address": "203.0.113.9", "nodeIp": "10.0.0.21"}, "gpu-2": "10.0.1.22"}
    changes = {"k3s/proxy": PROXY, "k3s/registrationAddress": "k3s.example.net", "pools/rtx/hosts": hosts}
    settings = s.parse(with_(changes), ("proxyPassword",))
    text = s.node_secret_texts(settings, {"proxyPassword": "a@b c\n"})["ENVIRONMENT"]
    lines = dict(line.split("=", 1) for line in text.splitlines()[1:])
    assert text.startswith("# From the stack file")
    assert lines["HTTPS_PROXY"] == "http://lab:a%40b%20c@proxy.example.org:3128" and "HTTP_PROXY" not in lines
    assert lines["NO_PROXY"].split(",") == [
        *("127.0.0.0/8", "localhost", "10.42.0.0/16", "10.43.0.0/16", ".svc", ".cluster.local"),
        *("10.0.0.0/24", "10.0.1.0/24", "203.0.113.0/24", "k3s.example.net", ".example.org"),
    ]


def test_further_host_in_the_same_network_keeps_the_environment() -> None:
    one, two = (
        s.parse(with_({"k3s/proxy": {"http": "http://p:1"}, "pools/rtx/hosts": hosts}))
        for hosts in ({"gpu-1": "10.0.0.21"}, {"gpu-1": "10.0.0.21", "gpu-2": "10.0.0.22"})
    )
    assert s.node_secret_texts(one, {}) == s.node_secret_texts(two, {})


def test_no_registries_and_no_proxy_give_no_texts() -> None:
    assert s.node_secret_texts(s.parse(with_({})), {}) == {}
