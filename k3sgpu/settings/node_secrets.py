"""The texts that hosts receive on standard input, because they hold secrets or may hold them."""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import yaml

from k3sgpu.settings.models.addresses import proxy_user
from k3sgpu.settings.models.k3s_files import Registries
from k3sgpu.settings.models.resolved import Settings
from k3sgpu.settings.secret_forms import logins

MARKER = "# From the stack file, by k3s-gpu-sharing.\n"
"""The first line by which converge.sh recognises a file that it may overwrite or delete."""

NODE_SECRETS = ("registryCredentials", "proxyPassword", "vpnAuth")
"""The secret keys that every node needs."""
SERVER_SECRETS = ("s3AccessKey", "s3SecretKey", "datastoreEndpoint")
"""The secret keys that only servers need."""
CONFIG_KEYS = {
    "s3AccessKey": "etcd-s3-access-key",
    "s3SecretKey": "etcd-s3-secret-key",
    "datastoreEndpoint": "datastore-endpoint",
    "vpnAuth": "vpn-auth",
}
"""Secrets that are keys of k3s's config.yaml, and which ones."""


def node_secret_texts(settings: Settings, secrets: Mapping[str, str]) -> dict[str, str]:
    """The texts for every node, by variable of converge.sh. `secrets`: those of NODE_SECRETS that are set."""
    texts = {
        "REGISTRIES": _registries(settings.k3s.registries, secrets.get("registryCredentials", "")),
        "ENVIRONMENT": _environment(settings, secrets.get("proxyPassword", "")),
    }
    files = {name: MARKER + text for name, text in texts.items() if text}
    return {**files, **_config_text("NODE_CONFIG", NODE_SECRETS, secrets)}


def server_secret_texts(secrets: Mapping[str, str]) -> dict[str, str]:
    """The further texts for servers, by variable of converge.sh. `secrets`: those of SERVER_SECRETS."""
    return _config_text("SERVER_CONFIG", SERVER_SECRETS, secrets)


def _config_text(variable: str, names: Sequence[str], secrets: Mapping[str, str]) -> dict[str, str]:
    """The lines of config.yaml for the named secrets that are keys of it, by the variable of converge.sh."""
    known = [name for name in names if name in secrets and name in CONFIG_KEYS]
    config = {CONFIG_KEYS[name]: secrets[name].strip() for name in known}
    return {variable: yaml.safe_dump(config)} if config else {}


def _registries(registries: Registries | None, credentials: str) -> str:
    """k3s's registries.yaml; empty without registries and credentials."""
    settings = registries or Registries()
    configs: dict[str, Any] = {
        name: {"tls": {key: value for key, value in tls.model_dump().items() if value}}
        for name, tls in settings.tls.items()
    }
    for name, login in logins(credentials).items():
        configs.setdefault(name, {})["auth"] = login
    mirrors = {
        name: {
            "endpoint": list(mirror.endpoints),
            **({"rewrite": mirror.rewrites} if mirror.rewrites else {}),
        }
        for name, mirror in settings.mirrors.items()
    }
    document = {key: value for key, value in (("mirrors", mirrors), ("configs", configs)) if value}
    return yaml.safe_dump(document, sort_keys=True) if document else ""


def _environment(settings: Settings, password: str) -> str:
    """The environment file of k3s's systemd unit; empty without a proxy."""
    proxy = settings.k3s.proxy
    if proxy is None:
        return ""
    urls = {"HTTP_PROXY": proxy.http, "HTTPS_PROXY": proxy.https}
    lines = [f"{name}={_with_password(url, password)}\n" for name, url in urls.items() if url]
    return "".join(lines) + f"NO_PROXY={','.join(_no_proxy(settings))}\n"


def _with_password(url: str, password: str) -> str:
    user = proxy_user(url)
    return url.replace(f"{user}@", f"{user}:{quote(password.strip(), safe='')}@", 1) if user else url


def _no_proxy(settings: Settings) -> list[str]:
    """The names and networks that are reached without the proxy.

    Hosts count by their /24 networks, so that a further host does not change the file and restart k3s.
    """
    nodes = [*settings.nodes, *settings.lost]
    host_networks = {
        ipaddress.ip_network(f"{address}/24", strict=False)
        for node in nodes
        for address in (node.address, node.node_ip)
    }
    k3s = settings.k3s
    cluster = ["127.0.0.0/8", "localhost", k3s.cluster_cidr, k3s.service_cidr, ".svc"]
    cluster += [f".{k3s.config.get('cluster-domain', 'cluster.local')}", *map(str, sorted(host_networks))]
    cluster += [k3s.registration_address] if k3s.registration_address else []
    return list(dict.fromkeys([*cluster, *(k3s.proxy.no_proxy if k3s.proxy else ())]))
